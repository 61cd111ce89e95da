//! A token service in memory for tests of embedding programs: no store, nothing in the background, a clock that stands still.
//!
//! Only with the feature `testing`, which belongs into `[dev-dependencies]`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_actix::{BearerConfig, TokenService, TokenServiceBuilder};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::backends::{BoxFuture, NotWritten, Writing};
use tokenberg_core::client::Renewal;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, Entropy, Issuer, Keys, NotGranted, Policy, Presented,
    Revocation, Revocations, Revoke, Rights, Scope, Secret, SecretDigest, SingleUse, Timestamp,
    TokenEndpoint, TokenId, TrustedIssuer, World, drive,
};
use tokenberg_jose::{KeyFault, Keyring};

pub use tokenberg_actix::testing::{Clock, bearer, claims};

/// A token service in memory: its clients, one key, its revocations and its clock. A clone is the same service.
#[derive(Clone)]
pub struct MemoryTokens(Arc<Memory>);

/// What a [`MemoryTokens`] answers from.
pub struct Memory {
    issuer: Issuer,
    clock: Clock,
    keys: Keyring,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: HashMap<ClientId, (Arc<Client>, Secret)>,
    revoked: HashSet<TokenId>,
    used: HashSet<(Box<str>, Box<str>)>,
    tokens: u128,
}

impl MemoryTokens {
    /// A service without clients, whose clock shows this time.
    ///
    /// # Errors
    /// If the system has no random bits for the key.
    pub fn new(issuer: Issuer, now: Timestamp) -> Result<Self, KeyFault> {
        let keys = Keyring::read(&[tokenberg_jose::generate(Algorithm::ES256, now, now)?], now)?;
        let state = Mutex::default();
        Ok(Self(Arc::new(Memory { issuer, clock: Clock::at(now), keys, state })))
    }

    /// The clock of the service and of its extractors.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Registers a client, or replaces it.
    pub fn add_client(&self, id: &ClientId, rights: Rights, secret: Secret) {
        let stored = StoredSecret { id: "1".into(), digest: digest(id.as_str(), &secret), expires_at: None };
        let client = Arc::new(Client::new(id.clone(), vec![stored], rights));
        self.0.state().clients.insert(id.clone(), (client, secret));
    }

    /// Removes a client. Its tokens are refused from now on.
    pub fn remove_client(&self, id: &ClientId) {
        self.0.state().clients.remove(id);
    }

    /// Requests a token for the client with its secret; an empty scope requests its default.
    ///
    /// # Errors
    /// If the client may not have it.
    pub fn token(&self, client: &ClientId, scope: &Scope) -> Result<Secret, NotGranted> {
        let mut state = self.0.state();
        state.tokens += 1;
        let entropy = Entropy::from_bits(state.tokens.to_be_bytes());
        let secret = state.clients.get(client).map(|(_, secret)| secret.clone());
        drop(state);
        let credential = secret.map(|secret| (client.as_str().into(), secret));
        let asking = Renewal { credential, scope: scope.clone(), ..Renewal::default() };
        let sent = asking.first().map(|next| next.request.to_http(&next.authentication));
        let form = sent.as_ref().map_or("", |sent| sent.form.expose());
        let endpoint = TokenEndpoint::new(Policy::new(self.0.issuer.clone()));
        let step =
            endpoint.start(Presented::read(&[], None, form.as_bytes())?, self.clock().now(), entropy)?;
        Ok(drive(step, &*self.0, &())?.response.access_token)
    }

    /// A service for [`TokenService::configure`], which answers from this memory.
    pub fn service(&self) -> TokenServiceBuilder {
        TokenService::builder(Policy::new(self.0.issuer.clone()), self.clone())
            .revocations(self.clone())
            .single_use(self.clone())
            .clock(self.clock().reader())
    }

    /// Accepts the tokens of this service for the issuer as the audience.
    #[must_use]
    pub fn bearer(&self) -> BearerConfig {
        BearerConfig::of(&self.service().build()).single_use(self.clone())
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for MemoryTokens {
    type Moment = Memory;

    fn now(&self) -> Arc<Memory> {
        Arc::clone(&self.0)
    }
}

impl Answers for Memory {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.state().clients.get(id).map(|(client, _)| Arc::clone(client))
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        digest(client_id, secret)
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        true
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        let state = self.state();
        if state.revoked.contains(&token.token_id) {
            return Some(Revocation::Token(token.token_id.clone()));
        }
        let session = &token.session.id;
        state.revoked.contains(session).then(|| Revocation::Session(session.clone()))
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
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

impl Revocations for MemoryTokens {
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a> {
        let session = revoke.branch().unwrap_or(revoke.session());
        self.0.state().revoked.extend([revoke.id().clone(), session.clone()]);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl SingleUse for MemoryTokens {
    fn use_once<'a>(&'a self, once: &'a SingleUseId) -> BoxFuture<'a, Result<bool, NotWritten>> {
        let is_first = self.0.state().used.insert((once.namespace.clone(), once.id.clone()));
        Box::pin(std::future::ready(Ok(is_first)))
    }
}

/// It is quick and not one-way: there is nothing to protect.
fn digest(client_id: &str, secret: &Secret) -> SecretDigest {
    let mut digest = [0; 32];
    for (at, part) in digest.chunks_exact_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (at, client_id, secret.expose()).hash(&mut hasher);
        part.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    SecretDigest(digest)
}
