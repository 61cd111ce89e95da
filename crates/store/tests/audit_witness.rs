//! A chain that is cut, removed or turned back is found by the witnesses in other chains: conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::audit::Recorder;
use tokenberg_store::{Break, NewSecret, StoreError, WhenFull};
use world::chains::*;
use world::*;

/// The node that began first, and the one that began last.
const A: &str =
    "(SELECT chain FROM kept_heads WHERE begun = (SELECT MIN(begun) FROM kept_heads WHERE begun > 0))";
const B: &str = "(SELECT chain FROM kept_heads WHERE begun = (SELECT MAX(begun) FROM kept_heads))";

fn remove(chain: &str) -> String {
    format!("DELETE FROM audit_records WHERE chain = {chain}; DELETE FROM audit_heads WHERE chain = {chain}")
}

#[tokio::test]
async fn se_06_restored_truncated_and_removed_chains_are_named_with_the_number_of_missing_records() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    // In the middle: the store, c1 and two nodes that began; three records of A, and two of the one that is killed later.
    let a = store.audit_trail(WhenFull::Drop);
    a.record(&granted(0));
    until_written(&a, 1).await;
    a.record(&granted(1));
    until_written(&a, 2).await;
    world.execute(MIDDLE).await;
    // A goes on and ends; c2 is added; B begins and ends.
    a.record(&granted(2));
    until_written(&a, 3).await;
    a.end().await;
    add(&store, "c2", NewSecret::Generate).await;
    slow_node(&store, 2).await;
    world.execute(KEEP).await;
    let report = store.verify_audit().await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    let name = |n: usize| report.chains[n].chain.clone();
    let (installation, a, b) = (name(0), name(1), name(2));
    let numbers: Vec<_> = report.chains.iter().map(|chain| (chain.last, chain.witnessed)).collect();
    // The installation has grown by the record of the end of B since B saw it.
    assert_eq!(numbers, [(6 + 1, 6), (5, 5), (4, 4)]);

    let i = "'installation'";
    let update = |what: &str, place: &str| format!("UPDATE audit_records SET {what} WHERE {place}");
    let head = |what: &str, chain: &str| format!("UPDATE audit_heads SET {what} WHERE chain = {chain}");
    let heads_of = "record = replace(record, '\"number\":6', '\"number\":5')";
    let table: Vec<(String, &str, Break, i64, i64)> = vec![
        // The end of a chain, with the head that was there then.
        (put_back(A), &a, Break::TurnedBack, 4, 2),
        (put_back(i), &installation, Break::TurnedBack, 4, 3),
        // The last record of a chain that ended in order, and the head is that of before; and both chains that saw it.
        (format!("{}; {}", put_back(A), put_back(i)), &installation, Break::TurnedBack, 4, 3),
        (format!("{}; {}", put_back(i), remove(A)), &installation, Break::TurnedBack, 4, 3),
        // A whole chain.
        (remove(A), &a, Break::Gone, 1, 5),
        (remove(B), &b, Break::Gone, 1, 4),
        (remove(i), &installation, Break::Gone, 1, 6),
        (format!("{}; {}", remove(i), remove(A)), &installation, Break::Gone, 1, 6),
        (format!("DELETE FROM audit_heads WHERE chain = {A}"), &a, Break::Head, 1, 5),
        (format!("DELETE FROM audit_heads WHERE chain = {i}"), &installation, Break::Head, 1, 6),
        (format!("DELETE FROM audit_records WHERE chain = {A}"), &a, Break::Removed, 1, 0),
        // Rows that were moved between chains, replayed, doubled or numbered anew.
        (
            format!(
                "DELETE FROM audit_records WHERE chain = {A} AND number = 2; \
                 {} AND number = 2",
                update(&format!("chain = {A}"), &format!("chain = {B}"))
            ),
            &a,
            Break::Changed,
            2,
            0,
        ),
        (
            format!(
                "DELETE FROM audit_records WHERE chain = {A} AND number = 4; INSERT INTO audit_records \
                 SELECT chain, 4, at, record, hash FROM audit_records WHERE chain = {A} AND number = 2"
            ),
            &a,
            Break::Changed,
            4,
            0,
        ),
        (
            format!(
                "INSERT INTO audit_records SELECT chain, 6, at, record, hash FROM audit_records \
                 WHERE chain = {A} AND number = 5"
            ),
            &a,
            Break::Added,
            6,
            0,
        ),
        (update("number = 9", &format!("chain = {A} AND number = 5")), &a, Break::Removed, 5, 0),
        (update("number = -number", &format!("chain = {A}")), &a, Break::Changed, -5, 0),
        // The witness of one chain about another.
        (update(heads_of, &format!("chain = {B} AND record LIKE '%heads%'")), &b, Break::Changed, 1, 0),
        (
            update(
                "record = replace(record, '\"number\":5', '\"number\":3')",
                &format!("chain = {i} AND number = 4"),
            ),
            &installation,
            Break::Changed,
            4,
            0,
        ),
        // A former head of the chain, without its seal.
        // Numbers that overflow.
        (
            format!(
                "{}; INSERT INTO audit_records SELECT chain, -9223372036854775807 - 1, at, record, hash FROM audit_records \
                 WHERE chain = {A} AND number = 1; DELETE FROM audit_records WHERE chain = {A} AND number > 0",
                head("seal = hash, first = -9223372036854775807 - 1", A)
            ),
            &a,
            Break::Head,
            i64::MIN,
            5,
        ),
        (head("first = -9223372036854775807 - 1", i), &installation, Break::Anchor, i64::MIN, 0),
        (
            format!("{}; DELETE FROM audit_records WHERE chain = {A} AND number > 4", head("number = 4", A)),
            &a,
            Break::Head,
            4,
            1,
        ),
        // The head of one chain in the place of another's.
        (
            format!(
                "DELETE FROM audit_heads WHERE chain = {A}; INSERT INTO audit_heads SELECT {A}, number, hash, at, begun, \
                 ended, seal, first, before, anchor FROM kept_heads WHERE chain = {B}"
            ),
            &a,
            Break::Head,
            5,
            0,
        ),
    ];
    for (sql, chain, what, number, missing) in table {
        world.execute(sql.clone().leak()).await;
        let found = found(&store).await;
        let [first, ..] = &found[..] else { panic!("{sql}: nothing is found") };
        assert_eq!(
            (first.chain.as_str(), first.broken, first.missing()),
            (chain, Some((number, what)), missing),
            "{sql}: {found:#?}"
        );
        world.execute(RESTORE).await;
    }
    assert_eq!(found(&store).await, []);
    // The end of both is cut at the same moment, and no node runs: the audit is as it was then, but the configuration is not.
    let all = format!("{}; {}; {}", put_back(i), put_back(A), remove(B));
    world.execute(all.leak()).await;
    let report = store.verify_audit().await.unwrap();
    assert!(report.chains.iter().all(|chain| chain.broken.is_none()), "{report:?}");
    let differences: Vec<_> = report.differences.iter().map(ToString::to_string).collect();
    assert_eq!(differences, ["client c2 is in the store without a record"]);
}

