//! The address of a PostgreSQL store, `postgres://USER@HOST:PORT,…/DATABASE`. Printing it shows no password.
//!
//! libpq's syntax is split here, because no parser for Rust knows all of several hosts, the parameters of TLS and the variables;
//! sqlx parses what results for each host.

use crate::database::postgres_parameters::Parameters;
use crate::database::postgres_password::PasswordSource;
use crate::database::url_error::StoreUrlError;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The values of `sslmode` and what they mean. sqlx has no `allow`, and `prefer` connects wherever it would.
const MODES: [(&str, &str); 6] = [
    ("disable", "disable"),
    ("allow", "prefer"),
    ("prefer", "prefer"),
    ("require", "require"),
    ("verify-ca", "verify-ca"),
    ("verify-full", "verify-full"),
];

/// The address of a PostgreSQL database, completed from the variables `PG…`.
#[derive(Clone)]
pub(crate) struct PostgresUrl {
    text: Zeroizing<String>,
    /// For each host; without a password, which is read at each connect.
    hosts: Vec<PgConnectOptions>,
    /// Whether only a server that can be written is connected to.
    is_read_write: bool,
    connect_timeout: Option<Duration>,
    /// Parameter and path of the files of TLS.
    files: Vec<(&'static str, PathBuf)>,
    password: PasswordSource,
    /// Whether the text contains a password.
    has_password: bool,
}

impl PostgresUrl {
    /// Parses what follows `postgres:` or `postgresql:`.
    pub(crate) fn parse(rest: &str) -> Result<Self, StoreUrlError> {
        Self::parse_with(rest, &|name| std::env::var(name).ok())
    }

    fn parse_with(rest: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreUrlError> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_prefix("//").ok_or(StoreUrlError::PostgresForm)?;
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        // A password with an unencoded slash or the like is cut there; its end must not be mistaken for the name of a database.
        if rest.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
            || database.contains(['/', '@', ':'])
        {
            return Err(StoreUrlError::PostgresForm);
        }
        let mut parameters = Parameters::of_environment(variable)?;
        let (account, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (hosts, ports) = split_hosts(hosts);
        let of_place = [
            ("user", user),
            ("password", password),
            ("host", &hosts),
            ("port", &ports),
            ("dbname", database),
        ];
        let of_query = query.split('&').filter(|pair| !pair.is_empty());
        let of_query = of_query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut has_password = false;
        for (name, value) in of_place.into_iter().filter(|(_, value)| !value.is_empty()).chain(of_query) {
            let value = percent_decode_str(value).decode_utf8().map_err(|_| StoreUrlError::PostgresForm)?;
            parameters.set(name, Zeroizing::new(value.into_owned()))?;
            has_password |= name == "password";
        }
        Self::of(Zeroizing::new(format!("postgres:{rest}")), has_password, parameters)
    }

    fn of(
        text: Zeroizing<String>,
        has_password: bool,
        mut parameters: Parameters,
    ) -> Result<Self, StoreUrlError> {
        let value = |name, expected| StoreUrlError::PostgresValue { name, expected };
        let (host, port) = (parameters.take("host"), parameters.take("port"));
        let address = parameters.take("hostaddr");
        if host.is_some() && address.is_some() {
            let instead = "give either the name of the host or its address";
            return Err(StoreUrlError::PostgresUnsupported { name: "hostaddr beside host", instead });
        }
        let is_read_write = match parameters.take("target_session_attrs").as_ref().map(|attrs| attrs.as_str())
        {
            None => host.as_ref().is_some_and(|host| host.contains(',')),
            Some("any") => false,
            Some("read-write" | "primary") => true,
            Some(_) => {
                return Err(value(
                    "target_session_attrs",
                    "any, read-write or primary, because the store is written",
                ));
            }
        };
        let connect_timeout = parameters.take("connect_timeout").map(|seconds| seconds.parse::<u64>());
        let connect_timeout =
            connect_timeout.transpose().map_err(|_| value("connect_timeout", "a number of seconds"))?;
        let connect_timeout = connect_timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let mode = parameters.take("sslmode");
        let mode =
            mode.as_ref().map(|mode| MODES.iter().find(|(name, _)| *name == mode.as_str()).ok_or(mode));
        let mode = mode
            .transpose()
            .map_err(|_| value("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"))?;
        let has_root = match (parameters.get("sslrootcert"), mode) {
            (Some("system"), _) => {
                let expected = "the name of a file; without it, the public CAs are trusted";
                return Err(value("sslrootcert", expected));
            }
            (Some(_), Some(("disable" | "allow" | "prefer", _))) => {
                return Err(value("sslmode", "require, verify-ca or verify-full beside sslrootcert"));
            }
            (root, _) => root.is_some(),
        };
        let files = ["sslrootcert", "sslcert", "sslkey"];
        let files = files.into_iter().filter_map(|name| Some((name, parameters.get(name)?.into()))).collect();
        let (password, passfile) = (parameters.take("password"), parameters.take("passfile"));
        let password = PasswordSource::new(password, passfile.map(|path| PathBuf::from(path.as_str())));
        let parse = |(host, port): Place<'_>| {
            // An empty password, so that sqlx does not read the password file; it logs lines that it does not understand.
            let of_host = [("host", host), ("port", port), ("password", Some(""))];
            let of_host = of_host.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let pairs = parameters.iter().chain(of_host);
            let pairs =
                pairs.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            let url = format!("postgres:///?{}", pairs.collect::<Vec<_>>().join("&"));
            let mut options: PgConnectOptions = url.parse().map_err(|_| StoreUrlError::PostgresForm)?;
            if options.get_application_name().is_none() {
                options = options.application_name("tokenberg");
            }
            let mode = match mode {
                // As libpq has it: a root certificate is there to be verified against.
                Some(("require", _)) if has_root => "verify-ca",
                Some((_, mode)) => mode,
                None if is_socket(&options) || is_local(&options) && !has_root => "prefer",
                None => "verify-full",
            };
            let mode = mode.parse().map_err(|_| StoreUrlError::PostgresForm)?;
            // Poolers refuse the parameter, and no column is a float.
            Ok(options.ssl_mode(mode).extra_float_digits(None).disable_statement_logging())
        };
        let host = host.or(address);
        let hosts = pairs(host.as_ref().map(|host| host.as_str()), port.as_ref().map(|port| port.as_str()))?;
        let hosts = hosts.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { text, hosts, is_read_write, connect_timeout, files, password, has_password })
    }

