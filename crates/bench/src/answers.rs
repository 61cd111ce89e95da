//! The answers of the benchmarks: some clients in memory, and keys that can skip signatures.

use std::collections::HashMap;
use std::sync::Arc;
use tokenberg_core::answers::{SigningFault, SubjectStatus};
use tokenberg_core::jws::{Algorithm, Algorithms, DpopProof, KeyId};
use tokenberg_core::registration::{AllowedScope, StoredSecret, SubjectPattern};
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, CompactJws, Issuer, Keys, Lifetime, Revocation, Rights,
    Secret, SecretDigest, SignatureFault, Timestamp, TrustedIssuer, Verified,
};
use tokenberg_jose::Keyring;

/// A moment that never changes.
pub struct FixedAnswers {
    clients: HashMap<ClientId, Arc<Client>>,
    keys: Box<dyn Keys>,
}

/// The requesting client.
pub const ASKING: &str = "reporting-service";
/// The client whose tokens are exchanged.
pub(crate) const SUBJECT: &str = "warehouse-user-7";
/// The secret of both clients.
pub const SECRET: &str = "tkb5GnWkEw8bYq2nXr7sVd4JhPz0uLt3cMa9fKo6RiQeTyU";
/// The issuer.
pub const ISSUER: &str = "https://tokens.example";

impl FixedAnswers {
    /// With these keys.
    #[must_use]
    pub fn signing(keys: Keyring) -> Self {
        Self::with(Box::new(keys))
    }

    /// With keys that compute nothing, so that only the core is measured.
    #[must_use]
    pub fn unsigned() -> Self {
        Self::with(Box::new(Unsigned))
    }

    /// With other keys.
    ///
    /// # Panics
    /// If the clients of the benchmark cannot be made.
    #[must_use]
    pub fn with(keys: Box<dyn Keys>) -> Self {
        let scope = "catalog ns:read ns:write PRINCIPAL_ROLE:ALL".parse().expect("a scope");
        let mut rights = Rights::new(AllowedScope::Only(scope));
        rights.audiences = vec!["https://catalog.example".into()];
        rights.token_lifetime = Lifetime::from_hours(1);
        let pattern = format!("{ISSUER}|*");
        rights.may_act_for = vec![pattern.parse::<SubjectPattern>().expect("a pattern")];
        let client = |id: &str| {
            Client::new(
                id.parse().expect("an identifier"),
                vec![StoredSecret { id: "1".into(), digest: digest(id), expires_at: None }],
                rights.clone(),
            )
        };
        let clients = [client(ASKING), client(SUBJECT)];
        Self { clients: clients.into_iter().map(|c| (c.id.clone(), Arc::new(c))).collect(), keys }
    }
}

impl Answers for FixedAnswers {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.get(id).cloned()
    }

    fn digest(&self, client_id: &str, _: &Secret) -> SecretDigest {
        digest(client_id)
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn revoked(&self, _: &AccessTokenClaims) -> Option<Revocation> {
        None
    }

    fn keys(&self) -> &dyn Keys {
        &*self.keys
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        true
    }

    fn issuer(&self, _: &str) -> Option<Arc<TrustedIssuer>> {
        None
    }

    fn federated(&self, _: &Issuer, _: &str) -> Option<Arc<Client>> {
        None
    }

    fn subject(&self, _: Option<&Issuer>, _: &str, _: &str) -> SubjectStatus {
        SubjectStatus::default()
    }

    fn nonce(&self, _: Timestamp) -> Option<Box<str>> {
        None
    }

    fn accepts_nonce(&self, _: &str, _: Timestamp) -> bool {
        false
    }
}

/// The HMAC is measured with the store, so nothing is hashed here.
fn digest(client_id: &str) -> SecretDigest {
    let mut digest = [7; 32];
    for (byte, of_id) in digest.iter_mut().zip(client_id.bytes()) {
        *byte = of_id;
    }
    SecretDigest(digest)
}

/// Signs without computing, and accepts every signature.
struct Unsigned;

impl Keys for Unsigned {
    fn sign(&self, _: &AccessTokenClaims, _: Timestamp) -> Result<Secret, SigningFault> {
        Ok(Secret::new(String::new()))
    }

    fn verify(&self, token: &CompactJws, _: Timestamp) -> Result<Verified, SignatureFault> {
        Ok(found_good(token))
    }

    fn verify_with(&self, _: &str, _: Algorithms, token: &CompactJws) -> Result<Verified, SignatureFault> {
        Ok(found_good(token))
    }

    fn verify_proof(&self, _: &DpopProof) -> Result<Verified, SignatureFault> {
        Ok(Verified::assertion(KeyId::new("none"), Algorithm::ES256))
    }

    fn jwks(&self) -> Arc<str> {
        r#"{"keys":[]}"#.into()
    }

    fn is_costly(&self, _: Timestamp) -> bool {
        false
    }
}

fn found_good(token: &CompactJws) -> Verified {
    let named = token.header().kid.clone();
    Verified::assertion(named.unwrap_or_else(|| KeyId::new("none")), Algorithm::ES256)
}
