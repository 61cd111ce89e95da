//! Which store, and sealed with which key? Flag before variable before file.

use crate::common::Common;
use crate::config_file::ConfigFile;
use crate::failure::{note, warn, wrong_usage};
use crate::{config_file, input};
use std::future::Future;
use std::path::PathBuf;
use tokenberg_store::{KekSource, Store, StoreUrl};
use tokio::runtime::Runtime;

/// Where the store is unless somebody says otherwise.
const DEFAULT_STORE: &str = "sqlite:tokenberg.db";

/// The variable that may hold the key-encryption key itself.
const KEY_VARIABLE: &str = "TOKENBERG_KEY";

/// What is said where there is no place beside the store.
const NO_KEY_FILE: &str = "a PostgreSQL store has no key file beside it: name one with --key-file (or TOKENBERG_KEY_FILE), the same \
     on all nodes, or give the key itself in TOKENBERG_KEY; the first start makes the file if it is not there";

/// A store that can be opened.
#[derive(Clone)]
pub(crate) struct StoreLocation {
    /// Where it is.
    pub(crate) url: StoreUrl,
    /// What it is sealed with.
    pub(crate) key: KekSource,
}

impl StoreLocation {
    /// Reads it from the arguments, and from the configuration file where they name one.
    ///
    /// # Errors
    /// If the address is none, or more than one key is named.
    pub(crate) fn of(common: &Common) -> anyhow::Result<Self> {
        let file = common.config.as_deref().map(config_file::read).transpose()?.unwrap_or_default();
        Self::with_file(common, &file)
    }

    /// The same for a configuration file that was read already.
    ///
    /// # Errors
    /// If the address is none, or more than one key is named.
    pub(crate) fn with_file(common: &Common, file: &ConfigFile) -> anyhow::Result<Self> {
        let text = common.store.as_deref().or(file.store.as_deref()).unwrap_or(DEFAULT_STORE);
        let url: StoreUrl = text.parse().map_err(|fault| wrong_usage(format!("--store: {fault}")))?;
        warn_of_secret_argument();
        let key = match (&common.key_file, input::secret_variable(KEY_VARIABLE)?) {
            (Some(_), Some(_)) => {
                return Err(wrong_usage(format!(
                    "the key of the store is named twice, by --key-file (or TOKENBERG_KEY_FILE) and by {KEY_VARIABLE}"
                )));
            }
            (Some(path), None) => KekSource::File(path.clone()),
            (None, Some(text)) => KekSource::Text(text),
            (None, None) => match file.key_file.clone().or_else(|| url.key_file()) {
                Some(path) => KekSource::File(path),
                None => return Err(wrong_usage(NO_KEY_FILE)),
            },
        };
        Ok(Self { url, key })
    }

    /// The file of the key, if it comes from one.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        match &self.key {
            KekSource::File(path) => Some(path.clone()),
            KekSource::Text(_) => None,
        }
    }

    /// Opens the store, which must be there.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn open_existing(self) -> anyhow::Result<Store> {
        Ok(Store::open_existing(&self.url, self.key).await?.changed_by(&operator()))
    }

    /// Opens the store, and makes it if it is not there.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn open_or_make(self) -> anyhow::Result<Store> {
        if self.url.path().is_some_and(|path| !path.exists()) {
            note(&format!("there was no store yet; {} is a new one", self.url));
        }
        Ok(Store::open(&self.url, self.key).await?.changed_by(&operator()))
    }
}

/// Who runs this command, for the audit: the number of the user by the system, and the name that the environment gives.
fn operator() -> String {
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

/// Secrets have no place in arguments, which everybody on the machine can read (conformance SE-05).
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
                "the password in --store can be seen by everybody on this machine; put the URL into TOKENBERG_STORE or the \
                 configuration file, or the password into PGPASSFILE",
            );
        });
    }
}

/// Runs a command that waits for the store, on a runtime of its own.
///
/// # Errors
/// What the command says.
pub(crate) fn wait_for<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime()?.block_on(command)
}

/// A runtime on the calling thread.
///
/// # Errors
/// If the operating system gives none.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
