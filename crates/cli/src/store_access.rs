//! The store that is configured, and the key that seals it.

use crate::common::Common;
use crate::failure::{note, warn, wrong_usage};
use crate::input::SecretVariable;
use std::future::Future;
use std::path::{Path, PathBuf};
use tokenberg_service::CLOCK_LEEWAY;
use tokenberg_store::{KekSource, Migration, Opening, Store, StoreError, StoreUrl};
use tokio::runtime::Runtime;

/// The message where no key file can lie beside the store.
const NO_KEY_FILE: &str = "a PostgreSQL store needs a key file, the same on all nodes: give --key-file (or TOKENBERG_KEY_FILE), or the \
     key itself in TOKENBERG_KEY; the first start creates the file if it does not exist";

/// A store that can be opened.
#[derive(Clone)]
pub(crate) struct StoreLocation {
    /// Where it is.
    pub(crate) url: StoreUrl,
    /// What it is sealed with.
    pub(crate) key: KekSource,
}

impl StoreLocation {
    /// The store that is configured.
    ///
    /// # Errors
    /// If no key is configured, or more than one.
    pub(crate) fn of(common: &Common) -> anyhow::Result<Self> {
        warn_of_secret_argument();
        let variable = SecretVariable::Key;
        let key = match (common.key_file.clone(), variable.read()?) {
            (Some(_), Some(_)) => {
                return Err(wrong_usage(format!(
                    "the key-encryption key is given twice, by --key-file (or TOKENBERG_KEY_FILE) and by {}",
                    variable.name()
                )));
            }
            (None, Some(_)) if common.next_key_file.is_some() => {
                return Err(wrong_usage(format!(
                    "--next-key-file (or TOKENBERG_NEXT_KEY_FILE) follows a --key-file; {} holds one key only",
                    variable.name()
                )));
            }
            (None, Some(text)) => KekSource::Text(text),
            (path, None) => match (path.or_else(|| common.store.key_file()), common.next_key_file.clone()) {
                (Some(present), Some(next)) => KekSource::Files { present, next },
                (Some(path), None) => KekSource::File(path),
                (None, _) => return Err(wrong_usage(NO_KEY_FILE)),
            },
        };
        let url = match &common.store_password_file {
            Some(path) => common
                .store
                .clone()
                .with_password_file(path)
                .map_err(|fault| wrong_usage(fault.to_string()))?,
            None => common.store.clone(),
        };
        Ok(Self { url, key })
    }

    /// The file of the key, if it comes from one.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        self.key.file().map(Path::to_owned)
    }

    /// Opens the store, which must exist.
    ///
    /// # Errors
    /// The error of the store.
    pub(crate) async fn open_existing(self) -> anyhow::Result<Store> {
        let store = Store::open_existing(&self.url, self.key).await?.changed_by(&operator());
        store.compare_clocks(CLOCK_LEEWAY).await;
        Ok(store)
    }

    /// Opens the store, which must exist, and changes nothing in it.
    ///
    /// # Errors
    /// The error of the store.
    pub(crate) async fn open_to_read(self) -> anyhow::Result<Store> {
        let store = Store::open_for(&self.url, self.key, Opening::Read).await?;
        if store.schema().is_due() {
            note(&older_schema(store.schema()));
        }
        Ok(store)
    }

    /// Opens the store, and creates it if it does not exist.
    ///
    /// # Errors
    /// The error of the store.
    pub(crate) async fn open_or_create(self) -> anyhow::Result<Store> {
        let store = match Store::open_existing(&self.url, self.key.clone()).await {
            Err(StoreError::Missing { .. }) => {
                let made = Store::open_for(&self.url, self.key, Opening::Start { may_be_new: false }).await?;
                note(&format!("{} did not exist and is created", self.url));
                made
            }
            opened => opened?,
        };
        let store = store.changed_by(&operator());
        store.compare_clocks(CLOCK_LEEWAY).await;
        Ok(store)
    }
}

/// A sentence about a store with an older schema.
pub(crate) fn older_schema(migration: &Migration) -> String {
    let Migration { from, to, .. } = migration;
    format!(
        "the store has schema {from}; `tokenberg migrate` (or a start of `tokenberg serve`) brings it to {to}; back it up first"
    )
}

/// What a server says about itself in the audit and in the list of servers.
pub(crate) fn node(issuer: &str, address: &str) -> [(&'static str, String); 4] {
    [
        ("issuer", issuer.to_owned()),
        ("host", tokenberg_service::host()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("address", address.to_owned()),
    ]
}

/// Who runs this command, for the audit: the number of the user by the system, and the name that the environment gives.
pub(crate) fn operator() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
    format!("command line of {}{name}", user_number().unwrap_or_else(|| "a user".to_owned()))
}

#[cfg(target_os = "linux")]
fn user_number() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|process| format!("uid {}", process.uid()))
}

#[cfg(not(target_os = "linux"))]
fn user_number() -> Option<String> {
    None
}

/// Warns of secrets in arguments, which every user of the machine can read (conformance SE-05).
fn warn_of_secret_argument() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let shows_password = |argument: String| {
        let url = argument.strip_prefix("--store=").unwrap_or(&argument);
        let authority = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        authority.is_some_and(|rest| {
            let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
            user.contains(':') || rest.contains("password=")
        })
    };
    if std::env::args().any(shows_password) {
        ONCE.call_once(|| {
            warn(
                "every user of this machine can read the password in --store; put the URL into TOKENBERG_STORE or the configuration \
                 file, or the password into a file for --store-password-file",
            );
        });
    }
}

/// Runs a command that waits for the store, on its own runtime.
///
/// # Errors
/// The error of the command.
pub(crate) fn wait_for<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime()?.block_on(command)
}

/// A runtime on the calling thread.
///
/// # Errors
/// If the operating system cannot create it.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
