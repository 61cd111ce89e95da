//! The registered clients of the conformance fixture.

use tokenberg_core::registration::{AllowedScope, Federation, StoredSecret};
use tokenberg_core::{AuthMethod, Client, GrantType, Issuer, Rights, Secret, SecretDigest, Timestamp};

/// A client with both grants, these scopes, one secret, and defaults for everything else.
#[must_use]
pub fn client(id: &str, secret: &str, scope: &str) -> Client {
    let mut client = client_with(id, scope, |rights| rights.audiences = vec!["https://cat.test".into()]);
    client.secrets = vec![stored(id, secret, None)].into();
    client
}

/// A client without a secret, with these scopes and the rights that `change` sets.
#[must_use]
pub fn client_with(id: &str, scope: &str, change: impl FnOnce(&mut Rights)) -> Client {
    let mut rights = Rights::new(AllowedScope::Only(scope.parse().unwrap()));
    change(&mut rights);
    Client::new(id.parse().unwrap(), Vec::new(), rights)
}

/// A client without a secret that signs its own assertions with a key of this JWK Set.
#[must_use]
pub fn signing_client(id: &str, scope: &str, jwks: Box<str>) -> Client {
    client_with(id, scope, |rights| {
        rights.auth_method = AuthMethod::PrivateKeyJwt;
        rights.jwks = Some(jwks);
    })
}

/// A client without a secret that these foreign identities, of an issuer and a subject, stand for.
#[must_use]
pub fn federated_client(id: &str, scope: &str, identities: &[(&str, &str)]) -> Client {
    let federation = |(issuer, subject): &(&str, &str)| Federation {
        issuer: Issuer::foreign(issuer).unwrap(),
        subject: (*subject).into(),
        audience: None,
        uid: None,
    };
    client_with(id, scope, |rights| {
        rights.auth_method = AuthMethod::Federated;
        rights.federations = identities.iter().map(federation).collect();
    })
}

pub(crate) fn stored(id: &str, secret: &str, expires_at: Option<Timestamp>) -> StoredSecret {
    StoredSecret { id: "1".into(), digest: digest(id, &Secret::new(secret.to_owned())), expires_at }
}

/// The clients of the fixture that authenticate with a secret.
pub(crate) fn fixture(now: Timestamp) -> Vec<Client> {
    let mut only_credentials = client("cnx", "snx", "catalog");
    only_credentials.rights_mut().grants = vec![GrantType::ClientCredentials];
    let mut disabled = client("coff", "soff", "catalog");
    disabled.enabled = false;
    let mut expired = client("cexp", "sexp", "catalog");
    expired.secrets = vec![stored("cexp", "sexp", Some(now))].into();
    let mut without_secret = client("cnone", "x", "catalog");
    without_secret.secrets = Vec::new().into();
    let mut torture = client("c 3+%", "p+a%ss:w&=/ ~", "catalog");
    torture.rights_mut().grants = vec![GrantType::ClientCredentials];
    vec![
        client("c1", "s1-Z7", "catalog ns:read ns:write PRINCIPAL_ROLE:ALL"),
        client("c2", "s2-Q4", "catalog"),
        torture,
        only_credentials,
        disabled,
        expired,
        without_secret,
    ]
}

/// Not a hash for real secrets: it only has to differ for different inputs.
pub(crate) fn digest(client_id: &str, secret: &Secret) -> SecretDigest {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut bytes = [0; 32];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (index, client_id, secret.expose()).hash(&mut hasher);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    SecretDigest(bytes)
}
