//! Where is the store? The value of `--store`.

use crate::postgres_url::PostgresUrl;
use std::fmt;
use std::path::{Path, PathBuf};

/// The address of a store: `sqlite:PATH`, or the same as `sqlite://PATH`; or `postgres://USER@HOST:PORT/DATABASE`.
///
/// The path is taken as it is, relative to the working directory if it does not start with `/`. A password in the URL is
/// shown neither by `Display` nor by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(pub(crate) Place);

/// Which kind of database, and where.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PostgresUrl>),
}

/// Why a text is no address of a store. Holds nothing of the text, because a password may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// `postgres:` and something that is no address.
    #[error(
        "a PostgreSQL store is written postgres://USER@HOST:PORT/DATABASE; in names and passwords, characters other than letters \
         and digits are written %XX"
    )]
    PostgresForm,
    /// A parameter that is not known.
    #[error(
        "a PostgreSQL store has the parameters application_name, dbname, host, hostaddr, options, password, port, sslcert, \
         sslkey, sslmode, sslrootcert, statement-cache-capacity and user, and no others"
    )]
    PostgresParameter,
    /// Neither `sqlite:` nor any other scheme that is known.
    #[error(
        "a store is written sqlite:PATH, as in sqlite:tokenberg.db or sqlite:/var/lib/tokenberg/tokenberg.db, or \
         postgres://USER@HOST:PORT/DATABASE"
    )]
    Scheme,
    /// `sqlite:` and nothing after it.
    #[error("the path is missing after sqlite:, as in sqlite:tokenberg.db")]
    NoPath,
    /// `sqlite::memory:`.
    #[error("a store in memory would forget revocations; name a file, as in sqlite:tokenberg.db")]
    InMemory,
    /// A query, a fragment, or a `file:` URL within.
    #[error("a store takes no options: write sqlite:PATH without file:, ? and #")]
    Options,
}

impl std::str::FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(rest) = text.strip_prefix("postgres:").or_else(|| text.strip_prefix("postgresql:")) {
            return Ok(Self(Place::Postgres(Box::new(PostgresUrl::parse(rest)?))));
        }
        let rest = text.strip_prefix("sqlite:").ok_or(StoreUrlError::Scheme)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.ends_with('/') {
            Err(StoreUrlError::NoPath)
        } else if path.starts_with(":memory:") {
            Err(StoreUrlError::InMemory)
        } else if path.starts_with("file:") || path.contains(['?', '#', '\0']) {
            Err(StoreUrlError::Options)
        } else {
            Ok(Self(Place::Sqlite(path.into())))
        }
    }
}

impl StoreUrl {
    /// The store in this SQLite file.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self(Place::Sqlite(path.to_owned()))
    }

    /// The file of the database, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }

    /// Where the key-encryption key is unless somebody says otherwise: beside the database, `PATH.key`. There is no such place
    /// beside a PostgreSQL database.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        let mut name = self.path()?.as_os_str().to_owned();
        name.push(".key");
        Some(name.into())
    }

    /// The address as it was written, without a password in it.
    #[must_use]
    pub fn without_password(&self) -> String {
        match &self.0 {
            Place::Sqlite(path) => format!("sqlite:{}", path.display()),
            Place::Postgres(url) => url.without_password(),
        }
    }

    /// Whether what goes to the store and back could be read on the way by others than this machine.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        match &self.0 {
            Place::Sqlite(_) => false,
            Place::Postgres(url) => url.is_in_the_clear(),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_file_of_sqlite() {
        for (text, path) in [
            ("sqlite:tokenberg.db", "tokenberg.db"),
            ("sqlite://tokenberg.db", "tokenberg.db"),
            ("sqlite:/var/x y.db", "/var/x y.db"),
            ("sqlite:///var/x.db", "/var/x.db"),
        ] {
            let url = text.parse::<StoreUrl>().unwrap();
            assert_eq!(url.path(), Some(Path::new(path)));
            assert_eq!(url.to_string().parse(), Ok(url.clone()));
            assert_eq!(url.key_file(), Some(PathBuf::from(format!("{path}.key"))));
        }
    }

    #[test]
    fn a_store_is_a_database_of_postgresql() {
        for text in ["postgres://u:hush@h:5/d", "postgresql://u:hush@h:5/d"] {
            let url = text.parse::<StoreUrl>().unwrap();
            assert_eq!((url.path(), url.key_file()), (None, None));
            assert_eq!((url.to_string(), format!("{url:?}")), ("postgres://u@h:5/d".into(), url.to_string()));
        }
    }

    #[test]
    fn what_is_no_store_says_what_would_be_one() {
        for (text, why) in [
            ("Postgres://u:hush@h/d", StoreUrlError::Scheme),
            ("tokenberg.db", StoreUrlError::Scheme),
            ("SQLITE:x", StoreUrlError::Scheme),
            ("mysql://h", StoreUrlError::Scheme),
            ("", StoreUrlError::Scheme),
            ("sqlite:", StoreUrlError::NoPath),
            ("sqlite://", StoreUrlError::NoPath),
            ("sqlite:dir/", StoreUrlError::NoPath),
            ("sqlite::memory:", StoreUrlError::InMemory),
            ("sqlite:file:x", StoreUrlError::Options),
            ("sqlite:x?mode=ro", StoreUrlError::Options),
        ] {
            let fault = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(fault, why, "{text}");
            assert!(fault.to_string().contains("sqlite:"));
            assert!(!fault.to_string().contains("hush"));
        }
    }
}
