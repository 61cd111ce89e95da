//! The address of a store: the value of `--store`.

#[cfg(feature = "postgres")]
use crate::database::postgres_url::PostgresUrl;
use crate::database::url_error::StoreUrlError;
use std::fmt;
use std::path::{Path, PathBuf};

/// The address of a store: `sqlite:PATH`, or the same as `sqlite://PATH`; or `postgres://USER@HOST:PORT/DATABASE`.
///
/// A path that does not start with `/` is relative to the working directory; nothing in it is decoded. Neither `Display` nor
/// `Debug` shows the password of a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(pub(crate) Location);

/// The kind of database, and its address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresUrl>),
}

impl std::str::FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(rest) = text.strip_prefix("postgres:").or_else(|| text.strip_prefix("postgresql:")) {
            return Self::parse_postgres(rest);
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
            Self::parse_path(path)
        }
    }
}

impl StoreUrl {
    #[cfg(feature = "postgres")]
    fn parse_postgres(rest: &str) -> Result<Self, StoreUrlError> {
        Ok(Self(Location::Postgres(Box::new(PostgresUrl::parse(rest)?))))
    }

    #[cfg(not(feature = "postgres"))]
    fn parse_postgres(_: &str) -> Result<Self, StoreUrlError> {
        Err(StoreUrlError::WithoutPostgres)
    }

    #[cfg(feature = "sqlite")]
    fn parse_path(path: &str) -> Result<Self, StoreUrlError> {
        Ok(Self(Location::Sqlite(path.into())))
    }

    #[cfg(not(feature = "sqlite"))]
    fn parse_path(_: &str) -> Result<Self, StoreUrlError> {
        Err(StoreUrlError::WithoutSqlite)
    }

    /// The store in this SQLite file.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self(Location::Sqlite(path.to_owned()))
    }

    /// Reads the password of PostgreSQL from this file at each connect. The file contains the password and nothing else, and only
    /// its owner may read it.
    ///
    /// # Errors
    /// [`StoreUrlError::TwoPasswords`] if the URL contains a password, and [`StoreUrlError::NeedlessPasswordFile`] for SQLite.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "SQLite has no password"))]
    pub fn with_password_file(self, path: &Path) -> Result<Self, StoreUrlError> {
        match self.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(_) => Err(StoreUrlError::NeedlessPasswordFile),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => Ok(Self(Location::Postgres(Box::new(url.with_password_file(path)?)))),
        }
    }

    /// The file of the database; `None` for PostgreSQL.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => Some(path),
            #[cfg(feature = "postgres")]
            Location::Postgres(_) => None,
        }
    }

    /// The default file of the key-encryption key, `PATH.key` beside the SQLite file; `None` for PostgreSQL.
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
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => format!("sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => url.without_password(),
        }
    }

    /// Whether traffic with the store may leave this machine unencrypted.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => url.is_in_the_clear(),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => url.fmt(f),
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

    #[cfg(feature = "sqlite")]
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

    #[cfg(feature = "postgres")]
    #[test]
    fn a_store_is_a_database_of_postgresql() {
        for text in ["postgres://u:hush@h:5/d", "postgresql://u:hush@h:5/d"] {
            let url = text.parse::<StoreUrl>().unwrap();
            assert_eq!((url.path(), url.key_file()), (None, None));
            assert_eq!((url.to_string(), format!("{url:?}")), ("postgres://u@h:5/d".into(), url.to_string()));
        }
    }

    #[test]
    fn an_invalid_store_url_is_refused_with_the_valid_forms() {
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

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn a_build_without_postgresql_reports_it() {
        assert_eq!("postgres://u@h/d".parse::<StoreUrl>(), Err(StoreUrlError::WithoutPostgres));
    }

    #[cfg(not(feature = "sqlite"))]
    #[test]
    fn a_build_without_sqlite_reports_it() {
        assert_eq!("sqlite:x".parse::<StoreUrl>(), Err(StoreUrlError::WithoutSqlite));
    }
}
