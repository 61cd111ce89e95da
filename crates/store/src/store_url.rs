//! Where is the store? The value of `--store`.

use std::path::{Path, PathBuf};

/// The address of a store: `sqlite:PATH`, or the same as `sqlite://PATH`.
///
/// The path is taken as it is, relative to the working directory if it does not start with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    path: PathBuf,
}

/// Why a text is no address of a store. Holds nothing of the text, because a password may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// `postgres://…`.
    #[error("this version has no PostgreSQL store yet; use sqlite:PATH, as in sqlite:tokenberg.db")]
    Postgres,
    /// Neither `sqlite:` nor any other scheme that is known.
    #[error(
        "a store is written sqlite:PATH, as in sqlite:tokenberg.db or sqlite:/var/lib/tokenberg/tokenberg.db"
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
        let Some(rest) = text.strip_prefix("sqlite:") else {
            let is_postgres = text.starts_with("postgres:") || text.starts_with("postgresql:");
            return Err(if is_postgres { StoreUrlError::Postgres } else { StoreUrlError::Scheme });
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.ends_with('/') {
            Err(StoreUrlError::NoPath)
        } else if path.starts_with(":memory:") {
            Err(StoreUrlError::InMemory)
        } else if path.starts_with("file:") || path.contains(['?', '#', '\0']) {
            Err(StoreUrlError::Options)
        } else {
            Ok(Self { path: path.into() })
        }
    }
}

impl StoreUrl {
    /// The store in this SQLite file.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The file of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the key-encryption key is unless somebody says otherwise: beside the database, `PATH.key`.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".key");
        name.into()
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
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
            assert_eq!(url.path(), Path::new(path));
            assert_eq!(url.to_string().parse(), Ok(url.clone()));
            assert_eq!(url.key_file(), PathBuf::from(format!("{path}.key")));
        }
    }

    #[test]
    fn what_is_no_store_says_what_would_be_one() {
        for (text, why) in [
            ("postgres://u:hush@h/d", StoreUrlError::Postgres),
            ("postgresql://h", StoreUrlError::Postgres),
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
