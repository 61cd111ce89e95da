//! The address of a PostgreSQL store, `postgres://USER@HOST:PORT/DATABASE`. Printing it shows no password.

use crate::database::url_error::StoreUrlError;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// The known parameters. sqlx would log others together with their values.
const KNOWN: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The address of a PostgreSQL database, completed from the variables `PG…` and the password file.
#[derive(Clone)]
pub(crate) struct PostgresUrl {
    text: Zeroizing<String>,
    options: PgConnectOptions,
}

impl PostgresUrl {
    /// Parses what follows `postgres:` or `postgresql:`.
    pub(crate) fn parse(rest: &str) -> Result<Self, StoreUrlError> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_prefix("//").ok_or(StoreUrlError::PostgresForm)?;
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // A password with an unencoded slash or the like is cut there; its end must not be mistaken for the name of a database.
        let is_odd = rest.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
            || database.contains(['/', '@', ':'])
            || host.contains(',');
        if is_odd {
            return Err(StoreUrlError::PostgresForm);
        }
        let mut has_mode = std::env::var_os("PGSSLMODE").is_some();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !KNOWN.contains(&name) {
                return Err(StoreUrlError::PostgresParameter);
            }
            has_mode |= name == "sslmode";
        }
        let text = Zeroizing::new(format!("postgres:{rest}"));
        let mut options: PgConnectOptions = text.parse().map_err(|_| StoreUrlError::PostgresForm)?;
        if options.get_application_name().is_none() {
            options = options.application_name("tokenberg");
        }
        if !has_mode && !is_local(&options) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        Ok(Self { text, options: options.disable_statement_logging() })
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
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
        let may_be_plain = match self.options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => true,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => false,
        };
        may_be_plain && !is_local(&self.options)
    }
}

pub(super) fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        *self.text == *other.text
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let user = options.get_username();
        let database = options.get_database().unwrap_or(user);
        match options.get_socket() {
            Some(socket) => write!(f, "postgres:///{database}?host={}&user={user}", socket.display()),
            None => write!(f, "postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresUrl, StoreUrlError> {
        PostgresUrl::parse(text.strip_prefix("postgres:").unwrap())
    }

    #[test]
    fn se_05_the_password_is_never_displayed() {
        for (text, printed) in [
            ("postgres://u:hush@h:5/d", "postgres://u@h:5/d"),
            ("postgres://u:hush@h:5/d?sslmode=require", "postgres://u@h:5/d"),
            ("postgres://u@127.0.0.1:5/d?password=hush", "postgres://u@127.0.0.1:5/d"),
            ("postgres:///d?host=/run/pg&user=u&password=hush", "postgres:///d?host=/run/pg&user=u"),
            ("postgres://u:hu%2Fsh@[::1]:5/d", "postgres://u@[::1]:5/d"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(format!("{url:?}"), printed);
        }
        for (text, without) in [
            ("postgres://u:hush@h:5/d", "postgres://u@h:5/d"),
            ("postgres://u:hush@h:5/d?sslmode=require", "postgres://u@h:5/d?sslmode=require"),
            ("postgres://u:hu:sh@h?password=hush&port=7", "postgres://u@h?port=7"),
            ("postgres://u@v:hush@h/d", "postgres://u@v@h/d"),
            ("postgres://:hush@h/d", "postgres://@h/d"),
            ("postgres:///d?host=/run/pg&user=u&password=hu=sh", "postgres:///d?host=/run/pg&user=u"),
            ("postgres://h:5/d", "postgres://h:5/d"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.without_password(), without, "{text}");
            assert!(parse(without).is_ok(), "{without}");
        }
        let of = |text: &str| parse(text).unwrap();
        assert!(of("postgres://u:a@h/d") == of("postgres://u:a@h/d"));
        assert!(of("postgres://u:a@h/d") != of("postgres://u:b@h/d"), "a new password is a change");
    }

    #[test]
    fn se_05_a_password_that_was_not_encoded_is_refused_and_not_displayed() {
        for (text, why) in [
            ("postgres:u@h/d", StoreUrlError::PostgresForm),
            ("postgres://u:hu/sh@h/d", StoreUrlError::PostgresForm),
            ("postgres://u:12/hush@h/d", StoreUrlError::PostgresForm),
            ("postgres://u:12/hush@h", StoreUrlError::PostgresForm),
            ("postgres://u:hu#sh@h/d", StoreUrlError::PostgresForm),
            ("postgres://u:12?hush@h/d", StoreUrlError::PostgresParameter),
            ("postgres://u@h/d?passwort=hush", StoreUrlError::PostgresParameter),
            ("postgres://u@h/d?sslmode=hush", StoreUrlError::PostgresForm),
            ("postgres://u@h1,h2/d", StoreUrlError::PostgresForm),
            ("postgres://u@h:99999/d", StoreUrlError::PostgresForm),
        ] {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault, why, "{text}");
            assert!(!fault.to_string().contains("hush") && !fault.to_string().contains("passwort"));
        }
    }

    #[test]
    fn ht_19_a_remote_database_has_to_authenticate() {
        for (text, mode) in [
            ("postgres://u@db.example/d", "VerifyFull"),
            ("postgres://u@10.0.0.7/d", "VerifyFull"),
            ("postgres://u@db.example/d?sslmode=disable", "Disable"),
            ("postgres://u@db.example/d?sslmode=require", "Require"),
            ("postgres://u@localhost/d", "Prefer"),
            ("postgres://u@127.0.0.1/d", "Prefer"),
            ("postgres://u@[::1]/d", "Prefer"),
            ("postgres:///d?host=/run/pg", "Prefer"),
        ] {
            assert_eq!(format!("{:?}", parse(text).unwrap().options.get_ssl_mode()), mode, "{text}");
        }
        assert!(parse("postgres://u@db.example/d?sslmode=prefer").unwrap().is_in_the_clear());
        assert!(!parse("postgres://u@localhost/d?sslmode=disable").unwrap().is_in_the_clear());
        assert!(!parse("postgres://u@db.example/d").unwrap().is_in_the_clear());
    }
}
