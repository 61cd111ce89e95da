//! An OpenID provider: its configuration, its token endpoint, and the check of its ID tokens.

use crate::output::on_one_line;
use crate::web::Web;
use crate::{clock, published};
use anyhow::Context;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::http::header::AUTHORIZATION;
use oauth2::{
    AccessToken, AuthType, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet, ErrorResponse,
    ExtraTokenFields, HttpRequest, HttpResponse, RequestTokenError, StandardRevocableToken,
    StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokenberg_core::client::Outgoing;
use tokenberg_core::{IdTokenVerification, Issuer, Secret};
use url::Url;

/// The member of a token response that OpenID Connect adds (Core 1.0 §3.1.3.3). Its `Debug` shows no token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IdTokenMember {
    id_token: Option<AccessToken>,
}

impl ExtraTokenFields for IdTokenMember {}

/// A token response of the provider.
pub(super) type Tokens = StandardTokenResponse<IdTokenMember, BasicTokenType>;

/// A client of the provider.
pub(super) type ProviderClient = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// An OpenID provider that has published its configuration.
pub(crate) struct Provider {
    web: Web,
    issuer: Issuer,
    metadata: Map<String, Value>,
    client_id: Box<str>,
    client_secret: Option<Secret>,
}

/// A person who has signed in.
pub(crate) struct Person {
    /// The ID token.
    pub(crate) id_token: Secret,
    /// `sub`.
    pub(crate) subject: String,
    /// How people call the person: `email`, `preferred_username` or `name`, else `sub`.
    pub(crate) name: String,
}

/// A request that was not sent, or not answered.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(super) struct NotAnswered(anyhow::Error);

impl Provider {
    /// Reads the configuration of the provider, for this client of it.
    ///
    /// # Errors
    /// If the provider cannot be reached, or does not publish its configuration.
    pub(crate) fn discover(
        web: Web,
        issuer: Issuer,
        client_id: &str,
        client_secret: Option<Secret>,
    ) -> anyhow::Result<Self> {
        let metadata = published::openid_configuration(&web, &issuer)
            .context("cannot read the configuration of the identity provider that --issuer names")?;
        Ok(Self { web, issuer, metadata, client_id: client_id.into(), client_secret })
    }

    /// The issuer of its ID tokens.
    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The address of an endpoint; `None` if the provider has none.
    ///
    /// # Errors
    /// If it is not an address that a browser or this program should open.
    pub(super) fn endpoint(&self, name: &str) -> anyhow::Result<Option<Url>> {
        let Some(text) = self.metadata.get(name).and_then(Value::as_str) else { return Ok(None) };
        self.address(text).map(Some).with_context(|| format!("the {name} of {}", self.issuer))
    }

    /// An address that the provider names, if it is one to open.
    ///
    /// # Errors
    /// If it is neither https nor on this machine.
    pub(super) fn address(&self, text: &str) -> anyhow::Result<Url> {
        let url: Url = text.parse().context("it is not a URL")?;
        self.web.check(&url)?;
        Ok(url)
    }

    /// Whether the configuration promises this.
    pub(super) fn promises(&self, name: &str) -> bool {
        self.metadata.get(name) == Some(&Value::Bool(true))
    }

    /// Whether a list of the configuration names others and not this; a list that is absent rules nothing out.
    pub(super) fn rules_out(&self, list: &str, value: &str) -> bool {
        let listed = self.metadata.get(list).and_then(Value::as_array);
        listed.is_some_and(|listed| !listed.iter().any(|one| one == value))
    }

