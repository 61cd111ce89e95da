//! `tokenberg token`: obtains a token as a client: the core's client side, and blocking HTTP around it.

use crate::failure::wrong_usage;
use crate::input::{self, SecretVariable};
use crate::output::{self, Output};
use crate::web::{Web, address};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use tokenberg_core::client::{AnswerFault, ClientAuthentication, read_answer};
use tokenberg_core::request::{
    AssertionKind, ClientCredentialsRequest, JwtBearerRequest, TokenExchangeRequest,
};
use tokenberg_core::token::TypedToken;
use tokenberg_core::{CompactJws, Scope, Secret, Target, TokenRequest, TokenType};
use url::Url;

/// The path of the token endpoint below the address of the service.
const TOKEN_ENDPOINT: &str = "/v1/oauth/tokens";

/// `tokenberg token`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg token --server http://127.0.0.1:8183 --client-id spark --secret-file spark.secret
  tokenberg token --server https://tokens.example --scope 'catalog PRINCIPAL_ROLE:etl'
      reads the credential from TOKENBERG_CLIENT_ID and TOKENBERG_CLIENT_SECRET
  tokenberg token --server https://tokens.example \\
      --subject-token-file old.token --subject-token-type access_token
      renews a token, authenticated by the token itself, as Iceberg clients do
  tokenberg token --server https://tokens.example --client-id trino --secret-file trino.secret \\
      --subject-token-file user.token --subject-token-type access_token
      exchanges the user's token for one with which trino acts for the user
  tokenberg token --server https://tokens.example \\
      --client-assertion-file /var/run/secrets/tokens/tokenberg
      in a pod whose service account `client federate` mapped to a client; no secret is needed

Redirects are not followed.")]
pub(crate) struct Token {
    /// URL of the token service, such as https://tokens.example, or of its token endpoint
    #[arg(long, value_name = "URL", env = "TOKENBERG_SERVER", value_parser = address)]
    server: Url,

    /// Client ID
    #[arg(long, value_name = "ID", env = "TOKENBERG_CLIENT_ID", value_parser = input::line::<Box<str>>)]
    client_id: Option<Box<str>>,

    /// File with the client secret (`-`: standard input); the variable TOKENBERG_CLIENT_SECRET may hold it instead
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Authenticate with the JWT in this file instead of a secret: an assertion that the client has signed, or the token of its
    /// workload, such as the projected token of a Kubernetes pod or a JWT-SVID
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "basic"])]
    client_assertion_file: Option<PathBuf>,

    /// Send the credential in an Authorization: Basic header instead of the form
    #[arg(long)]
    basic: bool,

    /// Scopes to request, space-separated [default: the default scope of the client]
    #[arg(long, value_name = "'S1 S2 …'", default_value = "", hide_default_value = true)]
    scope: Scope,

    /// Audience to request, by name; repeatable
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    audience: Vec<String>,

    /// Audience to request, by absolute URI (RFC 8707); repeatable
    #[arg(long, value_name = "URI", value_parser = resource)]
    resource: Vec<String>,

    /// Exchange the token in this file (`-`: standard input), instead of requesting a token for the client itself
    #[arg(long, value_name = "FILE", requires = "subject_token_type")]
    subject_token_file: Option<PathBuf>,

    /// Type of the subject token: access_token, id_token, jwt, …, or the full URN
    #[arg(long, value_name = "TYPE", value_parser = token_type, requires = "subject_token_file")]
    subject_token_type: Option<TokenType>,

    /// File with the token of the actor, which acts for the subject (`-`: standard input)
    #[arg(long, value_name = "FILE", requires = "actor_token_type", requires = "subject_token_file")]
    actor_token_file: Option<PathBuf>,

    /// Type of the actor token
    #[arg(long, value_name = "TYPE", value_parser = token_type, requires = "actor_token_file")]
    actor_token_type: Option<TokenType>,

    /// Use the jwt-bearer grant with the JWT in this file (`-`: standard input), from an issuer that is accepted for it (RFC 7523)
    #[arg(long, value_name = "FILE", conflicts_with = "subject_token_file")]
    assertion_file: Option<PathBuf>,

    /// Type of the token to request
    #[arg(long, value_name = "TYPE", value_parser = token_type, requires = "subject_token_file")]
    requested_token_type: Option<TokenType>,

    /// CA certificates (PEM) to trust, instead of the public roots
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Allow an http URL of another machine, if the connection is protected by other means
    #[arg(long)]
    insecure_http: bool,
}

