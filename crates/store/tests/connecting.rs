//! How a node connects to PostgreSQL: passwords that are rotated, several hosts, certificates, poolers. Conformance OP-21.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokenberg_core::{Answers, TokenId};
use tokenberg_store::{NewRevocation, NewSecret, Store, StoreUrl};
use tokenberg_testkit::{PgBouncer, Postgres, Wire, url_at};
use world::*;

/// A limit that a working machine does not reach.
const LONG: Duration = Duration::from_secs(60);

fn revocation(jti: &str) -> NewRevocation {
    NewRevocation::Token { id: TokenId::parse(jti).unwrap(), until: at(3600) }
}

async fn admin(postgres: &Postgres, database: &str, sql: &str) {
    let mut connection = PgConnection::connect(&postgres.url(database)).await.unwrap();
    for sql in sql.split(';') {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

/// A database of the role `app` with a password.
async fn with_role(postgres: &Postgres, role: &str, password: &str) -> String {
    let database = postgres.database();
    let sql =
        format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'; ALTER DATABASE {database} OWNER TO {role}");
    admin(postgres, &database, &sql).await;
    database
}

/// A file that only its owner may read; it is replaced as a whole.
fn secret_file(world: &World, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let (path, new) = (world.directory().join(name), world.directory().join("new"));
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, &path).unwrap();
    path
}

fn url(text: &str) -> StoreUrl {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

async fn open(url: &StoreUrl, world: &World) -> Store {
    Store::open(url, world.key()).await.unwrap_or_else(|e| panic!("{e}"))
}

async fn why_not(url: &StoreUrl, world: &World) -> String {
    fault(Store::open(url, world.key()).await).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_a_password_is_rotated_under_load_without_a_restart() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = with_role(postgres, "rotated", "first").await;
    let (world, port) = (World::new(), postgres.port());
    let file = secret_file(&world, "password", "first\n");
    let by_file =
        url(&format!("postgres://rotated@127.0.0.1:{port}/{database}")).with_password_file(&file).unwrap();
    let passfile = secret_file(&world, "pgpass", "*:*:*:rotated:first\n");
    let by_passfile =
        url(&format!("postgres://rotated@127.0.0.1:{port}/{database}?passfile={}", passfile.display()));
    let stores = [open(&by_file, &world).await, open(&by_passfile, &world).await];
    let (is_over, is_new, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = (0..8).map(|n: usize| {
        let store = stores[n % 2].clone();
        let (is_over, is_new, failed) = (is_over.clone(), is_new.clone(), failed.clone());
        tokio::spawn(async move {
            for round in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let id = format!("{n}-{round}");
                let was_new = is_new.load(Ordering::SeqCst);
                if store.use_once("jti", &id, at(60)).await.is_err() && was_new {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let load: Vec<_> = load.collect();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'";
    for password in ["second", "third"] {
        // Connections stay while the password changes, so nothing fails before they are cut.
        admin(postgres, &database, &format!("ALTER ROLE rotated PASSWORD '{password}'")).await;
        secret_file(&world, "password", &format!("{password}\n"));
        secret_file(&world, "pgpass", &format!("*:*:*:rotated:{password}\n"));
        admin(postgres, &database, cut).await;
        let begun = Instant::now();
        for store in &stores {
            while store.use_once("jti", password, at(60)).await.is_err() {
                assert!(begun.elapsed() < LONG, "the new password is not used");
            }
        }
        is_new.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_new.store(false, Ordering::SeqCst);
    }
    is_over.store(true, Ordering::SeqCst);
    for one in load {
        one.await.unwrap();
    }
    assert_eq!(failed.load(Ordering::SeqCst), 0, "everything works with the new password");
}

#[tokio::test]
async fn op_21_a_refused_password_is_not_tried_again_and_again_but_a_new_one_is_immediately() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = with_role(postgres, "locked", "right").await;
    let (world, wire) = (World::new(), Wire::to(postgres.port()));
    let file = secret_file(&world, "password", "right");
    let address = format!("postgres://locked@127.0.0.1:{}/{database}?sslmode=disable", wire.port());
    let store = open(&url(&address).with_password_file(&file).unwrap(), &world).await;
    secret_file(&world, "password", "wrong");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'locked'";
    admin(postgres, &database, cut).await;
    let before = wire.connections();
    for n in 0..300 {
        let reason = fault(store.use_once("jti", &n.to_string(), at(60)).await);
        assert!(reason.is_unavailable(), "{reason}");
    }
    let attempts = wire.connections() - before;
    assert!((1..=6).contains(&attempts), "{attempts} log-ins for 300 requests");
    secret_file(&world, "password", "right");
    assert!(store.use_once("jti", "new", at(60)).await.unwrap(), "another password is tried at once");
}

#[tokio::test]
async fn op_21_the_error_says_that_no_password_was_given_and_why() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, world, port) = (postgres.database(), World::new(), postgres.port());
    let address = format!("postgres://tokenberg@127.0.0.1:{port}/{database}");
    let passfile = secret_file(&world, "pgpass", "other:*:*:*:x\n");
    let with_passfile = url(&format!("{address}?passfile={}", passfile.display()));
    let message = why_not(&with_passfile, &world).await;
    assert!(message.contains("no password was given") && message.contains("no line"), "{message}");
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let message = why_not(&with_passfile, &world).await;
    assert!(message.contains("0644") && message.contains("pgpass") && message.contains("chmod"), "{message}");
    let missing = url(&address).with_password_file(Path::new("/nonexistent/password")).unwrap();
    let message = why_not(&missing, &world).await;
    assert!(message.contains("/nonexistent/password") && message.contains("No such file"), "{message}");
}

#[tokio::test]
async fn op_21_files_of_tls_are_named_in_errors() {
    let Some(postgres) = Postgres::shared() else { return };
    let (world, base) = (World::new(), postgres.url(&postgres.database()));
    let text = secret_file(&world, "text", "no certificate");
    let key = secret_file(&world, "key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    let open_key = secret_file(&world, "open.key", "-----BEGIN PRIVATE KEY-----\n");
    std::fs::set_permissions(&open_key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let certificate = secret_file(&world, "client.pem", postgres.certificate());
    let certificate = certificate.display();
    for (query, named) in [
        ("sslmode=verify-ca&sslrootcert=/nonexistent/ca".to_owned(), "/nonexistent/ca"),
        (format!("sslmode=verify-ca&sslrootcert={}", text.display()), "is not a PEM file"),
        (format!("sslcert={certificate}&sslkey={}", key.display()), "is encrypted"),
        (format!("sslcert={certificate}&sslkey={}", open_key.display()), "has mode 0644"),
    ] {
        let message = why_not(&url(&format!("{base}?{query}")), &world).await;
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn ht_19_require_with_another_root_certificate_does_not_connect() {
    let Some(postgres) = Postgres::shared() else { return };
    let (world, base) = (World::new(), postgres.url(&postgres.database()));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let wrong = secret_file(&world, "wrong.pem", &other);
    let right = secret_file(&world, "right.pem", postgres.certificate());
    let with = |path: &Path| url(&format!("{base}?sslmode=require&sslrootcert={}", path.display()));
    let message = why_not(&with(&wrong), &world).await;
    assert!(message.contains("certificate"), "{message}");
    open(&with(&right), &world).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_of_several_hosts_the_one_that_can_be_written_is_used() {
    let (Some(standby), Some(primary)) = (Postgres::start(), Postgres::start()) else { return };
    // The names of databases count up from the same number.
    let database = primary.database();
    assert_eq!(standby.database(), database);
    admin(
        &standby,
        &database,
        "ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()",
    )
    .await;
    let (world, dead) = (World::new(), Wire::to(1));
    let hosts =
        [dead.port(), standby.port(), primary.port()].map(|port| format!("127.0.0.1:{port}")).join(",");
    let address = url_at(1, &database).replace("127.0.0.1:1", &hosts);
    let store = open(&url(&address), &world).await;
    store.revoke(&revocation("t1")).await.unwrap();
    // The roles change: sessions end, and the first one of the other host is found.
    admin(&standby, &database, "ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()")
        .await;
    open(&url(&standby.url(&database)), &World::new()).await.close().await;
    primary.stop("fast");
    let begun = Instant::now();
    while store.use_once("jti", "a", at(60)).await.is_err() {
        assert!(begun.elapsed() < LONG, "the other host is not used");
    }
    standby.stop("fast");
    let error = fault(Store::open(&url(&address), world.key()).await).to_string();
    assert_eq!(error.matches("127.0.0.1: ").count(), 3, "{error}");
    assert!(!error.contains("hush"), "{error}");
}

/// Uses everything that a node does, behind a pooler with few connections.
async fn works_behind(mode: &str) {
    let Some(postgres) = Postgres::shared() else { return };
    let Some(pooler) = PgBouncer::before(postgres.port(), mode, if mode == "session" { 20 } else { 3 })
    else {
        return;
    };
    let database = postgres.database();
    admin(postgres, &database, &format!("ALTER DATABASE {database} SET synchronous_commit = off")).await;
    let world = World::new();
    let direct = open(&url(&postgres.url(&database)), &world).await;
    let nodes =
        [open(&url(&pooler.url(&database)), &world).await, open(&url(&pooler.url(&database)), &world).await];
    let mut watched = Vec::new();
    for node in &nodes {
        watched.push(node.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")));
    }
    for round in 0..5 {
        let uses = (0..12).map(|n: usize| {
            let (node, other) = (nodes[n % 2].clone(), direct.clone());
            tokio::spawn(async move {
                let id = format!("{round}-{n}");
                node.revoke(&revocation(&id)).await.unwrap_or_else(|e| panic!("{e}"));
                assert!(node.use_once("jti", &id, at(60)).await.unwrap_or_else(|e| panic!("{e}")));
                assert!(!other.use_once("jti", &id, at(60)).await.unwrap());
                node.snapshot().await.map(drop).unwrap_or_else(|e| panic!("{e}"));
            })
        });
        for one in uses.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    }
    let client = format!("c-{mode}");
    add(&direct, &client, NewSecret::Generate).await;
    for watched in &watched {
        until(watched, |w| w.now().client(&id(&client)).is_some()).await;
        until(watched, |w| w.now().snapshot().revocations() == 60).await;
    }
    // Nothing of ours stays on the connections of the pooler, which others get next.
    for _ in 0..6 {
        let mut other = PgConnection::connect(&pooler.url(&database)).await;
        if let Err(error) = &other {
            // sqlx itself sends a setting that PgBouncer refuses.
            assert!(error.to_string().contains("extra_float_digits"), "{error}");
            let options: sqlx::postgres::PgConnectOptions = pooler.url(&database).parse().unwrap();
            other = PgConnection::connect_with(&options.extra_float_digits(None)).await;
        }
        let mut other = other.unwrap();
        let read = "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || \
                    current_setting('synchronous_commit') || ' ' || (SELECT COUNT(*) FROM pg_listening_channels())";
        let row = sqlx::Row::try_get::<String, _>(&other.fetch_one(sqlx::raw_sql(read)).await.unwrap(), 0);
        assert_eq!(row.unwrap(), "0 0 off 0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_nodes_work_behind_pgbouncer_in_session_mode() {
    works_behind("session").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_21_nodes_work_behind_pgbouncer_in_transaction_mode() {
    works_behind("transaction").await;
}
