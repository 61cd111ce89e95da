//! A catalog in another process than the token service: it fetches the published keys, and asks whether a token was revoked.

use actix_web::{App, HttpResponse, HttpServer, web};
use std::error::Error;
use std::time::Duration;
use tokenberg_actix::{Bearer, BearerConfig, Require};
use tokenberg_core::client::{ClientAuthentication, Introspected, Outgoing, introspect, read_introspection};
use tokenberg_core::{Issuer, Secret, TokenVerification};
use tokenberg_jose::{Address, Document, Fetch, FetchLimits, IssuerKeySets};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::var("LISTEN").unwrap_or("127.0.0.1:8184".to_owned());
    let issuer: Issuer = std::env::var("ISSUER").unwrap_or("http://127.0.0.1:8183".to_owned()).parse()?;
    // Tokens of clients without a registered audience are for the issuer itself.
    let audience = std::env::var("AUDIENCE").unwrap_or(issuer.to_string());
    let keys = IssuerKeySets::new(Web(agent()), FetchLimits::default(), |event| eprintln!("{event:?}"));
    let verification = TokenVerification::new(issuer.clone(), vec![audience.into()]);
    let bearer = BearerConfig::verifying_with(verification, keys);
    let asking = web::Data::new(Introspection {
        url: format!("{issuer}/v1/oauth/introspect"),
        agent: agent(),
        // A client of the token service that was added with `--serves AUDIENCE`.
        authentication: std::env::var("RESOURCE_SERVER_SECRET").ok().map(|secret| {
            ClientAuthentication::Basic {
                client_id: "resource-server".into(),
                client_secret: Secret::new(secret),
            }
        }),
    });
    let server = HttpServer::new(move || {
        let catalog = web::scope("/v1").wrap(Require::any(["catalog", "PRINCIPAL_ROLE:ALL"]));
        let catalog = catalog.route("/namespaces", web::get().to(namespaces));
        let catalog = catalog.route("/drop", web::post().to(drop_table));
        App::new().app_data(bearer.clone()).app_data(asking.clone()).service(catalog)
    });
    Ok(server.bind(listen)?.run().await?)
}

async fn namespaces(token: Bearer) -> HttpResponse {
    HttpResponse::Ok().body(format!("{{\"namespaces\":[],\"caller\":\"{}\"}}", token.subject()))
}

/// For what cannot be undone, a token that was revoked a minute ago must not do: the token service is asked.
async fn drop_table(
    _: Bearer,
    request: actix_web::HttpRequest,
    asking: web::Data<Introspection>,
) -> HttpResponse {
    let header = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
    let token =
        header.and_then(|value| value.split_once(' ')).map(|(_, token)| Secret::new(token.to_owned()));
    let Some(token) = token else { return HttpResponse::Unauthorized().finish() };
    match web::block(move || asking.ask(&token)).await {
        Ok(Ok(Introspected::Active(_))) => HttpResponse::NoContent().finish(),
        Ok(Ok(Introspected::Inactive)) => HttpResponse::Unauthorized().finish(),
        // An outage is never the client's fault.
        Ok(Err(_)) | Err(_) => {
            HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "1")).finish()
        }
    }
}

struct Introspection {
    url: String,
    agent: ureq::Agent,
    authentication: Option<ClientAuthentication>,
}

impl Introspection {
    fn ask(&self, token: &Secret) -> Result<Introspected, String> {
        let outgoing =
            introspect(token, self.authentication.as_ref().ok_or("RESOURCE_SERVER_SECRET is not set")?);
        let mut post = self.agent.post(&self.url).content_type(Outgoing::CONTENT_TYPE);
        if let Some(authorization) = &outgoing.authorization {
            post = post.header("Authorization", authorization.expose());
        }
        let mut response = post.send(outgoing.form.expose()).map_err(|error| error.to_string())?;
        let body = response
            .body_mut()
            .with_config()
            .limit(64 * 1024)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        read_introspection(response.status().as_u16(), &body).map_err(|fault| fault.to_string())
    }
}

/// Fetches the metadata and the keys of the issuer; it is asked on a thread of its own.
struct Web(ureq::Agent);

impl Fetch for Web {
    fn fetch(&self, address: &Address, largest: usize, within: Duration) -> Result<Document, String> {
        let get = self.0.get(address.as_str()).config().timeout_global(Some(within)).build();
        let mut response = get.call().map_err(|error| error.to_string())?;
        let cache_control =
            response.headers().get("Cache-Control").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(largest as u64 + 1).read_to_vec();
        let body = body.map_err(|error| error.to_string())?;
        Ok(Document { status: response.status().as_u16(), body, cache_control })
    }
}

/// It follows no redirect: that would send a credential, or trust keys, elsewhere.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build().new_agent()
}
