//! Sessions that a person has signed in for: the terms of the sign-in and the latest token, in a file until the person signs out.

use super::authentication::client_key;
use super::identity::hash;
use super::kept;
use super::obtained::Obtained;
use super::options::{ServiceOptions, targets};
use super::service::{NotObtained, Service};
use super::state_files::{Entry, SESSIONS, StateFiles};
use crate::failure::{warn, wrong_usage};
use crate::web::Web;
use crate::{clock, moment_text, output};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokenberg_core::client::{ClientAuthentication, Renewal};
use tokenberg_core::explanation::option;
use tokenberg_core::request::TokenExchangeRequest;
use tokenberg_core::token::TypedToken;
use tokenberg_core::{Lifetime, Scope, Secret, TokenRequest, TokenType};
use url::Url;

/// The member of the file with the terms of the sign-in. The others are those of [`Obtained`].
const SIGN_IN: &str = "sign_in";

/// The terms of a sign-in: where, as which client, and what for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignIn {
    /// The token service.
    pub(crate) server: Url,
    /// The client, at the provider and at the token service.
    pub(crate) client_id: Box<str>,
    /// The identity provider.
    pub(crate) issuer: Box<str>,
    /// The scope that is requested from the provider.
    pub(crate) issuer_scope: Scope,
    /// Where the provider sends the browser to, without a port if any will do.
    pub(crate) redirect_uri: Url,
    /// The scope of the token; empty to leave it to the service.
    pub(crate) scope: Scope,
    /// Audiences of the token, by name.
    pub(crate) audience: Vec<String>,
    /// Audiences of the token, by URI.
    pub(crate) resource: Vec<String>,
    /// Certificates to trust at the token service.
    pub(crate) ca_file: Option<PathBuf>,
    /// Certificates to trust at the provider.
    pub(crate) issuer_ca: Option<PathBuf>,
    /// The file with what the provider calls the secret of the client.
    pub(crate) issuer_secret_file: Option<PathBuf>,
    /// The key that the token is bound to.
    pub(crate) dpop_key: Option<PathBuf>,
    /// Whether plain http is allowed to other machines.
    pub(crate) insecure_http: bool,
}

impl SignIn {
    /// The exchange of the ID token for a token of the service, by the client without a credential.
    ///
    /// # Errors
    /// If a target is malformed.
    pub(crate) fn exchange(&self, id_token: Secret) -> anyhow::Result<(TokenRequest, ClientAuthentication)> {
        let request = TokenRequest::TokenExchange(TokenExchangeRequest {
            subject: TypedToken { token: id_token, token_type: TokenType::IdToken },
            actor: None,
            scope: self.scope.clone(),
            targets: targets(&self.resource, &self.audience)?,
            requested_token_type: None,
        });
        Ok((request, ClientAuthentication::Id { client_id: self.client_id.clone() }))
    }
}

/// A session of a person.
pub(crate) struct Session {
    sign_in: SignIn,
    files: StateFiles,
}

impl Session {
    /// The session at this server, as this client; where neither is given, the only session.
    ///
    /// # Errors
    /// If there are several such sessions, or the directory of sessions cannot be read.
    pub(crate) fn find(server: Option<&Url>, client_id: Option<&str>) -> anyhow::Result<Option<Self>> {
        let Some(files) = StateFiles::existing(SESSIONS)? else { return Ok(None) };
        let is_wanted = |sign_in: &SignIn| {
            server.is_none_or(|server| endpoint_of(server) == endpoint_of(&sign_in.server))
                && client_id.is_none_or(|client_id| *sign_in.client_id == *client_id)
        };
        let kept = files.all().into_iter().filter_map(|(_, mut file)| file.remove(SIGN_IN));
        let kept = kept.filter_map(|value| serde_json::from_value::<SignIn>(value).ok());
        let mut found: Vec<SignIn> = kept.filter(is_wanted).collect();
        match (found.pop(), &found[..]) {
            (None, _) => Ok(None),
            (Some(sign_in), []) => Ok(Some(Self { sign_in, files })),
            (Some(last), rest) => {
                let name = |one: &SignIn| {
                    output::on_one_line(&format!("--server {} --client-id {}", one.server, one.client_id))
                };
                let names: Vec<String> = rest.iter().chain([&last]).map(name).collect();
                Err(wrong_usage(format!(
                    "you are signed in more than once; choose one of: {}",
                    names.join("; ")
                )))
            }
        }
    }

