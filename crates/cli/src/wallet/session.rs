//! Requests a token from the server, or takes the kept one and renews it in time.

use super::authentication::{self, client_key, token_id};
use super::cache::Cache;
use super::identity;
use super::obtained::Obtained;
use super::options::TokenOptions;
use crate::clock;
use crate::failure::warn;
use crate::roots::client_certificate;
use crate::web::Web;
use anyhow::Context;
use ring::digest::{SHA256, digest};
use tokenberg_core::client::{
    AnswerFault, ClientAuthentication, NextRequest, Renewal, proof_claims, read_answer,
};
use tokenberg_core::token::Thumbprint;
use tokenberg_core::{Lifetime, Secret, Timestamp, TokenRequest};
use tokenberg_jose::ClientKey;
use url::Url;

/// A client that requests one kind of token.
pub(crate) struct Wallet<'a> {
    options: &'a TokenOptions,
    web: Web,
    endpoint: Url,
    request: TokenRequest,
    authentication: ClientAuthentication,
    dpop: Option<ClientKey>,
}

/// Why there is no new token.
enum NotObtained {
    /// The server refused.
    Refused(anyhow::Error),
    /// The server could not be asked.
    Unreachable(anyhow::Error),
}

impl<'a> Wallet<'a> {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// If there is no credential to authenticate with, or a file cannot be used.
    pub(crate) fn new(options: &'a TokenOptions) -> anyhow::Result<Self> {
        options.check_standard_input()?;
        let now = clock::now()?;
        let (endpoint, issuer) = options.endpoint();
        let request = options.request()?;
        let authentication = authentication::of(options, &request, &issuer, now)?;
        let dpop = options.dpop_key.as_ref().map(|file| client_key(file, now)).transpose()?;
        let certificate = options.cert.as_deref().zip(options.key.as_deref());
        let certificate = certificate.map(|(cert, key)| client_certificate(cert, key)).transpose()?;
        let web = Web::with(options.ca_file.as_deref(), certificate, options.insecure_http)?;
        Ok(Self { options, web, endpoint, request, authentication, dpop })
    }

