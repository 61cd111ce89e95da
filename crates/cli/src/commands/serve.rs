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
      listens on 127.0.0.1:8183 and uses the store tokenberg.db; on an empty store it creates a
      signing key and the client `root`, and prints the credential of `root` once, with a curl
      command that requests a token
  tokenberg serve --listen 0.0.0.0:443 --issuer https://tokens.example \\
      --tls-cert chain.pem --tls-key key.pem
  tokenberg serve --listen 10.0.0.7:8183 --issuer https://lake.example/auth --base-path /auth \\
      --behind-tls-terminator --trusted-proxy 10.0.0.0/24
  tokenberg serve --config /etc/tokenberg/tokenberg.toml --ops-listen 127.0.0.1:9183
  tokenberg serve --print-config > tokenberg.toml
      writes a configuration file: every key with its value and a description

Every option with a variable is also a key of the configuration file. A flag takes precedence over
its variable, and a variable over the file. In the file:
  listen = \"0.0.0.0:443\"
  issuer = \"https://tokens.example\"

TOKENBERG_BOOTSTRAP_CREDENTIAL=ID:SECRET sets the first credential; then none is printed.
In an empty PostgreSQL database, a store is made only if the key file does not exist yet, if that
variable is set, or with --create; otherwise make it with `tokenberg init`.
Several servers can share a store: with SQLite on one machine, with PostgreSQL on any machines.
They need the same --issuer and the same key-encryption key.

On SIGTERM or SIGINT, the server finishes the requests in progress and exits. A second signal ends
it immediately. It follows the files of TLS certificates. On SIGHUP, it reloads --log and
--rotate-keys-every, too, and drops no connection. If the new configuration has a mistake, the server keeps the old one. The
log names changed settings that need a restart. A server without --config also exits when its
terminal is closed.")]
pub(crate) struct Serve {
    /// Print every setting with its value and the origin of the value, as a configuration file, and exit
    #[arg(long)]
    print_config: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Serves until a signal ends it.
///
/// # Errors
/// If the server cannot start.
pub(crate) fn run(common: &Common, arguments: Serve, configuration: Configuration) -> anyhow::Result<()> {
    if arguments.print_config {
        configuration.warnings().iter().for_each(|sentence| warn(sentence));
        output::print(&configuration.printed(&settings::values(common, &arguments.settings)?)?)?;
        return Ok(());
    }
    arguments.settings.check(&common.store)?;
    server::run(common, arguments.settings, configuration)
}
