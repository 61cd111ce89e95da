//! Triggers, rules, views and other objects that no migration created are found and named: conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_store::{NewSecret, Store};
use world::chains::*;
use world::*;

/// The differences that affect servers, and those that do not.
async fn found(store: &Store) -> (Vec<String>, Vec<String>) {
    let report = store.verify_audit().await.unwrap();
    assert!(report.chains.iter().all(|chain| chain.broken.is_none()), "{report:#?}");
    let (affects, other): (Vec<_>, Vec<_>) = report.schema.iter().partition(|found| found.affects_servers());
    assert_eq!(report.is_whole(), affects.is_empty() && report.differences.is_empty());
    let described =
        |found: Vec<&tokenberg_store::SchemaDifference>| found.iter().map(ToString::to_string).collect();
    (described(affects), described(other))
}

const ADDED: &str = " is not part of the schema and can change what servers read and write";

/// Statements, the reported differences, and the statements that undo them.
fn of_sqlite() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    vec![
        (
            "CREATE TRIGGER hold AFTER UPDATE ON revisions BEGIN UPDATE revisions SET number = OLD.number \
             WHERE part = OLD.part; END",
            vec!["trigger hold of table revisions"],
            "DROP TRIGGER hold",
        ),
        (
            "CREATE TRIGGER keep BEFORE INSERT ON revoked_ids BEGIN SELECT RAISE(IGNORE); END",
            vec!["trigger keep of table revoked_ids"],
            "DROP TRIGGER keep",
        ),
        (
            "CREATE UNIQUE INDEX one_kind ON revoked_ids (kind)",
            vec!["index one_kind of table revoked_ids"],
            "DROP INDEX one_kind",
        ),
        (
            "ALTER TABLE revisions RENAME TO kept; CREATE VIEW revisions AS SELECT part, 1 AS number FROM kept",
            vec!["table revisions is missing", "view revisions"],
            "DROP VIEW revisions; ALTER TABLE kept RENAME TO revisions",
        ),
        (
            "ALTER TABLE disabled_subjects ADD COLUMN note TEXT",
            vec!["table disabled_subjects has another definition than the migrations create"],
            "ALTER TABLE disabled_subjects DROP COLUMN note",
        ),
        (
            "DROP INDEX revoked_ids_revision",
            vec!["index revoked_ids_revision of table revoked_ids is missing"],
            "CREATE INDEX revoked_ids_revision ON revoked_ids (revision)",
        ),
    ]
}

fn of_postgres() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    vec![
        (
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'; \
             CREATE TRIGGER hold BEFORE UPDATE ON revisions FOR EACH ROW EXECUTE FUNCTION hold()",
            vec!["trigger hold of table revisions"],
            "DROP TRIGGER hold ON revisions",
        ),
        (
            "CREATE RULE keep AS ON INSERT TO revoked_ids DO INSTEAD NOTHING",
            vec!["rule keep of table revoked_ids"],
            "DROP RULE keep ON revoked_ids",
        ),
        (
            "CREATE UNIQUE INDEX one_kind ON revoked_ids (kind)",
            vec!["index one_kind of table revoked_ids"],
            "DROP INDEX one_kind",
        ),
        (
            "ALTER TABLE disabled_subjects RENAME TO kept; CREATE VIEW disabled_subjects AS SELECT * FROM kept WHERE false",
            vec![
                "rule _RETURN of table disabled_subjects",
                "table disabled_subjects is missing",
                "view disabled_subjects",
            ],
            "DROP VIEW disabled_subjects; ALTER TABLE kept RENAME TO disabled_subjects",
        ),
        (
            "ALTER TABLE revoked_before ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON revoked_before USING (false)",
            vec!["policy none of table revoked_before", "row security revoked_before"],
            "DROP POLICY none ON revoked_before; ALTER TABLE revoked_before DISABLE ROW LEVEL SECURITY",
        ),
        (
            "CREATE TABLE more () INHERITS (revoked_before)",
            vec!["child table more of table revoked_before"],
            "DROP TABLE more",
        ),
        (
            "DROP INDEX revoked_ids_revision",
            vec!["index revoked_ids_revision of table revoked_ids is missing"],
            "CREATE INDEX revoked_ids_revision ON revoked_ids (revision)",
        ),
    ]
}

#[tokio::test]
async fn se_06_objects_that_no_migration_created_are_found_and_named() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    node(&store, 1).await;
    assert_eq!(found(&store).await, (vec![], vec![]));
    for (sql, expected, back) in if is_postgres() { of_postgres() } else { of_sqlite() } {
        world.execute(sql).await;
        let (affects, _) = found(&store).await;
        assert_eq!(affects.len(), expected.len(), "{sql}: {affects:?}");
        for (affects, expected) in affects.iter().zip(expected) {
            let is_so = affects == expected || affects.strip_suffix(ADDED) == Some(expected);
            assert!(is_so, "{sql}: {affects}");
        }
        world.execute(back).await;
    }
    assert_eq!(found(&store).await.0, [""; 0]);
}

#[tokio::test]
async fn se_06_a_table_that_no_statement_uses_is_named_and_is_no_fault() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    world.execute("CREATE TABLE notes (text TEXT PRIMARY KEY NOT NULL); CREATE VIEW all_notes AS SELECT * FROM notes").await;
    let (affects, others) = found(&store).await;
    assert_eq!(affects, [""; 0]);
    // A database of PostgreSQL may serve others, too.
    let named: &[&str] = if is_postgres() { &[] } else { &["table notes", "view all_notes"] };
    let named: Vec<String> =
        named.iter().map(|name| format!("{name} is not part of the schema; servers do not use it")).collect();
    assert_eq!(others, named);
}
