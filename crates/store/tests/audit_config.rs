//! Rights that are granted, and restrictions that are lifted, by a statement of SQL are found and named: conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::{Issuer, KeySource, Lifetime, TokenId, Trust};
use tokenberg_store::{NewRevocation, NewSecret, Store};
use world::chains::*;
use world::*;

const DAY: i64 = 24 * 3600;

fn issuer(name: &str) -> Issuer {
    Issuer::foreign(&format!("https://{name}.example")).unwrap()
}

/// The reported differences.
async fn differences(store: &Store) -> Vec<String> {
    let report = store.verify_audit().await.unwrap();
    assert!(report.chains.iter().all(|chain| chain.broken.is_none()), "{report:#?}");
    assert_eq!(report.is_whole(), report.differences.is_empty());
    report.differences.iter().map(ToString::to_string).collect()
}

/// Something of everything, by every way in which it can come about and be changed.
async fn configured(store: &Store) {
    let key_at = |name: &str, s: i64| KeyMaterial { created_at: at(s), signs_from: at(s), ..key(name) };
    let bootstrapped =
        store.bootstrap(at(0), &key("k1"), &id("root"), &rights(), chosen("first-secret-of-root")).await;
    bootstrapped.map(drop).unwrap();
    let first = add(store, "etl", NewSecret::Generate).await.secret_id;
    store.add_secret(at(0), &id("etl"), NewSecret::Generate).await.map(drop).unwrap();
    store.expire_secret(&id("etl"), &first, at(3600)).await.unwrap();
    store.expire_secret(&id("etl"), &first, at(7200)).await.unwrap();
    add(store, "gone", NewSecret::Generate).await;
    store.remove_client(at(10), &id("gone")).await.unwrap();
    add(store, "back", NewSecret::Generate).await;
    store.remove_client(at(10), &id("back")).await.unwrap();
    add(store, "back", NewSecret::Generate).await;
    add(store, "off", NewSecret::Generate).await;
    store.set_enabled(&id("off"), false).await.unwrap();
    let mut changed = rights();
    changed.token_lifetime = Lifetime::from_seconds(60);
    set_rights(store, &id("etl"), &changed).await.unwrap();
    assert!(store.replace_rights(&id("etl"), &changed, &rights()).await.unwrap());
    store.introduce_key(at(0), &key_at("k2", 0), false).await.unwrap();
    store.introduce_key(at(10 * DAY), &key_at("k3", 10 * DAY), true).await.unwrap();
    // The spare one signs; then one that was published; then one that had ended.
    store.revoke_key(at(11 * DAY), &KeyId::new("k3"), &key_at("k4", 11 * DAY)).await.unwrap();
    store.introduce_key(at(12 * DAY), &key_at("k5", 12 * DAY), false).await.unwrap();
    store.revoke_key(at(12 * DAY), &KeyId::new("k4"), &key_at("k6", 0)).await.unwrap();
    store.introduce_key(at(13 * DAY), &key_at("k7", 13 * DAY), false).await.unwrap();
    store.revoke_key(at(13 * DAY), &KeyId::new("k7"), &key_at("k8", 0)).await.unwrap();
    store
        .rotate_if_due(at(90 * DAY), &key_at("k9", 90 * DAY), Lifetime::from_hours(24))
        .await
        .unwrap()
        .unwrap();
    store.add_key(&KeyMaterial { verifies_until: Some(at(20 * DAY)), ..key("k10") }).await.unwrap();
    store.add_key(&key("k11")).await.unwrap();
    store.remove_key(&KeyId::new("k11")).await.unwrap();
    let trust = Trust::new(KeySource::Jwks("{\"keys\":[]}".into()));
    for name in ["idp", "other", "third"] {
        store.add_issuer(at(0), &issuer(name), &trust).await.unwrap();
    }
    store.set_issuer_enabled(&issuer("other"), false).await.unwrap();
    store.remove_issuer(at(5), &issuer("third")).await.unwrap();
    let mut later = trust;
    later.leeway = Lifetime::from_seconds(7);
    store.set_trust(&issuer("idp"), &later).await.unwrap();
    let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
    store.disable_subject(at(0), None, &alice).await.unwrap();
    store.disable_subject(at(0), Some(&issuer("idp")), &bob).await.unwrap();
    store.disable_subject(at(0), None, &bob).await.unwrap();
    store.enable_subject(None, &bob).await.unwrap();
    let token = |text: &str| TokenId::parse(text).unwrap();
    let client = Some(id("etl"));
    for revocation in [
        NewRevocation::Token { id: token("t1"), until: at(DAY) },
        NewRevocation::Token { id: token("t1"), until: at(0) },
        NewRevocation::Session { id: token("s1"), until: at(DAY) },
        NewRevocation::Family { token: token("t2"), session: token("s2"), client, until: at(DAY) },
        NewRevocation::Client { id: id("etl"), before: at(7) },
        NewRevocation::Client { id: id("etl"), before: at(3) },
        NewRevocation::Subject { issuer: None, subject: "carol".parse().unwrap(), before: at(7) },
        NewRevocation::Subject {
            issuer: Some(issuer("idp")),
            subject: "carol".parse().unwrap(),
            before: at(7),
        },
        NewRevocation::Issuer { issuer: issuer("other"), before: at(7) },
        NewRevocation::Issuer { issuer: issuer("third"), before: at(3) },
    ] {
        store.revoke(&revocation).await.unwrap();
    }
}

