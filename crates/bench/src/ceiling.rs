//! Serves the least that an endpoint on actix can cost: a POST with a form, answered with 830 constant bytes.

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Result;
use std::io::Write;
use std::net::TcpListener;

/// The options of `ceiling`.
#[derive(clap::Args)]
pub(crate) struct Ceiling {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
}

/// As long as the answer with a token.
const LENGTH: usize = 830;

/// Serves until it is ended.
pub(crate) fn run(options: &Ceiling) -> Result<()> {
    let listener = TcpListener::bind(&options.listen)?;
    let address = listener.local_addr()?;
    actix_web::rt::System::new().block_on(async move {
        let app = || App::new().default_service(web::post().to(answer));
        let server = HttpServer::new(app).workers(1).listen(listener)?;
        println!("listening on http://{address}");
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}

async fn answer(_: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(&[b' '; LENGTH][..])
}
