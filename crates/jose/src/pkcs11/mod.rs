//! Signing keys that a PKCS#11 token holds, such as an HSM: the private halves never leave it; conformance KS-10.

mod error;
mod pool;
mod session;
mod token;
mod uri;

pub use error::Pkcs11Error;

use crate::signing_key::SigningKey;
use crate::thumbprint;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use pool::{Pool, Refused};
use ring::rand::{SecureRandom, SystemRandom};
use session::{Description, Seat, describe, private_key};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use token::{Token, call};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::{BoxFuture, DeviceFault, KeyDevice};
use tokenberg_core::jws::{Algorithm, DeviceKey, KeyId, KeyMaterial, PrivateHalf};
use tokenberg_core::{Secret, Timestamp};
use uri::KeyUri;

/// The label of keys that are generated.
const LABEL: &str = "tokenberg";

/// What identifies a token, and how many requests it may get at a time.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "an embedding program makes it")]
pub struct Pkcs11Options {
    /// The file of the module, a shared library that the maker of the device provides. It runs with all rights of the process.
    pub module: PathBuf,
    /// The label of the token.
    pub token: Box<str>,
    /// The PIN of the user, which is never in a message.
    pub pin: Secret,
    /// The most sessions, each with a thread; fewer if the token says that it allows fewer.
    pub sessions: usize,
    /// How many more signatures may wait for a session.
    pub waiting: usize,
}

/// A token of PKCS#11 that is logged in; a clone is the same token.
///
/// Each session has its own thread, since a call blocks until the device answers. A lost session is opened again by the next
/// signature.
#[derive(Clone)]
pub struct Pkcs11(Arc<Inner>);

struct Inner {
    token: Arc<Token>,
    pool: Pool<Seat>,
    waiting: usize,
    /// A token logs out when the last session of a process is closed.
    _keeps_logged_in: Mutex<Session>,
}

impl Pkcs11 {
    /// Loads the module, finds the token and logs in. Blocks until the device has answered.
    ///
    /// # Errors
    /// If the module cannot be loaded, no token has the label, or it refuses the PIN.
    pub fn open(options: Pkcs11Options) -> Result<Self, Pkcs11Error> {
        let Pkcs11Options { module, token, pin, sessions, waiting } = options;
        let token = Token::load(&module, &token, pin)?;
        let most = token.most_sessions()?.unwrap_or(sessions);
        let session = Mutex::new(token.open(false)?);
        // Of those that the token allows, this one is in use, and one is left for changes.
        let threads = sessions.min(most.saturating_sub(2)).max(1);
        let pool = Pool::new("pkcs11", threads, waiting);
        Ok(Self(Arc::new(Inner { token: Arc::new(token), pool, waiting, _keeps_logged_in: session })))
    }

    /// Generates a key pair in the token, which can neither be read nor exported: ES256, ES384, EdDSA, or RSA of 3072 bits.
    ///
    /// # Errors
    /// If the token does not generate such keys.
    pub async fn generate(
        &self,
        algorithm: Algorithm,
        created_at: Timestamp,
        signs_from: Timestamp,
    ) -> Result<KeyMaterial, Pkcs11Error> {
        let mut id = [0; 16];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| Pkcs11Error::Thread("the system gave no random bits"))?;
        let times = (created_at, signs_from);
        self.changing(move |token, session| {
            let key = session::generate(session, algorithm, LABEL, &id)
                .map_err(|error| call("generating the key", &error))?;
            material(token, session, key, Some(algorithm), times)
        })
        .await
    }

    /// Reads the public half of a key that is in the token, `pkcs11:object=LABEL` or `pkcs11:id=%01`, and checks by a signature that
    /// it belongs to the private one. An RSA key is for RS256 unless PS256 is requested.
    ///
    /// # Errors
    /// If there is no such key, or more than one, or it is not fit for our tokens.
    pub async fn import(
        &self,
        uri: &str,
        algorithm: Option<Algorithm>,
        created_at: Timestamp,
        signs_from: Timestamp,
    ) -> Result<KeyMaterial, Pkcs11Error> {
        let parsed = KeyUri::parse(uri)?;
        if parsed.token.as_deref().is_some_and(|token| token != self.0.token.label()) {
            return Err(Pkcs11Error::Uri(uri.into()));
        }
        let (uri, times) = (uri.to_owned(), (created_at, signs_from));
        self.changing(move |token, session| {
            material(token, session, private_key(session, &uri)?, algorithm, times)
        })
        .await
    }

    /// Whether the private key of this name may be read out of the token, which then is no better than a file. `None` if the token
    /// does not say.
    ///
    /// # Errors
    /// If the token has no such key.
    pub async fn is_extractable(&self, uri: &str) -> Result<Option<bool>, Pkcs11Error> {
        let uri = uri.to_owned();
        self.changing(move |_, session| Ok(session::is_extractable(session, private_key(session, &uri)?)))
            .await
    }

    /// Runs it in a new session that may write.
    async fn changing<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Token, &Session) -> Result<T, Pkcs11Error> + Send + 'static,
    ) -> Result<T, Pkcs11Error> {
        self.run(move |_, token| change(token, &token.open(true)?)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Seat, &Token) -> Result<T, Pkcs11Error> + Send + 'static,
    ) -> Result<T, Pkcs11Error> {
        let token = Arc::clone(&self.0.token);
        let running = self.0.pool.run(move |seat| job(seat, &token)).map_err(|refused| match refused {
            Refused::Full => Pkcs11Error::Busy(self.0.waiting),
            Refused::NoThread => Pkcs11Error::Thread("the system starts none"),
        })?;
        running.await.unwrap_or(Err(Pkcs11Error::Thread("it ended")))
    }
}