/// Copies the configuration, and restores the copy.
const TABLES: [&str; 7] = [
    "clients",
    "client_secrets",
    "issuers",
    "signing_keys",
    "disabled_subjects",
    "revoked_ids",
    "revoked_before",
];

fn keep() -> String {
    TABLES.map(|table| format!("CREATE TABLE of_{table} AS SELECT * FROM {table}")).join("; ")
}

fn restore() -> String {
    let removed = TABLES.iter().rev().map(|table| format!("DELETE FROM {table}"));
    let put = TABLES.iter().map(|table| format!("INSERT INTO {table} SELECT * FROM of_{table}"));
    removed.chain(put).collect::<Vec<_>>().join("; ")
}

/// Statements that an attacker may execute, and the reported difference of each.
fn changes() -> Vec<(String, &'static str)> {
    let put_back = |client: &str| {
        format!(
            "INSERT INTO clients SELECT '{client}', enabled, rights, created_at FROM clients WHERE id = 'root'"
        )
    };
    [
        (put_back("mallory"), "client mallory is in the store without a record"),
        (put_back("gone"), "client gone is in the store, although it was removed by record"),
        ("UPDATE clients SET enabled = 1 WHERE id = 'off'".to_owned(), "client off has another value of \"enabled\""),
        ("UPDATE clients SET enabled = 7 WHERE id = 'off'".to_owned(), "client off has another value of \"enabled\""),
        ("DELETE FROM clients WHERE id = 'off'".to_owned(), "client off was removed from the store without a record"),
        (
            "UPDATE clients SET rights = replace(rights, '3600', '3601') WHERE id = 'etl'".to_owned(),
            "client etl has another value of \"rights\"",
        ),
        (
            "UPDATE client_secrets SET expires_at = NULL WHERE client_id = 'etl'".to_owned(),
            "client etl has another value of \"secret ",
        ),
        (
            "UPDATE client_secrets SET expires_at = expires_at + 1".to_owned(),
            "client etl has another value of \"secret ",
        ),
        (
            "INSERT INTO client_secrets SELECT client_id, 'ffffffff', digest, created_at, NULL, NULL FROM client_secrets \
             WHERE client_id = 'root'"
                .to_owned(),
            "client root has another value of \"secret ffffffff\"",
        ),
        (
            "UPDATE client_secrets SET digest = (SELECT digest FROM client_secrets WHERE client_id = 'back') \
             WHERE client_id = 'root'"
                .to_owned(),
            "client root has another value of \"digest ",
        ),
        (
            "DELETE FROM client_secrets WHERE client_id = 'root'".to_owned(),
            "client root has another value of \"secret ",
        ),
        (
            "INSERT INTO issuers SELECT 'https://evil.example', enabled, trust, created_at FROM issuers \
             WHERE issuer = 'https://idp.example'"
                .to_owned(),
            "issuer https://evil.example is in the store without a record",
        ),
        (
            "INSERT INTO issuers SELECT 'https://third.example', enabled, trust, created_at FROM issuers \
             WHERE issuer = 'https://idp.example'"
                .to_owned(),
            "issuer https://third.example is in the store, although it was removed by record",
        ),
        (
            "UPDATE issuers SET enabled = 1".to_owned(),
            "issuer https://other.example has another value of \"enabled\"",
        ),
        (
            "UPDATE issuers SET trust = replace(trust, '7', '70') WHERE issuer = 'https://idp.example'".to_owned(),
            "issuer https://idp.example has another value of \"trust\"",
        ),
        (
            "DELETE FROM issuers WHERE issuer = 'https://idp.example'".to_owned(),
            "issuer https://idp.example was removed from the store without a record",
        ),
        (
            "INSERT INTO signing_keys SELECT 'k3', algorithm, sealed, created_at, signs_from, verifies_until \
             FROM signing_keys WHERE id = 'k1'"
                .to_owned(),
            "signing key k3 is in the store, although it was removed by record",
        ),
        (
            "INSERT INTO signing_keys SELECT 'kx', algorithm, sealed, created_at, signs_from, verifies_until \
             FROM signing_keys WHERE id = 'k1'"
                .to_owned(),
            "signing key kx is in the store without a record",
        ),
        (
            "UPDATE signing_keys SET verifies_until = NULL WHERE id = 'k10'".to_owned(),
            "signing key k10 has another value of \"verifies_until\"",
        ),
        (
            "UPDATE signing_keys SET verifies_until = verifies_until + 1 WHERE id = 'k1'".to_owned(),
            "signing key k1 has another value of \"verifies_until\"",
        ),
        (
            "UPDATE signing_keys SET signs_from = 0 WHERE id = 'k5'".to_owned(),
            "signing key k5 has another value of \"signs_from\"",
        ),
        (
            "UPDATE signing_keys SET created_at = created_at + 1 WHERE id = 'k2'".to_owned(),
            "signing key k2 has another value of \"created_at\"",
        ),
        (
            "DELETE FROM signing_keys WHERE id = 'k9'".to_owned(),
            "signing key k9 was removed from the store without a record",
        ),
        (
            "DELETE FROM disabled_subjects WHERE name = 'alice'".to_owned(),
            "disabled subject alice was removed from the store without a record",
        ),
        (
            "DELETE FROM disabled_subjects WHERE name = 'bob'".to_owned(),
            "disabled subject bob of https://idp.example was removed from the store without a record",
        ),
        (
            "DELETE FROM revoked_ids WHERE id = 't1'".to_owned(),
            "revocation of token t1 was removed from the store without a record",
        ),
        (
            "DELETE FROM revoked_ids WHERE id = 's2|etl'".to_owned(),
            "revocation of session s2|etl was removed from the store without a record",
        ),
        (
            "UPDATE revoked_ids SET until = 0 WHERE id = 's1'".to_owned(),
            "revocation of session s1 has another value of \"until\"",
        ),
        (
            "DELETE FROM revoked_before WHERE kind = 'client' AND name = 'etl'".to_owned(),
            "revocation of all tokens of client etl was removed from the store without a record",
        ),
        (
            "UPDATE revoked_before SET before = before - 1 WHERE name = 'gone' AND kind = 'subject'".to_owned(),
            "revocation of all tokens of subject gone of our clients has another value of \"before\"",
        ),
        (
            "DELETE FROM revoked_before WHERE issuer = 'https://third.example'".to_owned(),
            "revocation of all tokens of https://third.example was removed from the store without a record",
        ),
        (
            "DELETE FROM revoked_before WHERE issuer = 'https://other.example'".to_owned(),
            "revocation of all tokens of https://other.example was removed from the store without a record",
        ),
        (
            "UPDATE revoked_before SET before = before - 2 WHERE issuer = 'https://third.example'".to_owned(),
            "revocation of all tokens of https://third.example has another value of \"before\"",
        ),
        (
            "DELETE FROM revoked_before WHERE issuer = 'https://idp.example'".to_owned(),
            "revocation of all tokens of subject carol of https://idp.example was removed from the store",
        ),
    ]
    .into()
}

