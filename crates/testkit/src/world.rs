//! The scripted world: clients, keys and revocations in memory, and a controlled clock.

use crate::answer::Answer;
use crate::ask::Ask;
use crate::clients;
use crate::explained;
use crate::revoked_times::RevokedTimes;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::backends::{KeysUnavailable, NotWritten};
use tokenberg_core::explanation::{Explanation, explain};
use tokenberg_core::issuer::Namesake;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::revocation::{Revoked, RevokedBefore as _, Revoking};
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{
    AccessTokenClaims, Answers, Blocking, Client, ClientId, CompactJws, Entropy, Introspection,
    IntrospectionEndpoint, Issuer, Keys, Lifetime, NotGranted, Policy, Presented, PresentedToken, Refusal,
    Request, Revocation, RevocationEndpoint, Secret, SecretDigest, SignatureFault, Timestamp, TokenEndpoint,
    TrustedIssuer, Verified, drive, inquire,
};
use tokenberg_jose::{Keyring, generate};

/// The issuer of the conformance fixture.
pub const ISSUER: &str = "https://as.test";

/// When the world begins, in seconds.
pub const NOW: i64 = 1_800_000_000;

/// The scripted world.
pub struct World {
    /// The endpoint under test.
    pub endpoint: TokenEndpoint,
    /// The present.
    pub now: Timestamp,
    /// Revoked tokens and sessions.
    pub revoked: Vec<Revocation>,
    /// Revocations from before a time, by party.
    pub before: RevokedTimes,
    /// The trusted issuers.
    pub issuers: Vec<TrustedIssuer>,
    /// The status of subjects: issuer, or none, and name.
    pub subjects: Vec<(Option<Issuer>, String, SubjectStatus)>,
    /// The present keys of issuers that have to be fetched; `None` while the issuer is down.
    pub fetched: BTreeMap<String, Option<Box<str>>>,
    /// Whether single-use identifiers can be stored.
    pub has_memory: bool,
    used: Mutex<BTreeSet<(Box<str>, Box<str>)>>,
    keys: Keyring,
    /// The last one signs.
    materials: Vec<KeyMaterial>,
    clients: BTreeMap<ClientId, Arc<Client>>,
    minted: u128,
}

