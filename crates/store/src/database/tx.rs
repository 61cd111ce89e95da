//! Runs statements on a connection of either database: one SQL text, its values, and rows as tuples.

use crate::error::StoreError;
use futures_util::TryStreamExt;
use futures_util::future::{BoxFuture, ready};
use sqlx::error::BoxDynError;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Type, query_as_with, query_with, raw_sql};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use tokenberg_core::Timestamp;

/// What a closure given to [`Db::change`](crate::database::Db::change) returns.
pub(crate) type Work<'t, T> = BoxFuture<'t, Result<T, StoreError>>;

/// A connection of either database, in a transaction.
///
/// A statement is a `&'static str`, so that no value can become part of it.
pub(crate) enum Tx<'c> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'c mut SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres {
        connection: &'c mut PgConnection,
        /// Whether prepared statements stay: behind a pooler, the next transaction may be on another session of the server.
        is_direct: bool,
    },
}

/// A [`Tx`] for a closure that borrows from its surroundings for `'env`.
///
/// Such a closure has to accept a connection of every lifetime. Because of `'env` in this type, that is every lifetime shorter
/// than `'env`, so what the closure borrows is still there.
pub(crate) struct Scoped<'c, 'env: 'c> {
    tx: Tx<'c>,
    env: PhantomData<&'env ()>,
}

impl<'c> From<Tx<'c>> for Scoped<'c, '_> {
    fn from(tx: Tx<'c>) -> Self {
        Self { tx, env: PhantomData }
    }
}

impl<'c> Deref for Scoped<'c, '_> {
    type Target = Tx<'c>;

    fn deref(&self) -> &Tx<'c> {
        &self.tx
    }
}

impl<'c> DerefMut for Scoped<'c, '_> {
    fn deref_mut(&mut self) -> &mut Tx<'c> {
        &mut self.tx
    }
}

impl Tx<'_> {
    /// Runs a statement. Returns the number of rows that it affected.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(c) => query_with(sql, arguments::<SqliteArguments>(values)?)
                .execute(&mut **c)
                .await?
                .rows_affected(),
            #[cfg(feature = "postgres")]
            Self::Postgres { connection: c, is_direct } => query_with(sql, arguments::<PgArguments>(values)?)
                .persistent(*is_direct)
                .execute(&mut **c)
                .await?
                .rows_affected(),
        })
    }

    /// Runs statements that do not depend on each other, in one round trip. Returns the number of rows that the last one affected.
    pub(crate) async fn execute_together(&mut self, statements: &[Statement<'_>]) -> Result<u64, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                let mut affected = 0;
                for (sql, values) in statements {
                    affected = self.execute(sql, values).await?;
                }
                Ok(affected)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres { connection, is_direct } => {
                let (sql, values) = together(statements);
                let query = query_with(AssertSqlSafe(sql), arguments::<PgArguments>(&values)?);
                Ok(query.persistent(*is_direct).execute(&mut **connection).await?.rows_affected())
            }
        }
    }

    /// Runs several statements that define tables.
    pub(crate) async fn execute_all(&mut self, sql: &'static str) -> Result<(), StoreError> {
        // Only the program's own text.
        let sql = AssertSqlSafe(sql.replace("BLOB", self.dialect().bytes));
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(c) => raw_sql(sql).execute(&mut **c).await.map(drop)?,
            #[cfg(feature = "postgres")]
            Self::Postgres { connection: c, .. } => raw_sql(sql).execute(&mut **c).await.map(drop)?,
        }
        Ok(())
    }

    /// Returns all rows.
    pub(crate) async fn all<R: Row>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, StoreError> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(c) => {
                query_as_with(sql, arguments::<SqliteArguments>(values)?).fetch_all(&mut **c).await?
            }
            #[cfg(feature = "postgres")]
            Self::Postgres { connection: c, is_direct } => {
                query_as_with(sql, arguments::<PgArguments>(values)?)
                    .persistent(*is_direct)
                    .fetch_all(&mut **c)
                    .await?
            }
        })
    }

    /// Passes each row on as it arrives, for tables that do not belong into memory as a whole.
    pub(crate) async fn each<R: Row>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        mut take: impl FnMut(R) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let rows = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(c) => query_as_with(sql, arguments::<SqliteArguments>(values)?).fetch(&mut **c),
            #[cfg(feature = "postgres")]
            Self::Postgres { connection: c, is_direct } => {
                query_as_with(sql, arguments::<PgArguments>(values)?).persistent(*is_direct).fetch(&mut **c)
            }
        };
        rows.map_err(StoreError::from).try_for_each(|row| ready(take(row))).await
    }

    /// Returns the first row, if there is one.
    pub(crate) async fn find<R: Row>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<R>, StoreError> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(c) => {
                query_as_with(sql, arguments::<SqliteArguments>(values)?).fetch_optional(&mut **c).await?
            }
            #[cfg(feature = "postgres")]
            Self::Postgres { connection: c, is_direct } => {
                query_as_with(sql, arguments::<PgArguments>(values)?)
                    .persistent(*is_direct)
                    .fetch_optional(&mut **c)
                    .await?
            }
        })
    }

    /// Returns the only column of the first row, if there is one.
    pub(crate) async fn find_value<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError>
    where
        (T,): Row,
    {
        Ok(self.find(sql, values).await?.map(|(value,)| value))
    }

    /// Returns the only column of the only row, as of `COUNT` or `MAX`.
    pub(crate) async fn value<T>(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<T, StoreError>
    where
        (T,): Row,
    {
        self.find_value(sql, values).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }
}

