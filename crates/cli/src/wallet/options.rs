//! The options of commands that request a token: which token, from which server, and how the client authenticates.

use crate::failure::wrong_usage;
use crate::input::{self, SecretVariable};
use crate::web::address;
use clap::Args;
use std::path::PathBuf;
use tokenberg_core::request::{ClientCredentialsRequest, JwtBearerRequest, TokenExchangeRequest};
use tokenberg_core::token::TypedToken;
use tokenberg_core::{Scope, Target, TokenRequest, TokenType};
use url::Url;

const PROOF: &str = "Client authentication";

/// Which token service, and how it is reached.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// URL of the token service, such as https://tokens.example, or of its token endpoint [default: that of the session of
    /// `tokenberg login`]
    #[arg(long, value_name = "URL", env = "TOKENBERG_SERVER", value_parser = address)]
    pub(crate) server: Option<Url>,

    /// CA certificates (PEM) to trust, instead of the public roots
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Allow an http URL of another machine, if the connection is protected by other means
    #[arg(long)]
    pub(crate) insecure_http: bool,
}

/// What the token is for.
#[derive(Debug, Args)]
pub(crate) struct TargetOptions {
    /// Scopes to request, space-separated [default: the default scope of the client]
    #[arg(long, value_name = "'S1 S2 …'", default_value = "", hide_default_value = true)]
    pub(crate) scope: Scope,

    /// Audience to request, by name; repeatable
    #[arg(long, value_name = "AUDIENCE", value_parser = audience)]
    pub(crate) audience: Vec<String>,

    /// Audience to request, by absolute URI (RFC 8707); repeatable
    #[arg(long, value_name = "URI", value_parser = resource)]
    pub(crate) resource: Vec<String>,
}

/// Which token to request, from which server, and how.
#[derive(Debug, Args)]
pub(crate) struct TokenOptions {
    #[command(flatten)]
    pub(super) service: ServiceOptions,

    /// Client ID; without it, the secret is read as ID:SECRET
    #[arg(long, value_name = "ID", env = "TOKENBERG_CLIENT_ID", value_parser = input::line::<Box<str>>, help_heading = PROOF)]
    pub(super) client_id: Option<Box<str>>,

    /// File with the client secret (`-`: standard input); the variable TOKENBERG_CLIENT_SECRET may hold it instead
    #[arg(long, value_name = "FILE", help_heading = PROOF)]
    pub(super) secret_file: Option<PathBuf>,

    /// Authenticate with the JWT in this file instead of a secret: an assertion that the client has signed, or the token of its
    /// workload, such as the projected token of a Kubernetes pod or a JWT-SVID. The file is read for each request
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "basic"], help_heading = PROOF)]
    pub(super) client_assertion_file: Option<PathBuf>,

    /// Authenticate with assertions that are signed with the private key in this file (PKCS#8): `private_key_jwt`
    #[arg(long, value_name = "FILE", requires = "client_id", help_heading = PROOF,
          conflicts_with_all = ["secret_file", "basic", "client_assertion_file"])]
    pub(super) assertion_key: Option<PathBuf>,

    /// Key ID of --assertion-key, if several keys are registered for the client
    #[arg(long, value_name = "KID", requires = "assertion_key", help_heading = PROOF)]
    pub(super) assertion_kid: Option<Box<str>>,

    /// Audience of assertions: the issuer identifier of the service [default: --server]
    #[arg(long, value_name = "URL", requires = "assertion_key", help_heading = PROOF)]
    pub(super) assertion_audience: Option<Box<str>>,

    /// Present the certificate in this file (PEM, with its chain) to the server: it authenticates the client, or the token is bound
    /// to it
    #[arg(long, value_name = "FILE", requires = "key", help_heading = PROOF)]
    pub(super) cert: Option<PathBuf>,

    /// Private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = PROOF)]
    pub(super) key: Option<PathBuf>,

    /// Bind the token to the private key in this file (PKCS#8), by DPoP proofs
    #[arg(long, value_name = "FILE", help_heading = PROOF)]
    pub(super) dpop_key: Option<PathBuf>,

    /// Send the credential in an Authorization: Basic header instead of the form
    #[arg(long, help_heading = PROOF)]
    pub(super) basic: bool,

    #[command(flatten)]
    pub(super) target: TargetOptions,

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

    /// Type of the token to request: access_token, which is the default and the only one that Tokenberg issues, or a type that
    /// another server knows
    #[arg(long, value_name = "TYPE", value_parser = token_type, requires = "subject_token_file")]
    requested_token_type: Option<TokenType>,
}

