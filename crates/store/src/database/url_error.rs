//! Why a text is not the address of a store.

/// Why a text is not the address of a store. Contains nothing of the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// `postgres:` and something that is not an address.
    #[error(
        "a PostgreSQL store is written postgres://USER@HOST:PORT/DATABASE; in names and passwords, characters other than letters \
         and digits are written %XX"
    )]
    PostgresForm,
    /// An unknown parameter.
    #[error(
        "a PostgreSQL store has the parameters application_name, connect_timeout, dbname, host, hostaddr, options, passfile, \
         password, port, sslcert, sslkey, sslmode, sslrootcert, statement-cache-capacity, target_session_attrs and user, and no \
         others"
    )]
    PostgresParameter,
    /// A parameter or variable of libpq that would have no effect.
    #[error("{name} is not supported: {instead}")]
    PostgresUnsupported {
        /// The parameter or the variable.
        name: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A parameter, or its variable, has a value that is not supported.
    #[error("the value of {name} is not supported: write {expected}")]
    PostgresValue {
        /// The parameter.
        name: &'static str,
        /// The values that are.
        expected: &'static str,
    },
    /// A password in the URL, and a password file.
    #[error("the password is given twice, in the URL of the store and by the password file; remove one")]
    TwoPasswords,
    /// A password file for a store that has no password.
    #[error(
        "a password file is only for a PostgreSQL store; remove --store-password-file (or TOKENBERG_STORE_PASSWORD_FILE)"
    )]
    NeedlessPasswordFile,
    /// An unknown scheme, or none.
    #[error(
        "a store is written sqlite:PATH, as in sqlite:tokenberg.db or sqlite:/var/lib/tokenberg/tokenberg.db, or \
         postgres://USER@HOST:PORT/DATABASE"
    )]
    Scheme,
    /// `sqlite:` without a path.
    #[error("the path is missing after sqlite:, as in sqlite:tokenberg.db")]
    NoPath,
    /// `sqlite::memory:`.
    #[error("a store in memory would lose revocations at a restart; name a file, as in sqlite:tokenberg.db")]
    InMemory,
    /// A query, a fragment, or a `file:` URL inside.
    #[error("a store takes no options: write sqlite:PATH without file:, ? and #")]
    Options,
    /// A PostgreSQL store, in a build without the feature `postgres`.
    #[error("this build of tokenberg has no PostgreSQL: the feature `postgres` of tokenberg-store is off")]
    WithoutPostgres,
    /// An SQLite store, in a build without the feature `sqlite`.
    #[error("this build of tokenberg has no SQLite: the feature `sqlite` of tokenberg-store is off")]
    WithoutSqlite,
}
