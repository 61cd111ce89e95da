//! Compares the schema of the database with the one that the migrations create: a trigger, a rule or a view in the place of a table
//! changes what servers write and read, although every row is as it was recorded.

use crate::database::db::Db;
use crate::database::schema;
#[cfg(feature = "sqlite")]
use crate::database::tx::Tx;
#[cfg(feature = "postgres")]
use crate::database::tx::values;
use crate::error::StoreError;
use std::fmt;

/// Something in the database that the migrations did not create, or not so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "readers take it apart, so that they overlook no member")]
pub struct SchemaDifference {
    /// What it is: `trigger`, `index`, `table`, `view`, `rule`, `policy`.
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The table to which it belongs; of a table its own name.
    pub table: Box<str>,
    /// How it differs.
    pub what: SchemaDeviation,
}

/// How the schema differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaDeviation {
    /// It belongs to a table of the store, and no migration creates it.
    Added,
    /// A migration creates it with another definition.
    Changed,
    /// A migration creates it, and it does not exist.
    Missing,
    /// It belongs to no table of the store, so no statement of a server uses it.
    Unrelated,
}

impl SchemaDifference {
    /// Whether it can change what servers read and write.
    #[must_use]
    pub fn affects_servers(&self) -> bool {
        self.what != SchemaDeviation::Unrelated
    }
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, table, what } = self;
        write!(f, "{kind} {name}")?;
        if name != table {
            write!(f, " of table {table}")?;
        }
        f.write_str(match what {
            SchemaDeviation::Added => " is not part of the schema and can change what servers read and write",
            SchemaDeviation::Changed => " has another definition than the migrations create",
            SchemaDeviation::Missing => " is missing",
            SchemaDeviation::Unrelated => " is not part of the schema; servers do not use it",
        })
    }
}

/// Kind, name, table, definition; the definition is empty where the database has none.
type Object = (String, String, String, String);

impl Db {
    /// Everything in the schema of the database that is not as the migrations create it, sorted.
    ///
    /// Of a schema newer than this version, tables, columns and indexes that this version does not know are left out.
    pub(crate) async fn schema_differences(&self) -> Result<Vec<SchemaDifference>, StoreError> {
        let found = schema::migration(self).await?;
        let (version, is_newer) = found.map_or((0, false), |found| (found.from, found.from > found.to));
        let tables = schema::tables(version);
        let (found, expected): (Vec<Object>, Vec<Object>) = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => (self.all(SELECT_SQLITE_OBJECTS, &[]).await?, of_empty_sqlite(version).await?),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let tables = tables.join(",");
                (self.all(SELECT_POSTGRES_OBJECTS, values![&tables]).await?, of_postgres(version))
            }
        };
        let mut differences = compare(&tables, &found, &expected);
        if is_newer {
            differences.retain(|difference| {
                difference.what == SchemaDeviation::Missing
                    || !["table", "index"].contains(&&*difference.kind)
            });
        }
        Ok(differences)
    }
}

fn compare(ours: &[&str], found: &[Object], expected: &[Object]) -> Vec<SchemaDifference> {
    let is_ours = |name: &str| ours.iter().any(|table| table.eq_ignore_ascii_case(name));
    let same = |one: &Object, other: &Object| one.0 == other.0 && one.1 == other.1;
    let difference = |(kind, name, table, _): &Object, what| SchemaDifference {
        kind: kind.as_str().into(),
        name: name.as_str().into(),
        table: table.as_str().into(),
        what,
    };
    let mut differences = Vec::new();
    for object in found {
        let what = match expected.iter().find(|expected| same(expected, object)) {
            Some(expected) if expected.2 == object.2 && words(&expected.3) == words(&object.3) => continue,
            Some(_) => SchemaDeviation::Changed,
            None if is_ours(&object.2) || is_ours(&object.1) => SchemaDeviation::Added,
            // Statistics and the like, which SQLite makes.
            None if object.1.starts_with("sqlite_") => continue,
            None => SchemaDeviation::Unrelated,
        };
        differences.push(difference(object, what));
    }
    let is_missing = |expected: &&Object| !found.iter().any(|object| same(expected, object));
    // With a table, its indexes are missing, too.
    let tables: Vec<&Object> =
        expected.iter().filter(is_missing).filter(|object| object.0 == "table").collect();
    let is_named = |object: &&Object| object.0 == "table" || tables.iter().all(|table| table.1 != object.2);
    let missing = expected.iter().filter(is_missing).filter(is_named);
    differences.extend(missing.map(|object| difference(object, SchemaDeviation::Missing)));
    differences.sort();
    differences
}

/// A definition without what a dump or a renaming may change: line breaks, spaces and quotation marks.
fn words(definition: &str) -> String {
    definition.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(feature = "sqlite")]
const SELECT_SQLITE_OBJECTS: &str = "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_master";

/// The objects of a database in memory after the migrations up to a schema.
#[cfg(feature = "sqlite")]
async fn of_empty_sqlite(version: i64) -> Result<Vec<Object>, StoreError> {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut connection = options.connect().await?;
    let mut tx = Tx::Sqlite(&mut connection);
    schema::create(&mut tx, version).await?;
    tx.all(SELECT_SQLITE_OBJECTS, &[]).await
}

/// PostgreSQL stores no text of a definition. A view can have the name of a table, and a row of a child table is also one of its parent.
/// Row security hides rows from the role of the servers.
#[cfg(feature = "postgres")]
const SELECT_POSTGRES_OBJECTS: &str = "WITH ours AS (SELECT c.oid, c.relname::text AS name, c.relkind::text AS kind, c.relrowsecurity \
    FROM pg_class c WHERE c.oid IN (SELECT to_regclass(t.name)::oid FROM unnest(string_to_array($1, ',')) AS t (name))) \
    SELECT CASE kind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' ELSE 'relation' END, name, name, '' FROM ours \
    UNION ALL SELECT 'trigger', t.tgname::text, o.name, '' FROM ours o JOIN pg_trigger t ON t.tgrelid = o.oid WHERE NOT t.tgisinternal \
    UNION ALL SELECT 'rule', r.rulename::text, o.name, '' FROM ours o JOIN pg_rewrite r ON r.ev_class = o.oid \
    UNION ALL SELECT 'policy', p.polname::text, o.name, '' FROM ours o JOIN pg_policy p ON p.polrelid = o.oid \
    UNION ALL SELECT 'row security', name, name, '' FROM ours WHERE relrowsecurity \
    UNION ALL SELECT 'child table', c.relname::text, o.name, '' FROM ours o JOIN pg_inherits i ON i.inhparent = o.oid \
    JOIN pg_class c ON c.oid = i.inhrelid \
    UNION ALL SELECT 'index', c.relname::text, o.name, '' FROM ours o JOIN pg_index i ON i.indrelid = o.oid \
    JOIN pg_class c ON c.oid = i.indexrelid";

/// The tables and indexes that the migrations up to a schema create.
#[cfg(feature = "postgres")]
fn of_postgres(version: i64) -> Vec<Object> {
    let object =
        |kind: &str, name: String, table: &str| (kind.to_owned(), name, table.to_owned(), String::new());
    let tables = schema::tables(version);
    let own = tables.iter().map(|table| object("table", (*table).to_owned(), table));
    let keys = schema::primary_keys(version)
        .into_iter()
        .map(|table| object("index", format!("{table}_pkey"), table));
    let indexes =
        schema::indexes(version).into_iter().map(|(name, table)| object("index", name.to_owned(), table));
    own.chain(keys).chain(indexes).collect()
}