    /// Reads the password from this file at each connect.
    pub(crate) fn with_password_file(mut self, path: &Path) -> Result<Self, StoreUrlError> {
        if self.has_password {
            return Err(StoreUrlError::TwoPasswords);
        }
        self.password = PasswordSource::File(path.to_owned());
        Ok(self)
    }

    /// The options for each host, in the order in which they are tried. They have no password.
    pub(crate) fn hosts(&self) -> &[PgConnectOptions] {
        &self.hosts
    }

    pub(crate) fn is_read_write(&self) -> bool {
        self.is_read_write
    }

    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// The files of TLS, each with its parameter.
    pub(crate) fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }

    /// Where the password for a host is read.
    pub(crate) fn password(&self) -> &PasswordSource {
        &self.password
    }

    /// The address as it was written, without the password of the user and without the parameter `password`.
    pub(crate) fn without_password(&self) -> String {
        let (place, query) = self.text.split_once('?').unwrap_or((&self.text, ""));
        // The path of a socket has its slashes encoded, and the name of a database has no `@`.
        let place = match place.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.strip_prefix("postgres://").unwrap_or(user);
                format!("postgres://{}@{host}", user.split(':').next().unwrap_or_default())
            }
            None => place.to_owned(),
        };
        let is_public = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some("password");
        let query = query.split('&').filter(is_public).collect::<Vec<_>>().join("&");
        if query.is_empty() { place } else { format!("{place}?{query}") }
    }

    /// Whether the connection may be unencrypted and leaves this machine.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        self.hosts.iter().any(|options| {
            let may_be_plain = match options.get_ssl_mode() {
                PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => true,
                PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => false,
            };
            may_be_plain && !is_local(options)
        })
    }
}

/// The hosts and ports of `HOST:PORT,…` as two lists; the ports are empty if no host has one.
fn split_hosts(text: &str) -> (String, String) {
    let pairs = text.split(',').map(|host| match host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !port.contains(']') => (name, port),
        Some(_) | None => (host, ""),
    });
    let (hosts, ports): (Vec<_>, Vec<_>) = pairs.unzip();
    let ports = if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    (hosts.join(","), ports)
}

/// A host and its port.
type Place<'t> = (Option<&'t str>, Option<&'t str>);

/// Each host with its port. There is one port for all of them, or one for each, where an empty one is the default.
fn pairs<'t>(hosts: Option<&'t str>, ports: Option<&'t str>) -> Result<Vec<Place<'t>>, StoreUrlError> {
    let hosts: Vec<_> = hosts.unwrap_or_default().split(',').collect();
    let ports: Vec<_> = ports.unwrap_or_default().split(',').collect();
    if ports.len() > 1 && ports.len() != hosts.len() {
        let expected = "one port for all hosts, or one for each";
        return Err(StoreUrlError::PostgresValue { name: "port", expected });
    }
    let given = |text: &'t str| (!text.is_empty()).then_some(text);
    let port = |n: usize| ports.get(n).or(ports.last().filter(|_| ports.len() == 1)).copied().and_then(given);
    Ok(hosts.into_iter().enumerate().map(|(n, host)| (given(host), port(n))).collect())
}

fn is_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

pub(super) fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    is_socket(options) || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        *self.text == *other.text && self.password == other.password
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(options) = self.hosts.first() else { return Ok(()) };
        let user = options.get_username();
        let database = options.get_database().unwrap_or(user);
        if let Some(socket) = options.get_socket() {
            return write!(f, "postgres:///{database}?host={}&user={user}", socket.display());
        }
        let hosts = self.hosts.iter().map(|host| format!("{}:{}", host.get_host(), host.get_port()));
        write!(f, "postgres://{user}@{}/{database}", hosts.collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
