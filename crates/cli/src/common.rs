//! The options that several commands share: output, store and configuration file.

use crate::input;
use clap::Args;
use std::path::PathBuf;

/// What applies to several commands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON value on standard output and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The store: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE [default: sqlite:tokenberg.db]
    #[arg(long, global = true, value_name = "URL", env = "TOKENBERG_STORE", hide_env_values = true, help_heading = STORE,
          value_parser = input::line::<String>)]
    pub(crate) store: Option<String>,

    /// The file of the key that the store is sealed with; the variable TOKENBERG_KEY may hold the key itself instead
    /// [default: the path of the store and `.key`, if it is a file]
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_KEY_FILE", help_heading = STORE)]
    pub(crate) key_file: Option<PathBuf>,

    /// A TOML file with `store`, `key-file` and, for serve and check, all its other flags as keys
    #[arg(long, global = true, value_name = "FILE", env = "TOKENBERG_CONFIG", help_heading = STORE)]
    pub(crate) config: Option<PathBuf>,
}

const STORE: &str = "Options of commands that use the store";