#[tokio::test]
async fn se_06_every_change_by_sql_is_found_and_named_however_old_the_record_is() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    configured(&store).await;
    node(&store, 2).await;
    assert_eq!(differences(&store).await, [""; 0]);
    world.execute(keep().leak()).await;
    for round in ["as it was recorded", "after its records were removed", "and once more"] {
        for (sql, expected) in changes() {
            world.execute(sql.clone().leak()).await;
            let differences = differences(&store).await;
            assert!(!differences.is_empty(), "{round}: {sql}");
            for difference in &differences {
                // A removal is not recorded any more when its record has expired, so the thing is unrecorded.
                let put_back = difference.strip_suffix(" is in the store without a record");
                let is_so = difference.starts_with(expected)
                    || put_back
                        .is_some_and(|thing| expected.starts_with(thing) && round != "as it was recorded");
                assert!(is_so, "{round}: {sql}: {difference}");
            }
            world.execute(restore().leak()).await;
        }
        assert_eq!(differences(&store).await, [""; 0], "{round}");
        let removed = store.expire_audit(at(1_000_000_000)).await.unwrap();
        assert!(removed > 0);
        let report = store.verify_audit().await.unwrap();
        assert!(report.is_whole() && report.uncompared == 0, "{round}: {report:#?}");
    }
    // Later changes are permanent.
    store.set_enabled(&id("off"), true).await.unwrap();
    store.remove_key(&KeyId::new("k1")).await.unwrap();
    add(&store, "gone", NewSecret::Generate).await;
    assert_eq!(differences(&store).await, [""; 0]);
}

