//! `tokenberg serve`: starts the server, or prints its settings.

use crate::common::Common;
use crate::configuration::Configuration;
use crate::failure::warn;
use crate::output;
use crate::server::{self, settings, settings::Settings};
use clap::Args;

/// `tokenberg serve`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg serve
      on 127.0.0.1:8183 with the store tokenberg.db; on an empty store it creates a signing key and
      the client `root`, and prints its credential once, with a curl line to try it
  tokenberg serve --listen 0.0.0.0:443 --issuer https://tokens.example \\
      --tls-cert chain.pem --tls-key key.pem
  tokenberg serve --listen 10.0.0.7:8183 --issuer https://lake.example/auth --base-path /auth \\
      --behind-tls-terminator --trusted-proxy 10.0.0.0/24
  tokenberg serve --config /etc/tokenberg/tokenberg.toml --ops-listen 127.0.0.1:9183
  tokenberg serve --print-config > tokenberg.toml
      a configuration file with every key, its value and what it is for

Every option with a variable is also a key of the configuration file. A flag takes precedence over
its variable, and a variable over the file:
  listen = \"0.0.0.0:443\"
  issuer = \"https://tokens.example\"

TOKENBERG_BOOTSTRAP_CREDENTIAL=ID:SECRET sets the first credential; then none is printed.
Several servers may share a store: on one machine with SQLite, on any machines with PostgreSQL.
They need the same --issuer and the same key of the store.

On SIGTERM or SIGINT the server finishes the requests that began and ends; a second signal ends it
at once. On SIGHUP it reloads TLS certificates, --log and --rotate-keys-every without dropping a
connection. If anything in the configuration is wrong, all of the old stays in force. Settings that
changed and need a restart are named in the log. Without --config, a server ends when its terminal
is closed.")]
pub(crate) struct Serve {
    /// Print every setting with its value and where that comes from, as a configuration file, and exit
    #[arg(long)]
    print_config: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Serves until a signal ends it.
///
/// # Errors
/// If the server cannot start.
pub(crate) fn run(common: &Common, asked: Serve, configuration: Configuration) -> anyhow::Result<()> {
    if asked.print_config {
        configuration.warnings().iter().for_each(|sentence| warn(sentence));
        output::print(&configuration.printed(&settings::values(common, &asked.settings)?)?)?;
        return Ok(());
    }
    asked.settings.check()?;
    server::run(common, asked.settings, configuration)
}