/// The key as the store keeps it.
fn material(
    token: &Token,
    session: &Session,
    key: ObjectHandle,
    requested: Option<Algorithm>,
    (created_at, signs_from): (Timestamp, Timestamp),
) -> Result<KeyMaterial, Pkcs11Error> {
    let Description { label, id, public } = describe(session, key, "pkcs11:")?;
    let name = KeyUri {
        token: Some(token.label().to_owned()),
        object: (!label.is_empty()).then_some(label),
        id: (!id.is_empty()).then_some(id),
    };
    let uri: Box<str> = name.to_string().into();
    let unfit = |fault| Pkcs11Error::Unfit { uri: uri.clone(), fault };
    let algorithm = public.kind().algorithm(requested).map_err(unfit)?;
    let device = DeviceKey { uri: uri.clone(), jwk: thumbprint::members(&public).to_string().into() };
    let private = PrivateHalf::Device(device);
    let mut key_material =
        KeyMaterial { id: KeyId::new(""), algorithm, private, created_at, signs_from, verifies_until: None };
    let read = SigningKey::of(&key_material).map_err(unfit)?;
    key_material.id = read.id().clone();
    const SIGNED: &[u8] = b"tokenberg checks that both halves belong together";
    let signature =
        session::sign(session, key, algorithm, SIGNED).map_err(|error| call("signing", &error))?;
    match read.public().verify(algorithm, SIGNED, &signature) {
        Ok(_) => Ok(key_material),
        Err(_) => Err(Pkcs11Error::Mismatch(uri)),
    }
}

impl KeyDevice for Pkcs11 {
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        uri: &'a str,
        algorithm: Algorithm,
        signing_input: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        let (name, message) = (uri.to_owned(), signing_input.to_vec());
        Box::pin(async move {
            let signed = self.run(move |seat, token| seat.sign(token, &name, algorithm, &message)).await;
            signed.map_err(|error| SigningFault::Unavailable { key: key.clone(), reason: error.to_string() })
        })
    }

    fn generate(
        &self,
        algorithm: Algorithm,
        created_at: Timestamp,
        signs_from: Timestamp,
    ) -> BoxFuture<'_, Result<KeyMaterial, DeviceFault>> {
        Box::pin(async move {
            let generated = Self::generate(self, algorithm, created_at, signs_from).await;
            generated.map_err(|error| DeviceFault(error.to_string()))
        })
    }

    fn destroy<'a>(&'a self, uri: &'a str) -> BoxFuture<'a, Result<(), DeviceFault>> {
        let name = uri.to_owned();
        Box::pin(async move {
            let destroyed = self.changing(move |_, session| session::destroy(session, &name)).await;
            destroyed.map_err(|error| DeviceFault(error.to_string()))
        })
    }
}

impl std::fmt::Debug for Pkcs11 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pkcs11").field("token", &self.0.token.label()).finish_non_exhaustive()
    }
}
