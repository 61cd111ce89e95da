//! A token endpoint in axum, on the core alone: its own table of clients, the questions answered by an asynchronous loop.

mod clients;
mod guesses;
mod jobs;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Response};
use axum::routing::{get, post};
use clients::Table;
use guesses::Guesses;
use ring::rand::{SecureRandom, SystemRandom};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokenberg_core::backends::NotWritten;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::metadata::{AUTHORIZATION_SERVER, Abilities, JWKS, Metadata, TOKENS};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::request::LARGEST_BODY;
use tokenberg_core::{
    Answered, Answers, Entropy, ErrorCode, Granted, Keys, NotGranted, OAuthError, Pending, Policy, Presented,
    Reply, Request, Scope, Secret, Step, Timestamp, TokenEndpoint,
};
use tokenberg_jose::Keyring;

struct Service {
    endpoint: TokenEndpoint,
    metadata: Metadata,
    table: Arc<Table<Keyring>>,
    guesses: Guesses,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::var("LISTEN").unwrap_or("127.0.0.1:8182".to_owned());
    let now = now()?;
    // Of one process. Several need the same keys; KS-04 in docs/conformance.md says how these change.
    let keys = Keyring::read(&[tokenberg_jose::generate(Algorithm::ES256, now, now)?], now)?;
    let mut table = Table { clients: Default::default(), keys };
    let secret = Secret::new(std::env::var("SPARK_SECRET")?);
    table.add("spark".parse()?, &secret, AllowedScope::Only(Scope::catalog()));
    let endpoint = TokenEndpoint::new(Policy::new(format!("http://{listen}").parse()?));
    // This program neither introspects nor revokes, and stores no single-use identifiers.
    let metadata = Metadata::new(&endpoint.policy().issuer, Abilities::default());
    let guesses = Guesses::default();
    let service = Arc::new(Service { endpoint, metadata, table: Arc::new(table), guesses });
    let app = Router::new()
        .route(TOKENS, post(tokens))
        .route(JWKS, get(jwks))
        .route(AUTHORIZATION_SERVER, get(facts))
        // A grant of this program's own, beside those of the endpoint.
        .route("/v1/jobs/tokens", post(jobs::ticket))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(service)
        .into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(tokio::net::TcpListener::bind(listen).await?, app).await?;
    Ok(())
}

async fn tokens(
    State(service): State<Arc<Service>>,
    // Behind a proxy, the address that it reports.
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        let error = OAuthError::new(
            ErrorCode::InvalidRequest,
            "Content-Type has to be application/x-www-form-urlencoded",
        );
        return response(Reply::refused(&error, None));
    }
    let (authorization, query) = (values(&headers, &AUTHORIZATION), query.as_deref());
    let dpop = values(&headers, &HeaderName::from_static("dpop"));
    let request =
        Request { authorization: &authorization, dpop: &dpop, certificate: None, query, body: &body };
    let presented = match Presented::of(&request) {
        Ok(presented) => presented,
        Err(refusal) => return refused(&service, &refusal.into()),
    };
    let guessable = |secret: &Secret| service.table.may_be_guessed(secret);
    let attempt = match service.guesses.begin(presented.authentication(), peer.ip(), guessable) {
        Ok(attempt) => attempt,
        Err(limited) => return response(Reply::too_many_failures(&limited)),
    };
    let outcome = answer(&service, presented).await;
    if let Err(limited) = service.guesses.end(attempt, outcome.as_ref().err()) {
        return response(Reply::too_many_failures(&limited));
    }
    match outcome {
        Ok(granted) => response(Reply::granted(&granted.response, None)),
        Err(reason) => refused(&service, &reason),
    }
}

/// The exact reason is for the log; the client receives less.
fn refused(service: &Service, reason: &NotGranted) -> Response<Body> {
    eprintln!("refused: {reason}");
    response(Reply::not_granted(service.endpoint.policy(), reason, None))
}

async fn answer(service: &Service, presented: Presented) -> Result<Granted, NotGranted> {
    let unwritten = |error: Box<dyn Error>| NotWritten { reason: error.to_string() };
    let (now, entropy) = (now().map_err(unwritten)?, entropy().map_err(unwritten)?);
    let mut step = service.endpoint.start(presented, now, entropy)?;
    loop {
        step = match step {
            Step::Sign(question) => {
                let token = service.table.keys().sign(question.claims(), question.now())?;
                return Ok(question.granted(token));
            }
            Step::Ask(question) => match question.answer(&*service.table, &mut ())? {
                Answered::Next(step) => step,
                // What takes time: a digest that is costly, keys that are fetched, a used identifier that is stored. This table has
                // no such client; `examples/asynchronous.rs` awaits a digest.
                Answered::Pending(Pending::Digest(question)) => {
                    question.computed(&*service.table, &mut ())?
                }
                Answered::Pending(Pending::FetchKeys(_) | Pending::UseOnce(_)) => {
                    return Err(NotWritten { reason: "there is no memory for assertions".to_owned() }.into());
                }
            },
        };
    }
}

async fn jwks(State(service): State<Arc<Service>>) -> Response<Body> {
    json(service.table.keys.jwks().to_string())
}

async fn facts(State(service): State<Arc<Service>>) -> Response<Body> {
    json(service.metadata.authorization_server().to_owned())
}

fn json(text: String) -> Response<Body> {
    let response = Response::builder().header(CONTENT_TYPE, "application/json").body(Body::from(text));
    response.unwrap_or_default()
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value.as_ref());
    }
    response.body(Body::from(String::from(reply.body))).unwrap_or_default()
}

fn now() -> Result<Timestamp, Box<dyn Error>> {
    Ok(SystemTime::now().try_into()?)
}

fn entropy() -> Result<Entropy, Box<dyn Error>> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| "no random bits")?;
    Ok(Entropy::from_bits(bits))
}
