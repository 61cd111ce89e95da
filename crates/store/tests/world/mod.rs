//! A store in its own directory, and the values that the tests need.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "it is a module of test files")]

pub mod chains;

use sqlx::Connection;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::audit::AuditRecord;
use tokenberg_core::jws::{Algorithm, Algorithms, DpopProof, KeyId, KeyMaterial, PrivateHalf};
use tokenberg_core::token::Session;
use tokenberg_core::{
    AccessTokenClaims, Client, ClientId, CompactJws, Keys, Outcome, Rights, Secret, SignatureFault,
    Timestamp, TokenId, Verified,
};
use tokenberg_store::{
    AddedSecret, AuditTrail, KekSource, Moment, NewSecret, Store, StoreError, StoreUrl, Watched,
};
use tokenberg_testkit::{Postgres, Wire, url_at};

pub const NOW: i64 = 1_800_000_000;

/// The same tests are compiled twice; the program `on_postgres` runs them on PostgreSQL.
pub fn is_postgres() -> bool {
    module_path!().starts_with("on_postgres::")
}

/// The variables from which another process opens the same store.
pub const URL: &str = "TOKENBERG_TEST_URL";
pub const KEY_FILE: &str = "TOKENBERG_TEST_KEY_FILE";

pub fn granted(n: usize) -> AuditRecord<'static> {
    let mut record = AuditRecord::new("", Outcome::Granted);
    record.jti = Some(format!("jti-{n}").into());
    record
}

pub async fn until_written(trail: &AuditTrail, records: u64) {
    while trail.metrics().written < records {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub struct World {
    directory: tempfile::TempDir,
    url: String,
}

impl World {
    /// A store on SQLite.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("tokenberg.db").display());
        Self { directory, url }
    }

    /// A store on the kind of database that this program tests; `None` if the machine has none.
    pub fn of_either_kind() -> Option<Self> {
        if is_postgres() { Postgres::shared().map(Self::on_postgres) } else { Some(Self::new()) }
    }

    /// A store on a new database of PostgreSQL.
    pub fn on_postgres(postgres: &Postgres) -> Self {
        Self { url: postgres.url(&postgres.database()), ..Self::new() }
    }

    /// The address of the store, with its password.
    pub fn address(&self) -> String {
        self.url.clone()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> StoreUrl {
        self.url.parse().unwrap()
    }

    /// Starts another process on the same store, which runs one ignored test of this program. Its output is piped. `test` is
    /// the path of the test, which begins with the name of the program.
    pub fn process(&self, test: &str) -> Child {
        let name = test.split_once("::").unwrap().1;
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .envs(self.variables())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.url().path().unwrap().to_owned()
    }

    pub fn key_file(&self) -> PathBuf {
        self.directory().join("tokenberg.db.key")
    }

    pub fn key(&self) -> KekSource {
        KekSource::File(self.key_file())
    }

    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap_or_else(|e| panic!("{e}"))
    }

    pub async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.url(), self.key()).await
    }

    /// A store on PostgreSQL that is reached by this wire.
    pub fn behind(wire: &Wire, database: &str) -> Self {
        Self::at(&url_at(wire.port(), database))
    }

    /// A store at this URL.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::new() }
    }

    /// Runs SQL on the database, outside of the store.
    pub async fn execute(&self, sql: &'static str) {
        if self.url.starts_with("sqlite:") {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        #[cfg(feature = "postgres")]
        if !self.url.starts_with("sqlite:") {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    /// Runs SQL on the tables of the audit in one transaction, while nodes that run wait.
    pub async fn execute_alone(&self, sql: &str) {
        let begin = if self.url.starts_with("sqlite:") {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN; LOCK TABLE audit_heads, audit_records IN ACCESS EXCLUSIVE MODE"
        };
        self.execute(format!("{begin}; {sql}; COMMIT").leak()).await;
    }

    /// The variables for another process.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [(URL, self.url.clone()), (KEY_FILE, self.key_file().display().to_string())]
    }

    /// Everything on disk but the key file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.directory()).unwrap() {
            let path = entry.unwrap().path();
            if path != self.key_file() {
                bytes.extend(std::fs::read(path).unwrap());
            }
        }
        bytes
    }
}

pub fn at(seconds_from_now: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds_from_now).unwrap()
}

