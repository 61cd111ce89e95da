//! The world of the tests: clients and issuers in memory, keys of `tokenberg-jose`, and switches for faults.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokenberg_actix::{Fixed, TokenService, TokenServiceBuilder};
use tokenberg_core::answers::{SigningFault, SubjectStatus};
use tokenberg_core::backends::{BoxFuture, KeysUnavailable, NotWritten, Writing};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::jws::{Algorithm, Algorithms, DpopProof, KeyId, KeyMaterial, TokenReading};
use tokenberg_core::registration::{AllowedScope, CertificateName, Federation, StoredSecret};
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{
    AccessTokenClaims, Answers, AuthMethod, Client, ClientId, CompactJws, GrantType, Issuer, IssuerKeys,
    KeySource, Keys, Policy, Revocation, Revocations, Revoke, Rights, Secret, SecretDigest, SignatureFault,
    SingleUse, Timestamp, TokenId, TrustedIssuer, Verified,
};
use tokenberg_jose::Keyring;
use tokenberg_testkit::{ForeignKey, trusted};

pub(crate) const ISSUER: &str = "https://as.test";
pub(crate) const AUDIENCE: &str = "https://cat.test";
pub(crate) const NOW: i64 = 1_800_000_000;

/// Ids and secrets of the clients of the fixture; no answer ever holds one of these secrets.
pub(crate) const C1: (&str, &str) = ("c1", "s1-Z7");
pub(crate) const C2: (&str, &str) = ("c2", "s2-Q4");
pub(crate) const TORTURE: (&str, &str) = ("c 3+%", "p+a%ss:w&=/ ~");
pub(crate) const CNX: (&str, &str) = ("cnx", "snx-K9");
pub(crate) const COFF: (&str, &str) = ("coff", "soff-W2");
/// Resource servers: of the catalog, and of something else.
pub(crate) const RS1: (&str, &str) = ("rs1", "srs1-T6");
pub(crate) const RS2: (&str, &str) = ("rs2", "srs2-V8");
pub(crate) const CEXP: (&str, &str) = ("cexp", "sexp-M5");
/// An issuer whose keys are at hand, one whose keys are fetched, and a trust domain of workloads.
pub(crate) const IDP: &str = "https://idp.test";
pub(crate) const FETCHED: &str = "https://fetched.test";
pub(crate) const TRUST_DOMAIN: &str = "spiffe://td.test";
/// The workload that authenticates the client `cw`, and the subject of the certificate of `cm`.
pub(crate) const WORKLOAD: &str = "spiffe://td.test/spark";
pub(crate) const CM_SUBJECT: &str = "CN=cm,O=Test";

/// The world, with switches for tests.
pub(crate) struct World {
    pub(crate) clients: RwLock<Vec<Arc<Client>>>,
    pub(crate) revoked: Mutex<Vec<TokenId>>,
    pub(crate) revoked_sessions: Mutex<Vec<TokenId>>,
    /// Neither revocations nor used identifiers can be written.
    pub(crate) is_store_down: AtomicBool,
    used: Mutex<BTreeSet<(Box<str>, Box<str>)>>,
    pub(crate) issuers: Vec<Arc<TrustedIssuer>>,
    /// The keys of all issuers, and those of the client `cj`.
    pub(crate) idp: ForeignKey,
    pub(crate) cj: ForeignKey,
    /// The issuer whose keys are fetched is down.
    pub(crate) is_issuer_down: AtomicBool,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) keys: TestKeys,
    /// The key of `keys`.
    pub(crate) material: KeyMaterial,
    /// Digests take as long as this, and count as costly.
    pub(crate) slow: Mutex<Option<Duration>>,
    /// Digests wait until this is over.
    pub(crate) holds_digests: AtomicBool,
    pub(crate) digest_panics: AtomicBool,
    pub(crate) lookup_panics: AtomicBool,
}

