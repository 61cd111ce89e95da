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
        "a PostgreSQL store has the parameters application_name, dbname, host, hostaddr, options, password, port, sslcert, \
         sslkey, sslmode, sslrootcert, statement-cache-capacity and user, and no others"
    )]
    PostgresParameter,
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