    /// A session that begins with a sign-in on these terms.
    ///
    /// # Errors
    /// If its file could not be written.
    pub(crate) fn new(sign_in: SignIn) -> anyhow::Result<Self> {
        let session = Self { files: StateFiles::open(SESSIONS)?, sign_in };
        session.entry()?;
        Ok(session)
    }

    /// The terms of the sign-in.
    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }

    /// The token service, reached as at the sign-in unless the options say otherwise.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub(crate) fn service(
        &self,
        options: &ServiceOptions,
        dpop_key: Option<&Path>,
    ) -> anyhow::Result<Service> {
        let sign_in = &self.sign_in;
        let now = clock::now()?;
        let dpop_key = dpop_key.or(sign_in.dpop_key.as_deref());
        let dpop = dpop_key.map(|file| client_key(file, now)).transpose()?;
        let ca = options.ca_file.as_deref().or(sign_in.ca_file.as_deref());
        let web = Web::new(ca, options.insecure_http || sign_in.insecure_http)?;
        Ok(Service::new(&sign_in.server, web, dpop))
    }

    /// Keeps the first token of the session.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn begin(&self, obtained: &Obtained) -> anyhow::Result<()> {
        let mut file = obtained.to_file();
        file.insert(SIGN_IN.to_owned(), serde_json::to_value(&self.sign_in)?);
        self.entry()?.write(&file)
    }

    /// The kept token, renewed with itself if it has to be.
    ///
    /// # Errors
    /// If it has expired, or the service refuses to renew it: the person has to sign in again.
    pub(super) fn token(&self, service: &Service, valid_for: Lifetime) -> anyhow::Result<Obtained> {
        let sign_in = &self.sign_in;
        let targets = targets(&sign_in.resource, &sign_in.audience)?;
        let renewal = Renewal { credential: None, scope: sign_in.scope.clone(), targets, exchange: true };
        kept::or_renewed(&self.entry()?, valid_for, |kept, now| {
            let held = kept.map(Obtained::held);
            let Some(next) = held.as_ref().and_then(|held| renewal.next(Some(held), now)) else {
                return Err(NotObtained::Refused(anyhow::anyhow!(
                    "the token of your session at {} has expired; sign in again: {}",
                    sign_in.server,
                    self.command()
                )));
            };
            service.send(&next.request, &next.authentication).map_err(|fault| match fault {
                NotObtained::Refused(fault) => {
                    NotObtained::Refused(fault.context(format!(
                        "your session cannot be renewed; sign in again: {}",
                        self.command()
                    )))
                }
                NotObtained::Unreachable(fault) => NotObtained::Unreachable(fault),
            })
        })
    }

    /// Removes the file, and revokes the token if the service permits it.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub(crate) fn end(&self, options: &ServiceOptions) -> anyhow::Result<Value> {
        let entry = self.entry()?;
        let now = clock::now()?;
        let token = Obtained::from_file(&entry.read().unwrap_or_default(), now);
        entry.remove()?;
        let mut is_revoked = token.is_none();
        if let Some(token) = token {
            let service = self.service(options, None);
            match service.and_then(|service| service.revoke(token.token(), &self.sign_in.client_id)) {
                Ok(()) => is_revoked = true,
                Err(fault) => warn(&format!(
                    "the token was removed here and is not revoked: {fault:#}; it {}",
                    token.expires_at().map_or_else(
                        || "does not expire".to_owned(),
                        |at| format!("expires {}", moment_text::with_distance(at, now))
                    )
                )),
            }
        }
        let sign_in = &self.sign_in;
        Ok(json!({"server": sign_in.server, "client_id": sign_in.client_id, "revoked": is_revoked}))
    }

    /// The command that signs in on the same terms.
    fn command(&self) -> String {
        let sign_in = &self.sign_in;
        let terms = option("--server", sign_in.server.as_str()) + &option("--client-id", &sign_in.client_id);
        output::on_one_line(&format!("`tokenberg login{terms}`"))
    }

    fn entry(&self) -> anyhow::Result<Entry> {
        let sign_in = &self.sign_in;
        let name = hash(json!([endpoint_of(&sign_in.server), sign_in.client_id]).to_string().as_bytes());
        self.files.entry(&name).context("the session cannot be kept")
    }
}

/// What two addresses of the same service have in common.
fn endpoint_of(server: &Url) -> String {
    Service::endpoint_at(server).to_string()
}