    /// The client at the token endpoint.
    ///
    /// # Errors
    /// If the provider has no token endpoint.
    pub(super) fn client(&self) -> anyhow::Result<ProviderClient> {
        let endpoint = self.endpoint("token_endpoint")?;
        let endpoint = endpoint
            .with_context(|| format!("the configuration of {} has no token_endpoint", self.issuer))?;
        let client = Client::new(ClientId::new(self.client_id.to_string()));
        let mut client = client.set_token_uri(TokenUrl::from_url(endpoint));
        if let Some(secret) = &self.client_secret {
            let basic = "client_secret_basic";
            let methods = "token_endpoint_auth_methods_supported";
            if self.rules_out(methods, basic) {
                client = client.set_auth_type(AuthType::RequestBody);
            }
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        Ok(client)
    }

    /// Sends a request to the provider, without following redirects.
    pub(super) fn send(&self, request: HttpRequest) -> Result<HttpResponse, NotAnswered> {
        let post = || {
            let url: Url = request.uri().to_string().parse()?;
            let authorization =
                request.headers().get(AUTHORIZATION).map(|value| value.to_str()).transpose()?;
            let authorization = authorization.map(|value| Secret::new(value.to_owned()));
            let form = Secret::new(String::from_utf8(request.body().clone())?);
            let answer = self.web.post(&url, &Outgoing { authorization, form }, None)?;
            Ok(oauth2::http::Response::builder().status(answer.status).body(answer.body.to_vec())?)
        };
        post().map_err(NotAnswered)
    }

    /// Why the provider gave no token, with what to do about it.
    pub(super) fn refused<E: ErrorResponse + 'static>(
        &self,
        fault: RequestTokenError<NotAnswered, E>,
        endpoint: &Url,
    ) -> anyhow::Error {
        match fault {
            RequestTokenError::ServerResponse(error) => {
                let text = on_one_line(&error.to_string());
                let advice = advice(&text, &self.client_id);
                anyhow::anyhow!("{endpoint} refused the request: {text}{advice}")
            }
            RequestTokenError::Request(NotAnswered(fault)) => fault,
            // The body may hold a token.
            RequestTokenError::Parse(fault, _) => {
                anyhow::anyhow!("{endpoint} answered with no token response: `{}` is malformed", fault.path())
            }
            RequestTokenError::Other(fault) => anyhow::anyhow!("{endpoint}: {fault}"),
        }
    }

    /// The person whose ID token the response has.
    ///
    /// # Errors
    /// If there is none, or it is not a valid one of this provider for this client and this sign-in.
    pub(super) fn person(&self, tokens: &Tokens, nonce: Option<&str>) -> anyhow::Result<Person> {
        let issuer = &self.issuer;
        let id_token = tokens.extra_fields().id_token.as_ref();
        let id_token = id_token.with_context(|| {
            format!("{issuer} returned no ID token; is the scope `openid` permitted for {}?", self.client_id)
        })?;
        let verification = IdTokenVerification::new(issuer.clone(), vec![self.client_id.clone()]);
        let claims = || -> anyhow::Result<Map<String, Value>> {
            let framed = verification.framed(id_token.secret())?;
            let keys = published::keys(&self.web, &self.metadata)?;
            Ok(verification.claims(&framed, keys.verify(&framed), clock::now()?)?.clone())
        };
        let claims = claims().with_context(|| format!("the ID token of {issuer} is not valid"))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // OpenID Connect Core 1.0 §3.1.3.7: "a nonce Claim MUST be present and its value checked".
        anyhow::ensure!(
            nonce.is_none_or(|nonce| text("nonce") == Some(nonce)),
            "the ID token of {issuer} belongs to another sign-in: its nonce is not that of this one"
        );
        let subject = text("sub").unwrap_or_default();
        let name = ["email", "preferred_username", "name"].into_iter().find_map(text).unwrap_or(subject);
        Ok(Person {
            id_token: Secret::new(id_token.secret().clone()),
            subject: subject.to_owned(),
            name: on_one_line(name),
        })
    }
}

/// What to do about an error of the provider's token endpoint, to follow it.
fn advice(error: &str, client_id: &str) -> String {
    let code = error.split(':').next().unwrap_or_default();
    match code {
        "invalid_client" => format!(
            "; is {client_id} registered at the provider, as a public client? --issuer-secret-file gives the secret that some \
             providers demand nevertheless"
        ),
        "unauthorized_client" | "unsupported_grant_type" => {
            format!("; permit this flow for the client {client_id} at the provider")
        }
        "invalid_grant" => "; run `tokenberg login` again".to_owned(),
        "access_denied" => "; the sign-in was declined, or the provider does not permit it".to_owned(),
        "expired_token" => "; the code has expired: run `tokenberg login` again".to_owned(),
        _ => String::new(),
    }
}