impl World {
    /// The conformance fixture, with one ES256 key.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::at(NOW)
    }

    /// The same, at another time in seconds.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn at(now: i64) -> Self {
        let now = Timestamp::from_seconds(now).unwrap();
        let key = generate(Algorithm::ES256, now, now).unwrap();
        let mut world = Self {
            endpoint: TokenEndpoint::new(Policy::new(ISSUER.parse().unwrap())),
            now,
            revoked: Vec::new(),
            before: RevokedTimes::default(),
            issuers: Vec::new(),
            subjects: Vec::new(),
            fetched: BTreeMap::new(),
            has_memory: true,
            used: Mutex::new(BTreeSet::new()),
            keys: Keyring::read(std::slice::from_ref(&key), now).unwrap(),
            materials: vec![key],
            clients: BTreeMap::new(),
            minted: 0,
        };
        clients::fixture(now).into_iter().for_each(|client| world.register(client));
        world
    }

    /// Registers a client, or replaces it.
    pub fn register(&mut self, client: Client) {
        self.clients.insert(client.id.clone(), Arc::new(client));
    }

    /// Changes a registration.
    ///
    /// # Panics
    /// If there is no such client.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Client)) {
        let client = self.clients.get_mut(&id.parse::<ClientId>().unwrap()).expect("a client of the world");
        change(Arc::make_mut(client));
    }

    /// Removes a client.
    pub fn unregister(&mut self, id: &str) {
        self.clients.remove(&id.parse::<ClientId>().unwrap());
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus(Lifetime::from_seconds(seconds));
    }

    /// How many tokens were made so far.
    #[must_use]
    pub fn minted(&self) -> u128 {
        self.minted
    }

    /// Sends a request, checks what holds for every answer, and returns it.
    ///
    /// # Panics
    /// If the answer breaks a rule that holds for all answers.
    #[allow(clippy::needless_pass_by_value, reason = "rows of tables are used once")]
    pub fn check(&mut self, ask: Ask) -> Answer {
        let answer = self.answer(&ask);
        answer.check_shape(&ask.body);
        answer
    }

    /// The token of a client's own, by Basic.
    ///
    /// # Panics
    /// If it is refused.
    pub fn token(&mut self, id: &str, secret: &str, scope: &str) -> String {
        self.check(Ask::credentials().basic(id, secret).with("scope", scope)).token()
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        let entropy = Entropy::from_bits((self.minted + 1).to_be_bytes());
        let explanation = self.explain(ask);
        let granted = with_request(ask, Presented::of)
            .and_then(|presented| self.endpoint.start(presented, self.now, entropy))
            .map_err(NotGranted::from)
            .and_then(|step| drive(step, &*self, &*self));
        explained::check(&explanation, &granted, &ask.body);
        match granted {
            Ok(granted) => {
                self.minted += 1;
                Answer::Ok(Box::new(granted))
            }
            Err(NotGranted::Refused(refusal)) => {
                let error = self.endpoint.policy().error_for(&refusal);
                Answer::Refused(refusal, error)
            }
            Err(NotGranted::Unsigned(fault)) => panic!("{fault}"),
            Err(outage @ (NotGranted::Unwritten(_) | NotGranted::KeysUnavailable(_))) => {
                Answer::Outage(outage)
            }
        }
    }

    /// The explanation of the next answer.
    ///
    /// # Panics
    /// If explaining uses something up.
    #[must_use]
    pub fn explain(&self, ask: &Ask) -> Explanation {
        let entropy = Entropy::from_bits((self.minted + 1).to_be_bytes());
        let used = self.used.lock().unwrap().clone();
        let explained =
            with_request(ask, |request| explain(&self.endpoint, request, self.now, entropy, self, self));
        assert_eq!(*self.used.lock().unwrap(), used, "explaining used something up");
        explained
    }

    /// The introspection of a presented token.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn introspect(&self, ask: &Ask) -> Result<Introspection, Refusal> {
        let endpoint = IntrospectionEndpoint::of(&self.endpoint);
        let step = presented_token(ask).and_then(|presented| endpoint.start(presented, self.now))?;
        answered(inquire(step, self, self))
    }

    /// The outcome of a revocation, which is stored at once.
    ///
    /// # Errors
    /// The reason why nothing is revoked.
    pub fn revoke(&mut self, ask: &Ask) -> Result<Option<Revoked>, Refusal> {
        let endpoint = RevocationEndpoint::of(&self.endpoint);
        let step = presented_token(ask).and_then(|presented| endpoint.start(presented, self.now))?;
        match answered(inquire(step, &*self, &*self))? {
            Revoking::Nothing(_) => Ok(None),
            Revoking::Write(revoke) => {
                self.revoked.push(revoke.family());
                self.revoked.push(Revocation::Token(revoke.id().clone()));
                Ok(Some(revoke.written()))
            }
        }
    }

    /// Signs claims that the endpoint would not sign: as a stolen key or an older version could.
    ///
    /// # Panics
    /// If no key signs now.
    #[must_use]
    pub fn sign(&self, claims: &AccessTokenClaims) -> String {
        self.keys.sign(claims, self.now).unwrap().expose().to_owned()
    }

    /// The name of the key that signs.
    ///
    /// # Panics
    /// If all were revoked.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.signing().id.as_str()
    }

    fn signing(&self) -> &KeyMaterial {
        self.materials.last().expect("a key signs")
    }

    /// Makes a new key, which signs at once, also when the clock is set back by up to an hour.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn rotate(&mut self) {
        let from = Timestamp::from_seconds(self.now.as_seconds() - 3600).unwrap();
        self.materials.push(generate(Algorithm::ES256, from, from).unwrap());
        self.keys = Keyring::read(&self.materials, self.now).unwrap();
    }

    /// Removes a key, and makes a new one if it was the last.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn revoke_key(&mut self, kid: &str) {
        self.materials.retain(|key| key.id.as_str() != kid);
        if self.materials.is_empty() {
            self.rotate();
        }
        self.keys = Keyring::read(&self.materials, self.now).unwrap();
    }

    /// Signs any header and payload with our own key, as the service never would.
    ///
    /// # Panics
    /// If the key does not sign.
    #[must_use]
    pub fn sign_raw(&self, header: &str, payload: &str) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            self.signing().private.pkcs8().unwrap(),
            &random,
        )
        .unwrap();
        let input = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        let signature = key.sign(&random, input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL.encode(signature))
    }

    /// The refusals that an adapter would have to answer with, for tests of the map.
    #[must_use]
    pub fn error_for(&self, refusal: &Refusal) -> tokenberg_core::OAuthError {
        self.endpoint.policy().error_for(refusal)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Answers for World {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.get(id).cloned()
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        clients::digest(client_id, secret)
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        let by_id = self.revoked.iter().find_map(|revocation| revocation.reason_for(token));
        by_id.or_else(|| Revocation::before(token, &self.before))
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.issuers.iter().find(|known| known.issuer.as_str() == issuer).cloned().map(Arc::new)
    }

    fn similar_issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.issuers.iter().find(|known| known.issuer.is_similar_to(issuer)).cloned().map(Arc::new)
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        let is_its = |c: &&Arc<Client>| c.rights.federations.iter().any(|f| f.is_of(issuer, subject));
        let mut clients = self.clients.values().filter(is_its);
        clients.next().filter(|_| clients.next().is_none()).cloned()
    }

    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        // The operator may know the subject by either name.
        let trusted = issuer.and_then(|issuer| self.issuers.iter().find(|known| known.issuer == *issuer));
        let is_it = |known: &&(Option<Issuer>, String, SubjectStatus)| {
            known.0.as_ref() == issuer && (known.1 == subject || known.1 == sub)
        };
        let known = self.subjects.iter().filter(is_it).map(|known| &known.2);
        let revoked_before = known.clone().map(|known| known.revoked_before).max().flatten();
        let of_names = [subject, sub].iter().filter_map(|name| self.before.of_name(issuer, name)).max();
        let disabled = known.into_iter().any(|known| known.disabled);
        let client = sub.parse().ok().filter(|id| self.clients.contains_key(id));
        let namesake = Namesake::find(sub, trusted, client.as_ref(), &self.issuers);
        let issuer_revoked_before = issuer.and_then(|issuer| self.before.of_issuer(issuer));
        let revoked_before = revoked_before.max(of_names);
        SubjectStatus { disabled, revoked_before, issuer_revoked_before, namesake }
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        Some(format!("nonce-{}", now.as_seconds() / 60).into())
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        let epoch = now.as_seconds() / 60;
        [epoch, epoch - 1].iter().any(|epoch| nonce == format!("nonce-{epoch}"))
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        true
    }
}

