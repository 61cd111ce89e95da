//! How do records and heads get into the database? A statement for each row, which is kept, and copies no more than that row.

/// Inserts the rows of a chain.
macro_rules! insert_records {
    ($connection:expr, $chain:expr, $rows:expr) => {{
        let rows: &[$crate::audit::Row] = $rows;
        for (number, at, text, hash) in rows {
            sqlx::query(
                "INSERT INTO audit_records (chain, number, at, record, hash) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind($chain)
            .bind(*number)
            .bind(*at)
            .bind(text.as_str())
            .bind(hash.as_slice())
            .execute(&mut *$connection)
            .await?;
        }
    }};
}

/// Inserts the head of a chain without records, unless it is there.
macro_rules! insert_head {
    ($connection:expr, $links:expr, $head:expr) => {
        sqlx::query(
            "INSERT INTO audit_heads (chain, number, hash, at, begun, ended, seal, first, before, anchor) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (chain) DO NOTHING",
        )
        .bind($head.chain.as_str())
        .bind($head.number)
        .bind($head.hash.as_slice())
        .bind($head.at)
        .bind($head.begun)
        .bind(i64::from($head.ended))
        .bind($links.seal($head).as_slice())
        .bind(1_i64)
        .bind($crate::audit::NOTHING.as_slice())
        .bind($links.anchor($head.chain.as_str(), 1, &$crate::audit::NOTHING).as_slice())
        .execute(&mut *$connection)
        .await?
    };
}

/// Moves the head of a chain on, if it is as it was left; the number of heads that were moved.
macro_rules! move_head {
    ($connection:expr, $links:expr, $from:expr, $to:expr) => {
        sqlx::query(
            "UPDATE audit_heads SET number = $4, hash = $5, at = $6, ended = $7, seal = $8 \
             WHERE chain = $1 AND number = $2 AND hash = $3",
        )
        .bind($from.chain.as_str())
        .bind($from.number)
        .bind($from.hash.as_slice())
        .bind($to.number)
        .bind($to.hash.as_slice())
        .bind($to.at)
        .bind(i64::from($to.ended))
        .bind($links.seal($to).as_slice())
        .execute(&mut *$connection)
        .await?
        .rows_affected()
    };
}