#[tokio::test]
async fn se_06_rights_that_were_granted_by_sql_do_not_become_recorded_by_the_next_command() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "etl", NewSecret::Generate).await;
    store.add_issuer(at(0), &issuer("idp"), &Trust::new(KeySource::Discovery)).await.unwrap();
    world
        .execute(
            "UPDATE clients SET rights = replace(rights, 'catalog', 'admin'); \
             INSERT INTO clients SELECT 'mallory', enabled, rights, created_at FROM clients",
        )
        .await;
    // The operator changes another part of both.
    store.set_jwks(&id("etl"), "{}").await.unwrap();
    store.set_jwks(&id("mallory"), "{}").await.unwrap();
    store.set_enabled(&id("mallory"), true).await.unwrap();
    let expected = [
        "client etl had another value of \"rights\" than recorded when it was changed by record 4 of the chain installation",
        "client mallory is in the store without a record",
    ];
    assert_eq!(differences(&store).await, expected);
    store.expire_audit(at(1_000_000_000)).await.unwrap();
    assert_eq!(differences(&store).await, expected[1..]);
    store.remove_client(at(0), &id("mallory")).await.unwrap();
    assert_eq!(differences(&store).await, [""; 0]);
}

#[tokio::test]
async fn se_06_only_expired_rows_may_be_missing() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let secret = add(&store, "etl", NewSecret::Generate).await.secret_id;
    store.add_secret(at(0), &id("etl"), NewSecret::Generate).await.map(drop).unwrap();
    let long_ago = at(-100_000_000);
    store.expire_secret(&id("etl"), &secret, long_ago).await.unwrap();
    let revocation = NewRevocation::Token { id: TokenId::parse("t1").unwrap(), until: long_ago };
    store.revoke(&revocation).await.unwrap();
    assert_eq!(differences(&store).await, [""; 0]);
    assert_eq!(store.expire(at(-50_000_000)).await, Ok(2));
    assert_eq!(differences(&store).await, [""; 0]);
    store.expire_audit(at(1_000_000_000)).await.unwrap();
    assert_eq!(differences(&store).await, [""; 0]);
}

#[tokio::test]
async fn se_06_rows_that_no_server_can_read_are_found_although_their_content_is_as_recorded() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    configured(&store).await;
    node(&store, 2).await;
    world.execute(keep().leak()).await;
    for (sql, expected) in [
        // A repeated member: readers of JSON disagree on which one counts.
        (
            "UPDATE clients SET rights = replace(rights, '\"serves\":[]', '\"serves\":[],\"serves\":[]') WHERE id = 'etl'",
            "client etl cannot be read",
        ),
        (
            "UPDATE issuers SET trust = replace(trust, '\"leeway\":7', '\"leeway\":7,\"leeway\":7') \
             WHERE issuer = 'https://idp.example'",
            "issuer https://idp.example cannot be read",
        ),
        ("UPDATE client_secrets SET created_at = -1 WHERE client_id = 'root'", "client root cannot be read"),
    ] {
        world.execute(sql).await;
        assert!(store.watch(Names::build).await.is_err() || sql.contains("created_at"), "{sql}");
        let differences = differences(&store).await;
        assert!(differences.len() == 1 && differences[0].starts_with(expected), "{sql}: {differences:?}");
        world.execute(restore().leak()).await;
    }
    assert_eq!(differences(&store).await, [""; 0]);
}