pub fn id(text: &str) -> ClientId {
    text.parse().unwrap()
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub fn chosen(text: &str) -> NewSecret {
    NewSecret::Chosen(secret(text))
}

pub fn rights() -> Rights {
    serde_json::from_value(serde_json::json!({
        "auth_method": "client_secret", "grants": ["client_credentials"], "scope": "every",
        "default_scope": "catalog", "audiences": [], "token_lifetime": 3600, "session_lifetime": 43200,
    }))
    .unwrap()
}

pub fn key(name: &str) -> KeyMaterial {
    KeyMaterial {
        id: KeyId::new(name),
        algorithm: Algorithm::ES256,
        private: PrivateHalf::Pkcs8(
            format!("the private bytes of {name}, quite a few of them").into_bytes().into(),
        ),
        created_at: at(0),
        signs_from: at(0),
        verifies_until: None,
    }
}

/// A token of `client` for itself, issued at `issued_at`.
pub fn token(client: &str, issued_at: i64, jti: &str, session: &str) -> AccessTokenClaims {
    AccessTokenClaims {
        issuer: "https://as.test".parse().unwrap(),
        audience: vec!["https://as.test".into()],
        subject: client.parse().unwrap(),
        client_id: id(client),
        issued_at: at(issued_at),
        expires_at: at(issued_at + 3600),
        token_id: TokenId::parse(jti).unwrap(),
        scope: "catalog".parse().unwrap(),
        actor: None,
        confirmation: None,
        session: Session::own(TokenId::parse(session).unwrap(), at(issued_at), at(issued_at + 43_200)),
        extra: Default::default(),
    }
}

pub async fn add(store: &Store, client: &str, secret: NewSecret) -> AddedSecret {
    let added = store.add_client(at(0), &id(client), &rights(), Some(secret)).await;
    added.unwrap_or_else(|e| panic!("{e}")).unwrap()
}

/// Replaces the present rights of the client.
pub async fn set_rights(store: &Store, id: &ClientId, rights: &Rights) -> Result<(), StoreError> {
    let before = store.client(id).await?.rights;
    store.replace_rights(id, &before, rights).await.map(|is_replaced| assert!(is_replaced))
}

/// Whether the client would be authenticated with the secret: the questions of the core, in its order.
pub fn is_authenticated(moment: &Moment<Names>, client: &str, text: &str, now: Timestamp) -> bool {
    use tokenberg_core::Answers;
    let digest = moment.digest(client, &secret(text));
    let client: Option<Arc<Client>> = client.parse().ok().and_then(|id| moment.client(&id));
    client.is_some_and(|c| c.enabled && c.secrets.iter().any(|s| s.is_live(now) && s.digest.matches(&digest)))
}

pub async fn until(watched: &Watched<Names>, what: impl Fn(&Watched<Names>) -> bool) {
    let started = Instant::now();
    while !what(watched) {
        assert!(started.elapsed() < Duration::from_secs(10), "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn fault<T>(outcome: Result<T, StoreError>) -> StoreError {
    match outcome {
        Ok(_) => panic!("it should have failed"),
        Err(fault) => fault,
    }
}

/// Keys that know only their names.
pub struct Names(pub Vec<String>);

impl Names {
    pub fn build(material: &[KeyMaterial], _: Option<&Self>) -> Result<Self, String> {
        if material.iter().any(|k| k.id.as_str() == "bad") {
            return Err("the key bad is bad".to_owned());
        }
        Ok(Self(material.iter().map(|k| k.id.to_string()).collect()))
    }
}

impl Keys for Names {
    fn sign(&self, _: &AccessTokenClaims, _: Timestamp) -> Result<Secret, SigningFault> {
        Err(SigningFault::NoKey)
    }

    fn verify(&self, _: &CompactJws, _: Timestamp) -> Result<Verified, SignatureFault> {
        Err(SignatureFault::NoKeys)
    }

    fn verify_with(&self, _: &str, _: Algorithms, _: &CompactJws) -> Result<Verified, SignatureFault> {
        Err(SignatureFault::NoKeys)
    }

    fn verify_proof(&self, _: &DpopProof) -> Result<Verified, SignatureFault> {
        Err(SignatureFault::NoKeys)
    }

    fn jwks(&self) -> Arc<str> {
        self.0.join(" ").into()
    }

    fn is_costly(&self, _: Timestamp) -> bool {
        false
    }
}