impl Blocking for World {
    fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten> {
        assert!(once.until > self.now, "it could not be presented again anyway");
        if !self.has_memory {
            return Err(NotWritten { reason: "requested by the test".to_owned() });
        }
        Ok(self.used.lock().unwrap().insert((once.namespace.clone(), once.id.clone())))
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        _: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        let name = issuer.issuer.as_str();
        match self.fetched.get(name) {
            Some(Some(jwks)) => Ok(self.keys.verify_with(jwks, issuer.trust.accepted_algorithms(), token)),
            Some(None) => Err(KeysUnavailable::new(&issuer.issuer, "it is down")),
            None => panic!("the keys of {name} are requested, but it is not trusted"),
        }
    }
}

fn presented_token(ask: &Ask) -> Result<PresentedToken, Refusal> {
    with_request(ask, PresentedToken::of)
}

fn with_request<T>(ask: &Ask, read: impl FnOnce(&Request<'_>) -> T) -> T {
    let authorization: Vec<&[u8]> = ask.authorization.iter().map(Vec::as_slice).collect();
    let dpop: Vec<&[u8]> = ask.dpop.iter().map(Vec::as_slice).collect();
    read(&Request {
        authorization: &authorization,
        dpop: &dpop,
        certificate: ask.certificate.as_ref(),
        query: ask.query.as_deref(),
        body: &ask.body,
    })
}

fn answered<T>(outcome: Result<T, NotGranted>) -> Result<T, Refusal> {
    outcome.map_err(|denied| match denied {
        NotGranted::Refused(refusal) => refusal,
        NotGranted::Unsigned(_) | NotGranted::Unwritten(_) | NotGranted::KeysUnavailable(_) => {
            panic!("{denied}")
        }
    })
}
