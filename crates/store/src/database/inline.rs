//! Statements with their values in the text, for several in one message: PostgreSQL binds values to one statement only.

use crate::database::tx::Value;
use crate::hex::to_hex;

/// The statement with its values in place of `$1`, `$2`, … Texts and bytes become hexadecimal digits, so that no value can become part
/// of the statement.
pub(crate) fn inline(sql: &'static str, values: &[Value<'_>]) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(digits);
        let value = number.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?));
        text.push_str(&value.map_or_else(|| "NULL".to_owned(), literal));
        text.push_str(rest);
    }
    text
}

fn literal(value: &Value<'_>) -> String {
    match *value {
        Value::Text(text) => format!("convert_from(decode('{}', 'hex'), 'UTF8')", to_hex(text.as_bytes())),
        Value::Bytes(bytes) => format!("decode('{}', 'hex')", to_hex(bytes)),
        Value::Number(Some(number)) => format!("CAST('{number}' AS BIGINT)"),
        Value::Number(None) => "CAST(NULL AS BIGINT)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tx::values;
    use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

    #[tokio::test]
    async fn no_value_becomes_part_of_a_statement() {
        let Some(postgres) = tokenberg_testkit::Postgres::shared() else { return };
        let mut connection = PgConnection::connect(&postgres.url(&postgres.database())).await.unwrap();
        let sql = "SELECT $1, $2, $3, $4, $1 || $5, 'a'";
        for text in ["", "'; DROP TABLE clients; --", "\\'", "$1 $2", "\u{1f600}\n\r\t\"", "$$", "\\x00"] {
            let values = values![text, text.as_bytes(), i64::MIN, None::<i64>, "-"];
            let row =
                sqlx::raw_sql(AssertSqlSafe(inline(sql, values))).fetch_one(&mut connection).await.unwrap();
            assert_eq!(row.get::<String, _>(0), text);
            assert_eq!(row.get::<Vec<u8>, _>(1), text.as_bytes());
            assert_eq!((row.get::<i64, _>(2), row.get::<Option<i64>, _>(3)), (i64::MIN, None));
            assert_eq!(row.get::<String, _>(4), format!("{text}-"));
        }
    }
}
