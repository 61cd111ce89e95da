//! Requests a token from the server, or takes the kept one and renews it in time.

use super::authentication::{self, client_key};
use super::obtained::Obtained;
use super::options::TokenOptions;
use super::service::{NotObtained, Service};
use super::session::Session;
use super::state_files::{StateFiles, TOKENS};
use super::{identity, kept};
use crate::clock;
use crate::failure::{warn, wrong_usage};
use crate::roots::client_certificate;
use crate::web::Web;
use tokenberg_core::client::{ClientAuthentication, NextRequest, Renewal};
use tokenberg_core::request::TokenExchangeRequest;
use tokenberg_core::{Lifetime, Secret, Timestamp, TokenRequest};
use url::Url;

/// A client that requests one kind of token.
pub(crate) struct Wallet<'a> {
    options: &'a TokenOptions,
    service: Service,
    source: Source,
}

/// Where tokens come from.
enum Source {
    /// A request that can be sent again.
    Request { request: TokenRequest, authentication: ClientAuthentication },
    /// What a person has signed in for.
    Session(Box<Session>),
}

impl<'a> Wallet<'a> {
    /// Reads the files that the options name. If the options give no credential, and a person has signed in at the service, the
    /// tokens are those of the session.
    ///
    /// # Errors
    /// If there is no credential to authenticate with, or a file cannot be used.
    pub(crate) fn new(options: &'a TokenOptions) -> anyhow::Result<Self> {
        options.check_standard_input()?;
        if !options.give_a_credential()? {
            let found = Session::find(options.service.server.as_ref(), options.client_id.as_deref())?;
            if let Some(session) = found {
                let service = session.service(&options.service, options.dpop_key.as_deref())?;
                return Ok(Self { options, service, source: Source::Session(Box::new(session)) });
            }
        }
        let Some(server) = &options.service.server else {
            return Err(wrong_usage(
                "--server is missing: give the URL of the token service or set TOKENBERG_SERVER, or sign in with `tokenberg login`",
            ));
        };
        let now = clock::now()?;
        let request = options.request()?;
        let dpop = options.dpop_key.as_ref().map(|file| client_key(file, now)).transpose()?;
        let certificate = options.cert.as_deref().zip(options.key.as_deref());
        let certificate = certificate.map(|(cert, key)| client_certificate(cert, key)).transpose()?;
        let web = Web::with(options.service.ca_file.as_deref(), certificate, options.service.insecure_http)?;
        let service = Service::new(server, web, dpop);
        let authentication = authentication::of(options, &request, service.base(), now)?;
        Ok(Self { options, service, source: Source::Request { request, authentication } })
    }

    /// Requests a new token. A session has one, which is renewed in time.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) fn new_token(&self) -> anyhow::Result<Obtained> {
        match &self.source {
            Source::Request { request, authentication } => {
                self.service.send(request, authentication).map_err(NotObtained::into_error)
            }
            Source::Session(session) => self.of_session(session, Lifetime::ZERO),
        }
    }

    /// The kept token, if it does not have to be renewed yet and is valid for this long; else a new one, which is kept.
    ///
    /// # Errors
    /// As [`Wallet::new_token`]. A server that cannot be reached is only warned of while the kept token is valid.
    pub(crate) fn kept_token(&self, valid_for: Lifetime) -> anyhow::Result<Obtained> {
        let (request, authentication) = match &self.source {
            Source::Request { request, authentication } => (request, authentication),
            Source::Session(session) => return self.of_session(session, valid_for),
        };
        let (endpoint, dpop) = (self.service.endpoint(), self.service.dpop());
        let name = identity::of(self.options, endpoint, request, authentication, dpop)?;
        let opened =
            StateFiles::open(TOKENS).and_then(|files| files.entry(&name).map(|entry| (files, entry)));
        let (files, entry) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                warn(&format!("the token is not kept: {fault:#}"));
                return self.new_token();
            }
        };
        kept::or_renewed(&entry, valid_for, |kept, now| {
            let obtained = self.renewed(request, authentication, kept, now)?;
            kept::remove_expired(&files, now);
            Ok(obtained)
        })
    }

    /// Renews the result of an exchange with itself, as Iceberg clients do, because the subject's token may have expired. Everything
    /// else is requested again.
    fn renewed(
        &self,
        request: &TokenRequest,
        authentication: &ClientAuthentication,
        kept: Option<&Obtained>,
        now: Timestamp,
    ) -> Result<Obtained, NotObtained> {
        if let (Some(kept), TokenRequest::TokenExchange(exchange)) = (kept, request) {
            let (scope, targets) = (exchange.scope.clone(), exchange.targets.clone());
            let renewal = Renewal { credential: None, scope, targets, exchange: true };
            if let Some(NextRequest { request, authentication }) = renewal.next(Some(&kept.held()), now)
                && let Ok(obtained) = self.service.send(&request, &authentication)
            {
                return Ok(obtained);
            }
        }
        self.service.send(request, authentication)
    }

    /// The token of the session; one with the scope or for the audience that the options name is exchanged for it.
    fn of_session(&self, session: &Session, valid_for: Lifetime) -> anyhow::Result<Obtained> {
        let whole = session.token(&self.service, valid_for)?;
        let target = &self.options.target;
        if !target.is_given() {
            return Ok(whole);
        }
        let request = TokenRequest::TokenExchange(TokenExchangeRequest {
            subject: whole.held().token,
            actor: None,
            scope: target.scope.clone(),
            targets: target.targets()?,
            requested_token_type: None,
        });
        let authentication = ClientAuthentication::Bearer(whole.token().clone());
        self.service.send(&request, &authentication).map_err(NotObtained::into_error)
    }

    /// Whether there is a key for proofs.
    pub(crate) fn makes_proofs(&self) -> bool {
        self.service.dpop().is_some()
    }

    /// A proof for a request with this token; `None` without a key for proofs.
    ///
    /// # Errors
    /// If the key does not sign.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &Url,
        token: Option<&Secret>,
    ) -> anyhow::Result<Option<Secret>> {
        self.service.proof(method, url, None, token)
    }
}
