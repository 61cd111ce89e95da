//! Evidence types: exactly one function makes each value, and the next step requires it.

use crate::text::ShortText;
use crate::token::{Origin, Provenance, Session};
use crate::{
    AccessTokenClaims, AuthMethod, Client, ClientId, Issuer, Subject, Timestamp, TokenId, TrustedIssuer,
};
use std::sync::Arc;

/// A client that has authenticated.
#[derive(Clone)]
pub(crate) struct Authenticated {
    client: Arc<Client>,
    by: AuthenticatedBy,
}

/// What the client proved it with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AuthenticatedBy {
    /// The client's own credential, as opposed to a token, which may be stolen.
    Credential,
    /// The secret of this name, which is the client's own credential, too.
    Secret(ShortText),
    /// An assertion of another issuer about a subject that stands for the client.
    Identity(Box<(Issuer, Subject)>),
    /// A token that was issued to it.
    Bearer,
    /// The ID token in the request, which was issued to it: it has no credential.
    IdToken,
}

impl Authenticated {
    /// Only [`super::client_secret`] makes one.
    pub(super) fn by_secret(client: Arc<Client>, name: ShortText) -> Self {
        Self { client, by: AuthenticatedBy::Secret(name) }
    }

    /// Only [`super::client_assertion`] and [`super::certificate`] make one.
    pub(super) fn by_credential(client: Arc<Client>) -> Self {
        Self { client, by: AuthenticatedBy::Credential }
    }

    /// Only [`super::client_assertion`] makes one.
    pub(super) fn by_identity(client: Arc<Client>, issuer: Issuer, subject: Subject) -> Self {
        Self { client, by: AuthenticatedBy::Identity(Box::new((issuer, subject))) }
    }

    /// Only [`super::public_client`] makes one.
    pub(super) fn by_id_token(client: Arc<Client>) -> Self {
        Self { client, by: AuthenticatedBy::IdToken }
    }

    /// The client to which a verified token was issued.
    pub(crate) fn by_bearer(token: &ProvenToken) -> Self {
        Self { client: Arc::clone(&token.client), by: AuthenticatedBy::Bearer }
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(crate) fn id(&self) -> &ClientId {
        &self.client.id
    }

    /// Whether it authenticated with this request, and not by a token that it obtained before.
    pub(crate) fn with_credential(&self) -> bool {
        match self.by {
            AuthenticatedBy::Credential | AuthenticatedBy::Secret(_) | AuthenticatedBy::Identity(_) => true,
            AuthenticatedBy::Bearer | AuthenticatedBy::IdToken => false,
        }
    }

    /// Whether it authenticated with this request by the credential that it is registered with.
    pub(crate) fn by_own_credential(&self) -> bool {
        match self.by {
            AuthenticatedBy::Credential | AuthenticatedBy::Secret(_) => true,
            AuthenticatedBy::Identity(_) | AuthenticatedBy::Bearer | AuthenticatedBy::IdToken => false,
        }
    }

    /// The name of the secret by which it authenticated.
    pub(crate) fn secret(&self) -> Option<&ShortText> {
        match &self.by {
            AuthenticatedBy::Secret(name) => Some(name),
            AuthenticatedBy::Credential
            | AuthenticatedBy::Identity(_)
            | AuthenticatedBy::Bearer
            | AuthenticatedBy::IdToken => None,
        }
    }

    /// Whether it is registered without a credential: anyone can name it, so it is no actor, and nothing is sent to it.
    pub(crate) fn is_public(&self) -> bool {
        self.client.rights.auth_method == AuthMethod::Public
    }

    /// The identity by which it authenticated, as what it obtains now depends on it.
    pub(crate) fn identity(&self, now: Timestamp) -> Option<Origin> {
        match &self.by {
            AuthenticatedBy::Identity(identity) => {
                let (issuer, subject) = (**identity).clone();
                Some(Origin::Identity { issuer, subject, client: self.client.id.clone(), since: now })
            }
            AuthenticatedBy::Credential
            | AuthenticatedBy::Secret(_)
            | AuthenticatedBy::Bearer
            | AuthenticatedBy::IdToken => None,
        }
    }

    /// A session of the client for itself, which begins now and depends on the identity by which the client authenticated.
    pub(crate) fn begin_session(&self, id: TokenId, now: Timestamp, end: Timestamp) -> Session {
        let origins: Vec<Origin> = self.identity(now).into_iter().collect();
        let provenance = Provenance { origins, ..Provenance::default() }.boxed();
        Session { provenance, ..Session::own(id, now, end) }
    }
}

/// A token of ours whose signature, claims and times are valid, and that is not revoked. If it is bound to a key, possession may be
/// unproven: it may be reported on, but no token may be issued for it.
pub(crate) struct ValidToken {
    claims: Arc<AccessTokenClaims>,
    client: Arc<Client>,
    principal: Option<Arc<Client>>,
    issuer: Option<Arc<TrustedIssuer>>,
}

impl ValidToken {
    /// Only [`super::access_token::valid`] makes one.
    pub(super) fn new(
        claims: Arc<AccessTokenClaims>,
        client: Arc<Client>,
        principal: Option<Arc<Client>>,
        issuer: Option<Arc<TrustedIssuer>>,
    ) -> Self {
        Self { claims, client, principal, issuer }
    }

    pub(crate) fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    pub(crate) fn into_claims(self) -> Arc<AccessTokenClaims> {
        self.claims
    }

    /// The registration of the client to which it was issued.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// A valid, unrevoked token for which possession of every key that it is bound to is proven.
///
/// It may have expired; such a token is accepted only as the subject of an exchange with the client's own credential.
#[derive(Clone)]
pub(crate) struct ProvenToken {
    claims: Arc<AccessTokenClaims>,
    client: Arc<Client>,
    principal: Option<Arc<Client>>,
    issuer: Option<Arc<TrustedIssuer>>,
}

impl ProvenToken {
    /// Only [`super::access_token::possessed`] makes one.
    pub(super) fn of(token: ValidToken) -> Self {
        let ValidToken { claims, client, principal, issuer } = token;
        Self { claims, client, principal, issuer }
    }

    pub(crate) fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// The registration of the subject, where the subject is a client of ours.
    pub(crate) fn principal(&self) -> Option<&Client> {
        self.principal.as_deref()
    }

    /// The issuer of the subject as it is registered, where that is another one.
    pub(crate) fn issuer(&self) -> Option<&TrustedIssuer> {
        self.issuer.as_deref()
    }
}
