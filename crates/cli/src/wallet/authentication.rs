//! How the client authenticates: a secret, an assertion, a certificate, or a token that is its own credential.

use super::options::TokenOptions;
use crate::failure::wrong_usage;
use crate::input::{self, SecretVariable};
use crate::one_request::entropy;
use anyhow::Context;
use serde_json::Value;
use std::path::Path;
use tokenberg_core::client::{ClientAuthentication, assertion_claims};
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{CompactJws, Secret, Timestamp, TokenId, TokenRequest, TokenType};
use tokenberg_jose::ClientKey;

/// The authentication for this request: the one that the options give; else, for an exchange, the actor's or the subject's token.
///
/// # Errors
/// If there is none, a file cannot be read, or a secret cannot be right.
pub(super) fn of(
    options: &TokenOptions,
    request: &TokenRequest,
    issuer: &str,
    now: Timestamp,
) -> anyhow::Result<ClientAuthentication> {
    if let Some(file) = &options.client_assertion_file {
        let assertion = input::token(file)?;
        let kind = kind_of(assertion.expose());
        let client_id = options.client_id.clone();
        return Ok(ClientAuthentication::Assertion { client_id, kind, assertion });
    }
    if let (Some(file), Some(client_id)) = (&options.assertion_key, &options.client_id) {
        let audience = options.assertion_audience.as_deref().unwrap_or(issuer);
        let claims = assertion_claims(client_id, audience, &token_id()?, now);
        let assertion = client_key(file, now)?.assertion(&claims, options.assertion_kid.as_deref())?;
        let client_id = Some(client_id.clone());
        return Ok(ClientAuthentication::Assertion { client_id, kind: AssertionKind::JwtBearer, assertion });
    }
    let credential = credential(options)?;
    match (&options.client_id, credential, request) {
        (_, Some((client_id, client_secret)), _) if options.basic => {
            Ok(ClientAuthentication::Basic { client_id, client_secret })
        }
        (_, Some((client_id, client_secret)), _) => {
            Ok(ClientAuthentication::Body { client_id: Some(client_id), client_secret })
        }
        (_, None, _) if options.basic => Err(wrong_usage(
            "--basic needs a client secret: give --secret-file or set TOKENBERG_CLIENT_SECRET",
        )),
        (Some(client_id), None, _) if options.cert.is_some() => {
            Ok(ClientAuthentication::Id { client_id: client_id.clone() })
        }
        // A client without a credential: the ID token has to be one that was issued to it.
        (Some(client_id), None, TokenRequest::TokenExchange(exchange))
            if exchange.subject.token_type == TokenType::IdToken && exchange.actor.is_none() =>
        {
            Ok(ClientAuthentication::Id { client_id: client_id.clone() })
        }
        (Some(_), None, _) => Err(wrong_usage(
            "--client-id needs a secret: give --secret-file or set TOKENBERG_CLIENT_SECRET; or give --assertion-key, \
             --client-assertion-file or --cert; or omit --client-id to exchange a token that authenticates itself",
        )),
        (None, None, TokenRequest::TokenExchange(exchange)) => {
            let bearer = exchange.actor.as_ref().unwrap_or(&exchange.subject);
            Ok(ClientAuthentication::Bearer(bearer.token.clone()))
        }
        (None, None, TokenRequest::ClientCredentials(_) | TokenRequest::JwtBearer(_)) => Err(wrong_usage(
            "no client authentication: give --client-id, and the secret with --secret-file or TOKENBERG_CLIENT_SECRET, or \
             --assertion-key or --cert; or give --client-assertion-file; or sign in with `tokenberg login`",
        )),
    }
}

/// The client's identifier and secret, if there is a secret.
fn credential(options: &TokenOptions) -> anyhow::Result<Option<(Box<str>, Secret)>> {
    let (secret, source) = match &options.secret_file {
        Some(path) => (input::secret(path)?, input::name(path)),
        None => match SecretVariable::ClientSecret.read()? {
            Some(secret) => (secret, SecretVariable::ClientSecret.name().to_owned()),
            None => return Ok(None),
        },
    };
    let (client_id, secret) = match (&options.client_id, secret.expose().split_once(':')) {
        (Some(client_id), Some((id, rest))) if **client_id == *id => {
            (client_id.clone(), Secret::new(rest.to_owned()))
        }
        (Some(client_id), Some((id, rest))) if is_generated(rest) => {
            return Err(wrong_usage(format!(
                "{source} has ID:SECRET of the client {}, but --client-id (or TOKENBERG_CLIENT_ID) is {client_id}: remove one of the two",
                crate::output::on_one_line(id)
            )));
        }
        (Some(client_id), _) => (client_id.clone(), secret),
        (None, Some((client_id, rest))) if !client_id.is_empty() => {
            (client_id.into(), Secret::new(rest.to_owned()))
        }
        (None, _) => {
            return Err(wrong_usage(format!(
                "{source} has a client secret, but there is no client ID: give --client-id, or write ID:SECRET"
            )));
        }
    };
    check(&secret, &source)?;
    Ok(Some((client_id, secret)))
}

/// Whether the text is of the form of generated secrets, which no part of a chosen one is likely to have.
fn is_generated(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Refuses a secret that cannot be right, before it is sent.
fn check(secret: &Secret, source: &str) -> anyhow::Result<()> {
    let text = secret.expose();
    anyhow::ensure!(
        !text.is_empty(),
        "{source} is empty; it has to contain the client secret, which `tokenberg client secret add ID` prints once"
    );
    if let Some(fault) = tokenberg_store::copy_fault(secret) {
        anyhow::bail!("the secret in {source} {fault}; copy it again");
    }
    // RFC 6749, appendix A.2.
    let at = text.bytes().position(|byte| !matches!(byte, 0x20..=0x7E));
    match at.map(|at| text.as_bytes()[at]) {
        None => Ok(()),
        Some(b'\n' | b'\r') => anyhow::bail!(
            "the secret in {source} contains a line end; one line end after it is ignored, and there are more: \
             write the file with `printf %s`"
        ),
        Some(_) => anyhow::bail!(
            "the secret in {source} contains a character that is not printable ASCII, which no client secret has \
             (RFC 6749, appendix A.2)"
        ),
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

/// The private key in a file.
///
/// # Errors
/// If it cannot be read.
pub(super) fn client_key(file: &Path, now: Timestamp) -> anyhow::Result<ClientKey> {
    if let Some(mode) = input::open_to_others(file) {
        crate::failure::warn(&format!(
            "other users can access the private key in {} (mode {mode:o}); run `chmod 600` on it",
            file.display()
        ));
    }
    ClientKey::read(&input::bytes(file)?, now)
        .with_context(|| format!("cannot use the key in {}", file.display()))
}

/// The identifier of a new assertion or proof.
pub(super) fn token_id() -> anyhow::Result<TokenId> {
    Ok(entropy()?.into_token_id())
}
