//! The options that several commands share: output, store and configuration file.

use crate::configuration::values::path;
use crate::input::without_line_end;
use clap::Args;
use serde::{Serialize, Serializer};
use std::path::PathBuf;
use tokenberg_store::{StoreUrl, StoreUrlError};

/// The options that several commands share.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Common {
    /// Print one JSON value on standard output, and nothing else there
    #[arg(long, global = true)]
    #[serde(skip)]
    pub(crate) json: bool,

    /// Address of the store: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE
    #[arg(long, global = true, value_name = "URL", env = "TOKENBERG_STORE", hide_env_values = true, help_heading = STORE,
          default_value = "sqlite:tokenberg.db", value_parser = store)]
    #[serde(serialize_with = "without_password")]
    pub(crate) store: StoreUrl,

    /// File with the password of a PostgreSQL store, which is read at each connect
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_STORE_PASSWORD_FILE", help_heading = STORE)]
    #[serde(serialize_with = "path")]
    pub(crate) store_password_file: Option<PathBuf>,

    /// File with the key-encryption key of the store; the variable TOKENBERG_KEY may hold the key itself instead [default: the
    /// path of the SQLite store with .key appended]
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_KEY_FILE", help_heading = STORE)]
    #[serde(serialize_with = "path")]
    pub(crate) key_file: Option<PathBuf>,

    /// File with the next key-encryption key. It is read where the one in --key-file does not open the store, and may be
    /// missing; with it, servers start and continue while the key changes
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_NEXT_KEY_FILE", help_heading = STORE)]
    #[serde(serialize_with = "path")]
    pub(crate) next_key_file: Option<PathBuf>,

    /// Configuration file (TOML); `tokenberg serve --print-config` prints one with every key
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_CONFIG", help_heading = STORE)]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
}

const STORE: &str = "Store and configuration";

/// Parses the address of a store. A variable that is filled from a file may have a line end.
fn store(text: &str) -> Result<StoreUrl, StoreUrlError> {
    without_line_end(text).parse()
}

fn without_password<S: Serializer>(store: &StoreUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&store.without_password())
}
