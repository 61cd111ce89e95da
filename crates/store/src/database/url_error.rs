//! Why a text is not the address of a store.

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
    /// A PostgreSQL store, in a build without the feature `postgres`.
    #[error("this build of tokenberg has no PostgreSQL: the feature `postgres` of tokenberg-store is off")]
    WithoutPostgres,
    /// An SQLite store, in a build without the feature `sqlite`.
    #[error("this build of tokenberg has no SQLite: the feature `sqlite` of tokenberg-store is off")]
    WithoutSqlite,
}