/// The targets of a request, in the order in which they are sent.
///
/// # Errors
/// If a name is not one of a target.
pub(super) fn targets(resources: &[String], audiences: &[String]) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for resource in resources {
        targets.push(Target::resource(resource)?);
    }
    for audience in audiences {
        targets.push(Target::audience(audience)?);
    }
    Ok(targets)
}

impl TargetOptions {
    /// Whether a scope or a target was given.
    pub(super) fn is_given(&self) -> bool {
        !(self.scope.is_empty() && self.audience.is_empty() && self.resource.is_empty())
    }

    /// The targets that were given.
    ///
    /// # Errors
    /// As [`targets`].
    pub(super) fn targets(&self) -> anyhow::Result<Vec<Target>> {
        targets(&self.resource, &self.audience)
    }
}

impl TokenOptions {
    /// The request. Its tokens are read from their files.
    ///
    /// # Errors
    /// If two options read standard input, or a file cannot be read.
    pub(super) fn request(&self) -> anyhow::Result<TokenRequest> {
        let (scope, targets) = (self.target.scope.clone(), self.target.targets()?);
        if let Some(file) = &self.assertion_file {
            let assertion = input::token(file)?;
            return Ok(TokenRequest::JwtBearer(JwtBearerRequest { assertion, scope, targets }));
        }
        let (Some(file), Some(token_type)) = (&self.subject_token_file, self.subject_token_type) else {
            return Ok(TokenRequest::ClientCredentials(ClientCredentialsRequest { scope, targets }));
        };
        let subject = TypedToken { token: input::token(file)?, token_type };
        let actor = match (&self.actor_token_file, self.actor_token_type) {
            (Some(file), Some(token_type)) => Some(TypedToken { token: input::token(file)?, token_type }),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        };
        let requested_token_type = self.requested_token_type;
        Ok(TokenRequest::TokenExchange(TokenExchangeRequest {
            subject,
            actor,
            scope,
            targets,
            requested_token_type,
        }))
    }

    /// Refuses two options that read standard input.
    ///
    /// # Errors
    /// Wrong usage.
    pub(super) fn check_standard_input(&self) -> anyhow::Result<()> {
        let files = [
            &self.secret_file,
            &self.subject_token_file,
            &self.actor_token_file,
            &self.assertion_file,
            &self.client_assertion_file,
            &self.assertion_key,
            &self.dpop_key,
        ];
        if files.into_iter().flatten().filter(|path| path.as_os_str() == "-").count() > 1 {
            return Err(wrong_usage("only one option can read standard input"));
        }
        Ok(())
    }

    /// Whether an option or a variable gives a credential, or a token that is its own.
    ///
    /// # Errors
    /// If the variable is not text.
    pub(super) fn give_a_credential(&self) -> anyhow::Result<bool> {
        let files = [
            &self.secret_file,
            &self.client_assertion_file,
            &self.assertion_key,
            &self.cert,
            &self.subject_token_file,
            &self.assertion_file,
        ];
        Ok(files.into_iter().any(Option::is_some) || SecretVariable::ClientSecret.read()?.is_some())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_types_are_short_names_or_urns() {
        assert_eq!(token_type("id_token"), Ok(TokenType::IdToken));
        assert_eq!(token_type("urn:ietf:params:oauth:token-type:jwt"), Ok(TokenType::Jwt));
        assert!(token_type("bearer").unwrap_err().contains("access_token"));
    }
}