    /// Requests a new token.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) fn new_token(&self) -> anyhow::Result<Obtained> {
        self.send(&self.request, &self.authentication).map_err(NotObtained::into_error)
    }

    /// The kept token, if it does not have to be renewed yet and is valid for this long; else a new one, which is kept.
    ///
    /// # Errors
    /// As [`Wallet::new_token`]. A server that cannot be reached is only warned of while the kept token is valid.
    pub(crate) fn kept_token(&self, valid_for: Lifetime) -> anyhow::Result<Obtained> {
        let name = identity::of(
            self.options,
            &self.endpoint,
            &self.request,
            &self.authentication,
            self.dpop.as_ref(),
        )?;
        let entry = match Cache::open().and_then(|cache| cache.entry(&name)) {
            Ok(entry) => entry,
            Err(fault) => {
                warn(&format!("the token is not kept: {fault:#}"));
                return self.new_token();
            }
        };
        let now = clock::now()?;
        let kept = entry.read(now);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_good_for(valid_for, now)) {
            return Ok(kept.clone().at(now));
        }
        match self.renewed(kept.as_ref(), now) {
            Ok(obtained) => {
                if let Err(fault) = entry.write(&obtained, now) {
                    warn(&format!("the token is not kept: {fault:#}"));
                }
                let expires_in = obtained.expires_in();
                if let Some(expires_in) = expires_in.filter(|expires_in| *expires_in < valid_for) {
                    warn(&format!(
                        "the new token is valid for {expires_in} only, less than --valid-for {valid_for}"
                    ));
                }
                Ok(obtained)
            }
            Err(NotObtained::Unreachable(fault)) if kept.is_some() => {
                warn(&format!("the token cannot be renewed now: {fault:#}; the kept one is still valid"));
                kept.map(|kept| kept.at(now)).context("no token")
            }
            Err(fault) => Err(fault.into_error()),
        }
    }

    /// Renews the result of an exchange with itself, as Iceberg clients do, because the subject's token may have expired. Everything
    /// else is requested again.
    fn renewed(&self, kept: Option<&Obtained>, now: Timestamp) -> Result<Obtained, NotObtained> {
        if let (Some(kept), TokenRequest::TokenExchange(exchange)) = (kept, &self.request) {
            let (scope, targets) = (exchange.scope.clone(), exchange.targets.clone());
            let renewal = Renewal { credential: None, scope, targets, exchange: true };
            if let Some(NextRequest { request, authentication }) = renewal.next(Some(&kept.held()), now)
                && let Ok(obtained) = self.send(&request, &authentication)
            {
                return Ok(obtained);
            }
        }
        self.send(&self.request, &self.authentication)
    }

    fn send(
        &self,
        request: &TokenRequest,
        authentication: &ClientAuthentication,
    ) -> Result<Obtained, NotObtained> {
        let outgoing = request.to_http(authentication);
        let post = |nonce: Option<&str>| {
            let proof = self.proof("POST", &self.endpoint, nonce, None)?;
            self.web.post(&self.endpoint, &outgoing, proof.as_ref())
        };
        let mut answer = post(None).map_err(NotObtained::Unreachable)?;
        let mut read = read_answer(answer.status, &answer.body);
        // RFC 9449 §8: the server provides a nonce, and the client sends the request again with it.
        let wants_nonce = |fault: &AnswerFault| matches!(fault, AnswerFault::Refused { error, .. } if &*error.code == "use_dpop_nonce");
        if self.dpop.is_some()
            && read.as_ref().is_err_and(wants_nonce)
            && let Some(nonce) = answer.dpop_nonce.take()
        {
            answer = post(Some(&nonce)).map_err(NotObtained::Unreachable)?;
            read = read_answer(answer.status, &answer.body);
        }
        let refused = |fault| NotObtained::Refused(self.described(fault));
        let response = read.map_err(refused)?;
        let body = serde_json::from_slice(&answer.body).context("the response is not JSON");
        let body = body.map_err(NotObtained::Refused)?;
        let received_at = clock::now().map_err(NotObtained::Refused)?;
        Ok(Obtained::new(response, body, received_at))
    }

    fn described(&self, fault: AnswerFault) -> anyhow::Error {
        let endpoint = &self.endpoint;
        let place = "check the path of --server: it is the base URL of the token service or the URL of its token endpoint";
        match fault {
            AnswerFault::Refused { status: status @ (404 | 405), error } => {
                anyhow::anyhow!("{endpoint} answered {status} {error}; {place}")
            }
            AnswerFault::Refused { status, error } => {
                anyhow::anyhow!("{endpoint} refused the request: {status} {error}")
            }
            AnswerFault::NoError { status } => {
                anyhow::anyhow!(
                    "{endpoint} answered {status}, and the body is no OAuth error: is it a token endpoint? {place}"
                )
            }
            AnswerFault::NoToken(_) | AnswerFault::NoIntrospection => {
                anyhow::Error::from(fault).context(endpoint.to_string())
            }
        }
    }

    /// A proof for a request with this token; `None` without a key for proofs.
    ///
    /// # Errors
    /// If the key does not sign.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &Url,
        nonce: Option<&str>,
        token: Option<&Secret>,
    ) -> anyhow::Result<Option<Secret>> {
        let Some(key) = &self.dpop else { return Ok(None) };
        let hash = token.and_then(|token| {
            let hash = digest(&SHA256, token.expose().as_bytes());
            hash.as_ref().try_into().ok().map(Thumbprint::of)
        });
        let claims = proof_claims(method, url.as_str(), nonce, hash.as_ref(), &token_id()?, clock::now()?);
        Ok(Some(key.proof(&claims)?))
    }
}

impl NotObtained {
    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Refused(fault) | Self::Unreachable(fault) => fault,
        }
    }
}
