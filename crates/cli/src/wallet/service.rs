//! A token service as its client sees it: its address, the requests to it, and the errors of its answers.

use super::authentication::token_id;
use super::obtained::Obtained;
use crate::clock;
use crate::web::Web;
use anyhow::Context;
use ring::digest::{SHA256, digest};
use tokenberg_core::client::{AnswerFault, ClientAuthentication, Outgoing, proof_claims, read_answer};
use tokenberg_core::token::Thumbprint;
use tokenberg_core::{Secret, TokenRequest};
use tokenberg_jose::ClientKey;
use url::Url;

/// The path of the token endpoint below the address of the service.
const TOKEN_ENDPOINT: &str = "/v1/oauth/tokens";
/// The path of the revocation endpoint below the same address.
const REVOCATION_ENDPOINT: &str = "/v1/oauth/revoke";

/// A token service.
pub(crate) struct Service {
    web: Web,
    base: Url,
    endpoint: Url,
    dpop: Option<ClientKey>,
}

/// Why there is no new token.
pub(crate) enum NotObtained {
    /// The server refused.
    Refused(anyhow::Error),
    /// The server could not be asked.
    Unreachable(anyhow::Error),
}

impl Service {
    /// The service at the address `server`, which is its base URL or the URL of its token endpoint. Its tokens are bound to the key
    /// `dpop`, if there is one.
    pub(super) fn new(server: &Url, web: Web, dpop: Option<ClientKey>) -> Self {
        let base = base_of(server);
        let endpoint = below(&base, TOKEN_ENDPOINT);
        Self { web, base, endpoint, dpop }
    }

    /// The token endpoint of the service at this address.
    pub(super) fn endpoint_at(server: &Url) -> Url {
        below(&base_of(server), TOKEN_ENDPOINT)
    }

    /// The token endpoint.
    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The base URL, without a slash at its end: the issuer, unless the service has another name.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The key that tokens are bound to.
    pub(super) fn dpop(&self) -> Option<&ClientKey> {
        self.dpop.as_ref()
    }

    /// Requests a token.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) fn send(
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
        let refused = |fault| NotObtained::Refused(self.described(fault, answer.request_id.as_deref()));
        let response = read.map_err(refused)?;
        let body = serde_json::from_slice(&answer.body).context("the response is not JSON");
        let body = body.map_err(NotObtained::Refused)?;
        let received_at = clock::now().map_err(NotObtained::Refused)?;
        Ok(Obtained::new(response, body, received_at))
    }

    fn described(&self, fault: AnswerFault, request_id: Option<&str>) -> anyhow::Error {
        let endpoint = &self.endpoint;
        let place = "check the path of --server: it is the base URL of the token service or the URL of its token endpoint";
        match fault {
            AnswerFault::Refused { status: status @ (404 | 405), error } => {
                anyhow::anyhow!("{endpoint} answered {status} {error}; {place}")
            }
            AnswerFault::Refused { status, error } => {
                let error = error.to_string();
                // Some descriptions have it already.
                let id = request_id.filter(|id| !error.contains(id));
                let id = id.map_or_else(String::new, |id| format!(" (request {id})"));
                anyhow::anyhow!("{endpoint} refused the request: {status} {error}{id}")
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

    /// Revokes a token of a client without a credential (RFC 7009 §2.1).
    ///
    /// # Errors
    /// If the server cannot be reached or does not revoke it.
    pub(super) fn revoke(&self, token: &Secret, client_id: &str) -> anyhow::Result<()> {
        let endpoint = below(&self.base, REVOCATION_ENDPOINT);
        let pairs = [("token", token.expose()), ("client_id", client_id)];
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let outgoing = Outgoing { authorization: None, form: Secret::new(form) };
        let answer = self.web.post(&endpoint, &outgoing, None)?;
        anyhow::ensure!(answer.status == 200, "{endpoint} answered {}", answer.status);
        Ok(())
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
    /// The reason.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Refused(fault) | Self::Unreachable(fault) => fault,
        }
    }
}

fn base_of(server: &Url) -> Url {
    let mut base = server.clone();
    let path = server.path().trim_end_matches('/');
    base.set_path(path.strip_suffix(TOKEN_ENDPOINT).unwrap_or(path).trim_end_matches('/'));
    base
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_given_by_its_base_url_or_its_endpoint() {
        for (text, base) in [
            ("http://127.0.0.1:8183", "http://127.0.0.1:8183"),
            ("https://a.example/", "https://a.example"),
            ("https://a.example/api/catalog/", "https://a.example/api/catalog"),
            ("https://a.example/api/v1/oauth/tokens", "https://a.example/api"),
            ("https://a.example/v1/oauth/tokens/", "https://a.example"),
        ] {
            let service = Service::new(&text.parse().unwrap(), Web::new(None, false).unwrap(), None);
            assert_eq!(
                (service.endpoint().as_str(), service.base()),
                (&*format!("{base}/v1/oauth/tokens"), base)
            );
        }
    }
}