#[tokio::test]
async fn se_06_a_chain_that_was_turned_back_and_went_on_is_found_by_its_earlier_witnesses() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    world.execute(MIDDLE).await;
    add(&store, "c2", NewSecret::Generate).await;
    node(&store, 1).await;
    world.execute("DELETE FROM clients WHERE id = 'c2'").await;
    world.execute(put_back("'installation'").leak()).await;
    // As many changes as before: the store seals the head again.
    for n in 3..9 {
        add(&store, &format!("c{n}"), NewSecret::Generate).await;
    }
    let found = found(&store).await;
    assert_eq!((&*found[0].chain, found[0].broken), ("installation", Some((4, Break::Rewritten))));
}

#[tokio::test]
async fn se_06_a_head_that_was_not_ours_does_not_become_so_by_the_next_change() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for client in ["c1", "c2", "c3"] {
        add(&store, client, NewSecret::Generate).await;
    }
    assert_eq!(found(&store).await, []);
    // The attacker needs only the rows: the previous head was never copied.
    world
        .execute(
            "DELETE FROM audit_records WHERE number > 2; UPDATE audit_heads SET number = 2, \
             hash = (SELECT hash FROM audit_records WHERE number = 2)",
        )
        .await;
    assert_eq!(found(&store).await[0].broken, Some((2, Break::Head)));
    add(&store, "c4", NewSecret::Generate).await;
    let found = found(&store).await;
    assert_eq!((&*found[0].chain, found[0].broken), ("installation", Some((3, Break::Head))));
}

#[tokio::test]
async fn se_06_the_removal_of_the_whole_audit_is_found_even_after_a_new_one_has_begun() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    node(&store, 1).await;
    for expired in [false, true] {
        if expired {
            store.expire_audit(at(1_000_000_000)).await.unwrap();
        }
        world.execute(KEEP).await;
        world.execute("DELETE FROM audit_records; DELETE FROM audit_heads").await;
        assert_eq!(found(&store).await[0].broken, Some((1, Break::Gone)));
        for client in ["c2", "c3", "c4", "c5", "c6", "c7"] {
            add(&store, &format!("{client}-{expired}"), NewSecret::Generate).await;
        }
        node(&store, 1).await;
        let found = found(&store).await;
        assert_eq!(found[0].chain, "installation");
        assert!(matches!(found[0].broken, Some((_, Break::Rewritten))), "{found:#?}");
        world.execute(RESTORE).await;
        world.execute("DROP TABLE kept_records; DROP TABLE kept_heads").await;
        world.execute("DELETE FROM clients WHERE id LIKE 'c%-%'").await;
    }
}

#[tokio::test]
async fn se_06_a_chain_that_was_removed_is_still_reported_after_the_record_that_names_it() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    node(&store, 3).await;
    node(&store, 3).await;
    world.execute(KEEP).await;
    world.execute("CREATE TABLE kept_meta AS SELECT * FROM meta").await;
    world.execute(remove(A).leak()).await;
    let much_later = at(1_000_000_000);
    let refused = fault(store.expire_audit(much_later).await);
    assert!(
        matches!(&refused, StoreError::AuditBroken { what, .. } if *what == Break::Gone.to_string()),
        "{refused}"
    );
    assert_eq!(found(&store).await[0].broken, Some((1, Break::Gone)));
    world.execute(RESTORE).await;
    // Everything was repeated before the refusal, which would be missing.
    world.execute("DELETE FROM meta; INSERT INTO meta SELECT * FROM kept_meta").await;
    store.expire_audit(much_later).await.unwrap();
    assert_eq!(broken(&store).await, None);
    // The statement where it begins, from before records were removed.
    world
        .execute(
            "UPDATE audit_heads SET first = k.first, before = k.before, anchor = k.anchor FROM kept_heads k \
             WHERE k.chain = audit_heads.chain",
        )
        .await;
    assert_eq!(found(&store).await[0].broken, Some((1, Break::Removed)));
}
