//! Which store, and sealed with which key? Flag before variable before file.

use crate::arguments::Common;
use crate::config_file::ConfigFile;
use crate::failure::{note, wrong_usage};
use crate::{config_file, input};
use std::future::Future;
use std::path::PathBuf;
use tokenberg_store::{KekSource, Store, StoreUrl};
use tokio::runtime::Runtime;

/// Where the store is unless somebody says otherwise.
const DEFAULT_STORE: &str = "sqlite:tokenberg.db";

/// The variable that may hold the key-encryption key itself.
const KEY_VARIABLE: &str = "TOKENBERG_KEY";

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
        let key = match (&common.key_file, input::secret_variable(KEY_VARIABLE)?) {
            (Some(_), Some(_)) => {
                return Err(wrong_usage(format!(
                    "the key of the store is named twice, by --key-file (or TOKENBERG_KEY_FILE) and by {KEY_VARIABLE}"
                )));
            }
            (Some(path), None) => KekSource::File(path.clone()),
            (None, Some(text)) => KekSource::Text(text),
            (None, None) => KekSource::File(file.key_file.clone().unwrap_or_else(|| url.key_file())),
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
        Ok(Store::open_existing(&self.url, self.key).await?)
    }

    /// Opens the store, and makes it if it is not there.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn open_or_make(self) -> anyhow::Result<Store> {
        if !self.url.path().exists() {
            note(&format!("there was no store yet; {} is a new one", self.url));
        }
        Ok(Store::open(&self.url, self.key).await?)
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