pub(crate) struct TestKeys {
    keyring: Keyring,
    pub(crate) gone: AtomicBool,
    pub(crate) costly: AtomicBool,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let born = at(NOW - 3600);
        let key = tokenberg_jose::generate(Algorithm::ES256, born, born).unwrap();
        let keyring = Keyring::read(std::slice::from_ref(&key), born).unwrap();
        let (idp, cj) = (ForeignKey::new(Some("p-1")), ForeignKey::new(Some("cj-1")));
        let mut all = clients();
        all.extend(without_secrets(&cj).into_iter().map(Arc::new));
        Arc::new(Self {
            clients: RwLock::new(all),
            used: Mutex::default(),
            issuers: issuers(&idp).into_iter().map(Arc::new).collect(),
            idp,
            cj,
            is_issuer_down: AtomicBool::new(false),
            revoked: Mutex::default(),
            revoked_sessions: Mutex::default(),
            is_store_down: AtomicBool::new(false),
            clock: Arc::new(AtomicI64::new(NOW)),
            material: key,
            keys: TestKeys { keyring, gone: AtomicBool::new(false), costly: AtomicBool::new(false) },
            slow: Mutex::default(),
            holds_digests: AtomicBool::new(false),
            digest_panics: AtomicBool::new(false),
            lookup_panics: AtomicBool::new(false),
        })
    }

    /// A builder under the issuer of the fixture.
    pub(crate) fn builder(self: &Arc<Self>) -> TokenServiceBuilder {
        self.builder_at(ISSUER)
    }

    pub(crate) fn builder_at(self: &Arc<Self>, issuer: &str) -> TokenServiceBuilder {
        self.builder_under(Policy::new(issuer.parse().unwrap()))
    }

    pub(crate) fn builder_under(self: &Arc<Self>, policy: Policy) -> TokenServiceBuilder {
        let clock = Arc::clone(&self.clock);
        TokenService::builder(policy, Fixed::from(Arc::clone(self)))
            .revocations(Ledger(Arc::clone(self)))
            .single_use(Ledger(Arc::clone(self)))
            .issuer_keys(Ledger(Arc::clone(self)))
            .audiences([AUDIENCE])
            .clock(move || at(clock.load(Ordering::SeqCst)))
    }

    pub(crate) fn service(self: &Arc<Self>) -> TokenService {
        self.builder().build()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn disable(&self, id: &str) {
        for client in self.clients.write().unwrap().iter_mut().filter(|c| c.id.as_str() == id) {
            Arc::make_mut(client).enabled = false;
        }
    }
}

/// A service with a separate world.
pub(crate) fn service() -> TokenService {
    World::new().service()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn clients() -> Vec<Arc<Client>> {
    let client = |(id, secret): (&str, &str), scope: &str, grants: &[GrantType], enabled, expires_at| {
        let secret = StoredSecret { id: "1".into(), digest: digest(id, secret), expires_at };
        let mut rights = Rights::new(AllowedScope::Only(scope.parse().unwrap()));
        rights.grants = grants.to_vec();
        rights.audiences = vec![AUDIENCE.into()];
        rights.may_act_for = [ISSUER, IDP, FETCHED].map(|of| format!("{of}|*").parse().unwrap()).to_vec();
        let mut client = Client::new(id.parse().unwrap(), vec![secret], rights);
        client.enabled = enabled;
        Arc::new(client)
    };
    let server = |(id, secret): (&str, &str), served: &str| {
        let mut server = Client::clone(&client((id, secret), "catalog", &GrantType::ALL, true, None));
        server.rights_mut().serves = vec![served.into()];
        Arc::new(server)
    };
    let (both, one) = (GrantType::ALL, [GrantType::ClientCredentials]);
    let wide = "catalog ns:read ns:write PRINCIPAL_ROLE:ALL";
    vec![
        client(C1, wide, &both, true, None),
        client(C2, "catalog ns:read", &both, true, None),
        client(TORTURE, "catalog", &one, true, None),
        client(CNX, "catalog", &one, true, None),
        client(COFF, "catalog", &one, false, None),
        client(CEXP, "catalog", &one, true, Some(at(NOW - 1))),
        server(RS1, AUDIENCE),
        server(RS2, "https://other.test"),
    ]
}

/// `cj` signs its assertions, `cm` has a certificate, the workload authenticates `cw`, and `cd` gets bound tokens only.
fn without_secrets(cj: &ForeignKey) -> Vec<Client> {
    let client = |id: &str, method, change: &dyn Fn(&mut Rights)| {
        let mut rights = Rights::new(AllowedScope::Only("catalog ns:read".parse().unwrap()));
        rights.auth_method = method;
        rights.grants = GrantType::ALL.to_vec();
        rights.audiences = vec![AUDIENCE.into()];
        rights.may_act_for =
            vec![format!("{ISSUER}|*").parse().unwrap(), format!("{IDP}|*").parse().unwrap()];
        change(&mut rights);
        Client::new(id.parse().unwrap(), Vec::new(), rights)
    };
    let federation = Federation {
        issuer: Issuer::foreign(TRUST_DOMAIN).unwrap(),
        subject: WORKLOAD.into(),
        audience: None,
        uid: None,
    };
    vec![
        client("cj", AuthMethod::PrivateKeyJwt, &|rights| rights.jwks = Some(cj.jwks())),
        client("cm", AuthMethod::TlsClientAuth, &|rights| {
            rights.certificate = Some(CertificateName::Subject(CM_SUBJECT.into()));
        }),
        client("cm-uri", AuthMethod::TlsClientAuth, &|rights| {
            rights.certificate = Some(CertificateName::Uri(WORKLOAD.into()));
        }),
        client("cw", AuthMethod::Federated, &|rights| rights.federations = vec![federation.clone()]),
    ]
}

fn issuers(key: &ForeignKey) -> Vec<TrustedIssuer> {
    let mut idp = trusted(IDP, key);
    idp.trust.accept.push(AcceptedAs::JwtBearer);
    let mut fetched = trusted(FETCHED, key);
    fetched.trust.keys = KeySource::Discovery;
    vec![idp, fetched, trusted(TRUST_DOMAIN, key)]
}

fn digest(client_id: &str, secret: &str) -> SecretDigest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(client_id.as_bytes());
    context.update(&[0]);
    context.update(secret.as_bytes());
    SecretDigest(context.finish().as_ref().try_into().unwrap())
}