fn token_type(text: &str) -> Result<TokenType, String> {
    let found = TokenType::ALL.into_iter().find(|t| t.short_name() == text || t.as_urn() == text);
    found.ok_or_else(|| {
        let names = TokenType::ALL.map(TokenType::short_name).join(", ");
        format!("expected a token type: {names}, or the URN of one of them")
    })
}

fn audience(text: &str) -> Result<String, String> {
    Target::audience(text).map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

fn resource(text: &str) -> Result<String, String> {
    Target::resource(text).map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

/// Gets a token and prints it.
///
/// # Errors
/// If there is no credential to authenticate with, or the server cannot be reached or refuses.
pub(crate) fn run(arguments: &Token, output: Output) -> anyhow::Result<()> {
    check_standard_input(arguments)?;
    let request = request(arguments)?;
    let authentication = authentication(arguments, &request)?;
    let web = Web::new(arguments.ca_file.as_deref(), arguments.insecure_http)?;
    let answer = web.post(&endpoint(&arguments.server), &request.to_http(&authentication))?;
    let response = read_answer(answer.status, &answer.body).map_err(|fault| match fault {
        AnswerFault::Refused { status, error } => {
            anyhow::anyhow!("the server refused the request: {status} {error}")
        }
        AnswerFault::NoToken(_) | AnswerFault::NoError { .. } => fault.into(),
    })?;
    if output.json {
        // Prints the whole answer of the server, including unknown members.
        let whole: Value = serde_json::from_slice(&answer.body)?;
        output::print(&format!("{}\n", output::escaped(&whole)))?;
    } else {
        output::print(&format!("{}\n", output::without_controls(response.access_token.expose())))?;
    }
    Ok(())
}

fn check_standard_input(arguments: &Token) -> anyhow::Result<()> {
    let files = [
        &arguments.secret_file,
        &arguments.subject_token_file,
        &arguments.actor_token_file,
        &arguments.assertion_file,
        &arguments.client_assertion_file,
    ];
    if files.into_iter().flatten().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(wrong_usage("only one option can read standard input"));
    }
    Ok(())
}

fn request(arguments: &Token) -> anyhow::Result<TokenRequest> {
    let mut targets = Vec::new();
    for resource in &arguments.resource {
        targets.push(Target::resource(resource)?);
    }
    for audience in &arguments.audience {
        targets.push(Target::audience(audience)?);
    }
    let scope = arguments.scope.clone();
    if let Some(file) = &arguments.assertion_file {
        return Ok(TokenRequest::JwtBearer(JwtBearerRequest {
            assertion: input::token(file)?,
            scope,
            targets,
        }));
    }
    let (Some(file), Some(token_type)) = (&arguments.subject_token_file, arguments.subject_token_type) else {
        return Ok(TokenRequest::ClientCredentials(ClientCredentialsRequest { scope, targets }));
    };
    let subject = TypedToken { token: input::token(file)?, token_type };
    let actor = match (&arguments.actor_token_file, arguments.actor_token_type) {
        (Some(file), Some(token_type)) => Some(TypedToken { token: input::token(file)?, token_type }),
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    let requested_token_type = arguments.requested_token_type;
    Ok(TokenRequest::TokenExchange(TokenExchangeRequest {
        subject,
        actor,
        scope,
        targets,
        requested_token_type,
    }))
}

/// The authentication: a secret if there is one; else, for an exchange, the actor's token or the subject's as Bearer.
fn authentication(arguments: &Token, request: &TokenRequest) -> anyhow::Result<ClientAuthentication> {
    if let Some(file) = &arguments.client_assertion_file {
        let assertion = input::token(file)?;
        let kind = kind_of(assertion.expose());
        return Ok(ClientAuthentication::Assertion {
            client_id: arguments.client_id.clone(),
            kind,
            assertion,
        });
    }
    let secret: Option<Secret> = match &arguments.secret_file {
        Some(path) => Some(input::secret(path)?),
        None => SecretVariable::ClientSecret.read()?,
    };
    match (&arguments.client_id, secret, request) {
        (Some(client_id), Some(client_secret), _) if arguments.basic => {
            Ok(ClientAuthentication::Basic { client_id: client_id.clone(), client_secret })
        }
        (client_id @ Some(_), Some(client_secret), _) => {
            Ok(ClientAuthentication::Body { client_id: client_id.clone(), client_secret })
        }
        (None, Some(_), _) => Err(wrong_usage("there is a client secret but no --client-id")),
        (_, None, _) if arguments.basic => Err(wrong_usage(
            "--basic needs a client secret: give --secret-file or set TOKENBERG_CLIENT_SECRET",
        )),
        (Some(_), None, _) => Err(wrong_usage(
            "--client-id needs a secret: give --secret-file or set TOKENBERG_CLIENT_SECRET; or omit --client-id to exchange a token \
             that authenticates itself",
        )),
        (None, None, TokenRequest::TokenExchange(exchange)) => {
            let bearer = exchange.actor.as_ref().unwrap_or(&exchange.subject);
            Ok(ClientAuthentication::Bearer(bearer.token.clone()))
        }
        (None, None, TokenRequest::ClientCredentials(_) | TokenRequest::JwtBearer(_)) => Err(wrong_usage(
            "no client authentication: give --client-id, and the secret with --secret-file or TOKENBERG_CLIENT_SECRET, or give \
             --client-assertion-file",
        )),
    }
}

/// The kind of an assertion: a JWT-SVID is recognized by its subject.
fn kind_of(assertion: &str) -> AssertionKind {
    let framed = CompactJws::parse(assertion).ok();
    let subject =
        framed.as_ref().and_then(|framed| framed.unverified_payload().get("sub")).and_then(Value::as_str);
    if subject.is_some_and(|subject| subject.starts_with("spiffe://")) {
        AssertionKind::JwtSpiffe
    } else {
        AssertionKind::JwtBearer
    }
}

fn endpoint(server: &Url) -> Url {
    let mut url = server.clone();
    let base = server.path().trim_end_matches('/').to_owned();
    if !base.ends_with(TOKEN_ENDPOINT) {
        url.set_path(&format!("{base}{TOKEN_ENDPOINT}"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_given_by_its_base_url_or_its_endpoint() {
        for (text, whole) in [
            ("http://127.0.0.1:8183", "http://127.0.0.1:8183/v1/oauth/tokens"),
            ("https://a.example/", "https://a.example/v1/oauth/tokens"),
            ("https://a.example/api/catalog/", "https://a.example/api/catalog/v1/oauth/tokens"),
            ("https://a.example/api/v1/oauth/tokens", "https://a.example/api/v1/oauth/tokens"),
        ] {
            assert_eq!(endpoint(&address(text).unwrap()).as_str(), whole);
        }
    }

    #[test]
    fn token_types_are_short_names_or_urns() {
        assert_eq!(token_type("id_token"), Ok(TokenType::IdToken));
        assert_eq!(token_type("urn:ietf:params:oauth:token-type:jwt"), Ok(TokenType::Jwt));
        assert!(token_type("bearer").unwrap_err().contains("access_token"));
    }
}
