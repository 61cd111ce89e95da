//! Runs transactions and single statements: how they begin, which are repeated, and how long they may take.

use crate::database::activity::Kind;
use crate::database::db::Db;
use crate::database::dialect::Dialect;
use crate::database::part::Part;
#[cfg(feature = "postgres")]
use crate::database::postgres::Attempts;
#[cfg(feature = "sqlite")]
use crate::database::sqlite::Sqlite;
use crate::database::timeout::TIMEOUT;
#[cfg(feature = "postgres")]
use crate::database::timeout::{LONG_TIMEOUT, within};
use crate::database::tx::{Row, Scoped, Statement, Value, Work};
#[cfg(feature = "sqlite")]
use crate::database::tx::{Tx, values};
use crate::error::StoreError;
use std::time::Duration;

impl Db {
    /// Makes a change in one durable transaction: raises the numbers of the parts, and does the work. The work may run more than
    /// once, because PostgreSQL rolls back one of two transactions that conflict.
    ///
    /// The numbers are raised first. On SQLite the transaction starts as a writer, so that nothing that the work has read can
    /// change before it writes. On PostgreSQL raising a number locks its row until the end: writers of a part queue up, they read
    /// what the writer before them left, and a number is visible only with all changes under it and under smaller numbers. Work that
    /// reads before it writes therefore has to name a part. Work records no more changes than it names parts, because a watch compares
    /// both numbers; it may name a part more than once.
    pub(crate) async fn change<'env, T>(
        &self,
        parts: &[Part],
        work: impl for<'t, 'c> Fn(&'t mut Scoped<'c, 'env>) -> Work<'t, T>,
    ) -> Result<T, StoreError> {
        self.change_within(TIMEOUT, parts, 1, work).await
    }

    /// [`Db::change`] that records so many changes, and raises the numbers by as many.
    pub(crate) async fn changes<'env, T>(
        &self,
        parts: &[Part],
        count: usize,
        work: impl for<'t, 'c> Fn(&'t mut Scoped<'c, 'env>) -> Work<'t, T>,
    ) -> Result<T, StoreError> {
        self.change_within(TIMEOUT, parts, i64::try_from(count).unwrap_or(i64::MAX), work).await
    }

    /// [`Db::changes`] with another limit for how long PostgreSQL may take.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "SQLite has its busy timeout instead")
    )]
    pub(crate) async fn change_within<'env, T>(
        &self,
        timeout: Duration,
        parts: &[Part],
        count: i64,
        work: impl for<'t, 'c> Fn(&'t mut Scoped<'c, 'env>) -> Work<'t, T>,
    ) -> Result<T, StoreError> {
        let _under_way = self.activity().begin(Kind::Change);
        let work = async |mut tx: Scoped<'_, 'env>| work(&mut tx).await;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(Sqlite { write, .. }) => {
                let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                let mut tx = Tx::Sqlite(&mut transaction);
                raise(&mut tx, parts, count).await?;
                let outcome = work(tx.into()).await?;
                transaction.commit().await?;
                Ok(outcome)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let mut attempts = Attempts::new();
                loop {
                    let attempt = within(timeout, async {
                        let mut lent = postgres.begin_change(timeout, parts, count).await?;
                        match work(lent.tx()?.into()).await {
                            Ok(outcome) => postgres.commit(lent, parts).await.map(|()| outcome),
                            Err(error) => {
                                if error.is_read_only() {
                                    // The next connection may lead to a server that can be written.
                                    lent.discard();
                                }
                                Err(error)
                            }
                        }
                    });
                    match attempt.await {
                        Err(error) if attempts.may_go_on(&error).await => {}
                        outcome => return outcome,
                    }
                }
            }
        }
    }

    /// Makes a change of this part in one message to PostgreSQL, and returns the row that `read` reads afterwards in the same
    /// transaction. The statement must change nothing if it has been run already. On SQLite, nothing is done.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "SQLite has no messages that take time")
    )]
    pub(crate) async fn change_at_once<R: Row>(
        &self,
        part: Part,
        statement: Statement<'_>,
        read: Statement<'_>,
    ) -> Result<Option<R>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let _under_way = self.activity().begin(Kind::Change);
                within(TIMEOUT, postgres.change_at_once(TIMEOUT, part, statement, read)).await
            }
        }
    }

    /// Reads with several statements that all see one moment.
    pub(crate) async fn moment<'env, T>(
        &self,
        work: impl for<'t, 'c> FnOnce(&'t mut Scoped<'c, 'env>) -> Work<'t, T>,
    ) -> Result<T, StoreError> {
        let _under_way = self.activity().begin(Kind::Read);
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(Sqlite { read, .. }) => {
                let mut transaction = read.begin().await?;
                let outcome = work(&mut Tx::Sqlite(&mut transaction).into()).await;
                transaction.rollback().await?;
                outcome
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                within(LONG_TIMEOUT, async {
                    let mut lent = postgres.begin_read(LONG_TIMEOUT).await?;
                    work(&mut lent.tx()?.into()).await
                })
                .await
            }
        }
    }

    /// Reads with one statement.
    async fn read<'env, T>(
        &self,
        work: impl for<'t, 'c> FnOnce(&'t mut Scoped<'c, 'env>) -> Work<'t, T>,
    ) -> Result<T, StoreError> {
        let _under_way = self.activity().begin(Kind::Read);
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(Sqlite { read, .. }) => {
                let mut connection = read.acquire().await?;
                work(&mut Tx::Sqlite(&mut connection).into()).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                within(TIMEOUT, async {
                    let mut lent = postgres.begin_read(TIMEOUT).await?;
                    work(&mut lent.tx()?.into()).await
                })
                .await
            }
        }
    }

    /// [`Tx::all`] in a transaction of its own.
    pub(crate) async fn all<R: Row>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, StoreError> {
        self.read(|tx| Box::pin(tx.all(sql, values))).await
    }

    /// [`Tx::all`] of a statement that differs between the databases, in a transaction of its own.
    pub(crate) async fn all_of<R: Row>(
        &self,
        sql: impl Fn(&Dialect) -> &'static str + Send + 'static,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, StoreError> {
        let read = self.read(|tx| {
            let sql = sql(tx.dialect());
            Box::pin(tx.all(sql, values))
        });
        read.await
    }

    /// [`Tx::find`] in a transaction of its own.
    pub(crate) async fn find<R: Row>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<R>, StoreError> {
        self.read(|tx| Box::pin(tx.find(sql, values))).await
    }

    /// [`Tx::value`] in a transaction of its own.
    pub(crate) async fn value<T>(&self, sql: &'static str, values: &[Value<'_>]) -> Result<T, StoreError>
    where
        (T,): Row,
    {
        self.read(|tx| Box::pin(tx.value(sql, values))).await
    }

    /// [`Tx::find_value`] in a transaction of its own.
    pub(crate) async fn find_value<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError>
    where
        (T,): Row,
    {
        self.read(|tx| Box::pin(tx.find_value(sql, values))).await
    }
}

/// Raises the numbers of the parts by as many changes, always in the same order.
#[cfg(feature = "sqlite")]
async fn raise(tx: &mut Tx<'_>, parts: &[Part], count: i64) -> Result<(), StoreError> {
    for (part, times) in Part::counted(parts) {
        let raise = "UPDATE revisions SET number = number + $2 WHERE part = $1";
        tx.execute(raise, values![part.name(), times * count]).await?;
    }
    Ok(())
}