impl Answers for World {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        assert!(!self.lookup_panics.load(Ordering::SeqCst), "requested by the test");
        self.clients.read().unwrap().iter().find(|c| c.id == *id).cloned()
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        assert!(!self.digest_panics.load(Ordering::SeqCst), "requested by the test");
        while self.holds_digests.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let slow = *self.slow.lock().unwrap();
        slow.into_iter().for_each(std::thread::sleep);
        digest(client_id, secret.expose())
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        self.slow.lock().unwrap().is_some()
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        let sessions = self.revoked_sessions.lock().unwrap();
        if sessions.contains(&token.session.id) {
            return Some(Revocation::Session(token.session.id.clone()));
        }
        let revoked = self.revoked.lock().unwrap();
        revoked.contains(&token.token_id).then(|| Revocation::Token(token.token_id.clone()))
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.issuers.iter().find(|known| known.issuer.as_str() == issuer).cloned()
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        let clients = self.clients.read().unwrap();
        clients.iter().find(|c| c.rights.federations.iter().any(|f| f.is_of(issuer, subject))).cloned()
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        true
    }

    fn subject(&self, _: Option<&Issuer>, _: &str, _: &str) -> SubjectStatus {
        SubjectStatus::default()
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        Some(format!("nonce-{}", now.as_seconds() / 60).into())
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        let epoch = now.as_seconds() / 60;
        [epoch, epoch - 1].iter().any(|epoch| nonce == format!("nonce-{epoch}"))
    }
}

impl SingleUse for Ledger {
    fn use_once<'a>(&'a self, once: &'a SingleUseId) -> BoxFuture<'a, Result<bool, NotWritten>> {
        Box::pin(async move {
            if self.0.is_store_down.load(Ordering::SeqCst) {
                return Err(NotWritten { reason: "as the test wants it".to_owned() });
            }
            Ok(self.0.used.lock().unwrap().insert((once.namespace.clone(), once.id.clone())))
        })
    }
}

impl IssuerKeys for Ledger {
    fn verify<'a>(
        &'a self,
        issuer: &'a TrustedIssuer,
        token: &'a CompactJws,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Result<Verified, SignatureFault>, KeysUnavailable>> {
        Box::pin(async move {
            assert_eq!(issuer.issuer.as_str(), FETCHED, "no other issuer's keys are fetched");
            if self.0.is_issuer_down.load(Ordering::SeqCst) {
                return Err(KeysUnavailable::new(&issuer.issuer, "as the test wants it"));
            }
            Ok(self.0.keys.verify_with(&self.0.idp.jwks(), issuer.trust.accepted_algorithms(), token))
        })
    }
}

/// Where the world stores revocations, unless its store fails.
pub(crate) struct Ledger(pub(crate) Arc<World>);

impl Revocations for Ledger {
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a> {
        Box::pin(async move {
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
            if self.0.is_store_down.load(Ordering::SeqCst) {
                return Err(NotWritten { reason: "as the test wants it".to_owned() });
            }
            self.0.revoked.lock().unwrap().push(revoke.id().clone());
            self.0.revoked_sessions.lock().unwrap().push(revoke.session().clone());
            Ok(())
        })
    }

    fn catch_up(&self) -> Writing<'_> {
        let is_down = self.0.is_store_down.load(Ordering::SeqCst);
        let read =
            if is_down { Err(NotWritten { reason: "as the test wants it".to_owned() }) } else { Ok(()) };
        Box::pin(std::future::ready(read))
    }
}

impl Keys for TestKeys {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(SigningFault::Key { key: KeyId::new("gone") });
        }
        self.keyring.sign(claims, now)
    }

    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        self.keyring.verify(token, now)
    }

    fn read(&self, token: &str, issuer: &Issuer, now: Timestamp) -> TokenReading {
        self.keyring.read(token, issuer, now)
    }

    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        self.keyring.verify_with(jwks, accepted, token)
    }

    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        self.keyring.verify_proof(proof)
    }

    fn jwks(&self) -> Arc<str> {
        self.keyring.jwks()
    }

    fn is_costly(&self, _: Timestamp) -> bool {
        self.costly.load(Ordering::SeqCst)
    }
}

/// Answers from a world whose store may have failed long ago.
pub(crate) struct OldWorld(pub(crate) Arc<World>, pub(crate) Arc<AtomicBool>);

impl tokenberg_actix::World for OldWorld {
    type Moment = World;

    fn now(&self) -> Arc<World> {
        Arc::clone(&self.0)
    }

    fn is_too_old(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
}
