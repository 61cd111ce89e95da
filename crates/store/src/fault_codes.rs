//! What errors of a database mean: an outage, damage, or an answer that needs an operator.

#[cfg(feature = "postgres")]
use crate::error::{CONFLICT, READ_ONLY};
use crate::error::{LOCKED, StoreError};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(fault) = &error {
            let code = fault.code().unwrap_or_default();
            #[cfg(feature = "postgres")]
            if fault.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                return of_postgres(&code, fault.message());
            }
            #[cfg(feature = "sqlite")]
            return of_sqlite(&code, fault.message());
            #[cfg(not(feature = "sqlite"))]
            return Self::Database { code: code.into_owned(), message: fault.message().to_owned() };
        }
        if let sqlx::Error::Protocol(what) = &error
            && what.contains("SSLRequest")
        {
            return Self::unavailable("the server closed the connection before it began with TLS");
        }
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::unavailable("no connection to the database was available in time");
        }
        let column = matches!(
            error,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_)
        );
        if column { Self::damaged("a row") } else { Self::unavailable(&error.to_string()) }
    }
}

/// Result codes of SQLite; the low eight bits say which kind (https://www.sqlite.org/rescode.html).
#[cfg(feature = "sqlite")]
fn of_sqlite(code: &str, message: &str) -> StoreError {
    let kind = code.parse::<i64>().map_or(-1, |c| c & 0xFF);
    match kind {
        5 | 6 => StoreError::unavailable(LOCKED),
        7 => StoreError::unavailable("SQLite is out of memory"),
        8 => StoreError::unavailable("the database is read-only; is its directory writable?"),
        10 => StoreError::unavailable("reading or writing the database failed"),
        11 | 26 => StoreError::damaged("the SQLite file is corrupt, and"),
        13 => StoreError::unavailable("the disk is full"),
        14 => StoreError::unavailable("a file of the database cannot be opened; is its directory writable?"),
        _ => StoreError::Database { code: code.to_owned(), message: message.to_owned() },
    }
}

/// SQLSTATE; the first two characters say which class (https://www.postgresql.org/docs/current/errcodes-appendix.html).
#[cfg(feature = "postgres")]
fn of_postgres(code: &str, message: &str) -> StoreError {
    match (code.get(..2).unwrap_or_default(), code) {
        (_, "40001" | "40P01") => StoreError::unavailable(CONFLICT),
        (_, "55P03") => StoreError::unavailable(LOCKED),
        (_, "25006") => StoreError::refused(READ_ONLY),
        (_, "57014") => StoreError::refused("the database took too long"),
        (_, "53100") => StoreError::refused("the disk of the database is full"),
        (_, "XX001" | "XX002") => StoreError::damaged("a table of the database"),
        // A database that is gone or takes no connections, memory, shutdown, I/O.
        ("3D" | "53" | "57" | "58", _) | (_, "55000") => StoreError::refused(message),
        // Connections, transactions that took too long; and credentials, which may be wrong on this node only.
        ("08" | "28", _) | (_, "25P03" | "25P04") => StoreError::unavailable(message),
        _ => StoreError::Database { code: code.to_owned(), message: message.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_21_only_temporary_faults_are_unavailable() {
        #[cfg(feature = "sqlite")]
        for code in ["5", "261", "6", "10", "778", "13", "14", "8"] {
            assert!(of_sqlite(code, "").is_unavailable(), "{code}");
        }
        #[cfg(feature = "sqlite")]
        for code in ["1", "11", "26", "1555", ""] {
            assert!(!of_sqlite(code, "").is_unavailable(), "{code}");
        }
        #[cfg(feature = "postgres")]
        for code in [
            "08006", "57P01", "57P03", "53300", "53100", "28P01", "40001", "25006", "57014", "55P03",
            "3D000", "55000",
        ] {
            assert!(of_postgres(code, "").is_unavailable(), "{code}");
        }
        #[cfg(feature = "postgres")]
        for (code, is_answer) in [
            ("57P03", true),
            ("55000", true),
            ("3D000", true),
            ("42501", true),
            ("42P01", true),
            ("28P01", false),
            ("08006", false),
        ] {
            assert_eq!(of_postgres(code, "").is_answer_of_database(), is_answer, "{code}");
        }
        #[cfg(feature = "sqlite")]
        assert!(!of_sqlite("1", "").is_answer_of_database() && !of_sqlite("13", "").is_answer_of_database());
        #[cfg(feature = "postgres")]
        for code in ["42P01", "23505", "42501", "XX001", "22021", ""] {
            assert!(!of_postgres(code, "").is_unavailable(), "{code}");
        }
        #[cfg(feature = "postgres")]
        assert!(of_postgres("40P01", "").is_conflict() && !of_postgres("57P01", "").is_conflict());
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_unavailable());
    }
}