/// One statement that contains all of them, and all values. It contains no text but the program's own.
#[cfg(feature = "postgres")]
fn together<'v>(statements: &[Statement<'v>]) -> (String, Vec<Value<'v>>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    for (n, (text, of_statement)) in statements.iter().enumerate() {
        let mut pieces = text.split('$');
        let mut renumbered = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let number = piece[..digits].parse::<usize>().map_or(0, |number| number + values.len());
            renumbered.push_str(&format!("${number}{}", &piece[digits..]));
        }
        let is_last = n + 1 == statements.len();
        let begin = if n == 0 { "WITH " } else { ", " };
        match (is_last, n) {
            (true, 0) => sql = renumbered,
            (true, _) => sql = format!("{sql} {renumbered}"),
            (false, _) => sql = format!("{sql}{begin}s{n} AS ({renumbered})"),
        }
        values.extend(of_statement.iter().copied());
    }
    (sql, values)
}

/// A tuple of columns that both databases can return.
pub(crate) trait Row: FromSqlite + FromPostgres + Send + Unpin {}

impl<R: FromSqlite + FromPostgres + Send + Unpin> Row for R {}

/// A tuple of columns that SQLite can return.
#[cfg(feature = "sqlite")]
pub(crate) trait FromSqlite: for<'r> FromRow<'r, SqliteRow> {}

#[cfg(feature = "sqlite")]
impl<R: for<'r> FromRow<'r, SqliteRow>> FromSqlite for R {}

#[cfg(not(feature = "sqlite"))]
pub(crate) trait FromSqlite {}

#[cfg(not(feature = "sqlite"))]
impl<R> FromSqlite for R {}

/// A tuple of columns that PostgreSQL can return.
#[cfg(feature = "postgres")]
pub(crate) trait FromPostgres: for<'r> FromRow<'r, PgRow> {}

#[cfg(feature = "postgres")]
impl<R: for<'r> FromRow<'r, PgRow>> FromPostgres for R {}

#[cfg(not(feature = "postgres"))]
pub(crate) trait FromPostgres {}

#[cfg(not(feature = "postgres"))]
impl<R> FromPostgres for R {}

/// The time of a column with seconds since 1970.
pub(crate) fn time(seconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_seconds(seconds).map_err(|_| StoreError::damaged(format!("the time {seconds}")))
}

/// A statement and its values.
pub(crate) type Statement<'v> = (&'static str, &'v [Value<'v>]);

/// A value that is bound to a `$n` of a statement.
#[derive(Clone, Copy)]
pub(crate) enum Value<'v> {
    Text(&'v str),
    Bytes(&'v [u8]),
    Number(Option<i64>),
}

/// The values of a statement, in the order of `$1`, `$2`, …
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::database::Value::from($value)),*] };
}
pub(crate) use values;

fn arguments<'v, A>(values: &[Value<'v>]) -> Result<A, sqlx::Error>
where
    A: Arguments,
    &'v str: Encode<'v, A::Database> + Type<A::Database>,
    &'v [u8]: Encode<'v, A::Database> + Type<A::Database>,
    Option<i64>: Encode<'v, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    let mut add = |value: &Value<'v>| -> Result<(), BoxDynError> {
        match *value {
            Value::Text(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Number(number) => arguments.add(number),
        }
    };
    values.iter().try_for_each(&mut add).map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(bytes: &'v Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'v, const N: usize> From<&'v [u8; N]> for Value<'v> {
    fn from(bytes: &'v [u8; N]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        i64::from(is).into()
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        time.as_seconds().into()
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Number(time.map(Timestamp::as_seconds))
    }
}
