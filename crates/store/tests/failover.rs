//! Another server takes the place of the database: a standby that lacks changes, and what a node notices of it; OP-20, OP-21.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{Connection, Executor, PgConnection};
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{Answers, SingleUse, TokenId};
use tokenberg_store::{NewRevocation, NewSecret, Store, StoreUrl, Watched};
use tokenberg_testkit::{POSTGRES_PASSWORD, Postgres, Wire, url_at};
use world::*;

/// A primary with a store, a standby with its state, and a line that leads to the primary.
struct Site {
    postgres: Postgres,
    standby: u16,
    wire: Wire,
    database: String,
    world: World,
}

impl Site {
    /// `user` is a role, and `prepare` is run on the database before the standby is made; `None` if the machine has no PostgreSQL.
    async fn new(user: &str, prepare: &'static str) -> Option<Self> {
        let Some(postgres) = Postgres::start() else {
            println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
            return None;
        };
        let database = postgres.database();
        let mut admin = PgConnection::connect(&postgres.url(&database)).await.unwrap();
        admin.execute(prepare).await.unwrap();
        admin.close().await.unwrap();
        let wire = Wire::to(postgres.port());
        let world = World::at(&url_at(wire.port(), &database).replace("//tokenberg:", &format!("//{user}:")));
        let store = world.open().await;
        add(&store, "c1", NewSecret::Generate).await;
        add(&store, "c2", NewSecret::Generate).await;
        store.close().await;
        let standby = postgres.standby();
        Some(Self { postgres, standby, wire, database, world })
    }

    /// A store that reaches the standby, past the line.
    async fn beyond(&self) -> Store {
        let url: StoreUrl = url_at(self.standby, &self.database).parse().unwrap();
        Store::open(&url, self.world.key()).await.unwrap_or_else(|e| panic!("{e}"))
    }
}

async fn revoke(store: &Store, names: impl Iterator<Item = String>) {
    for name in names {
        let id = TokenId::parse(&name).unwrap();
        store.revoke(&NewRevocation::Token { id, until: at(3600) }).await.unwrap_or_else(|e| panic!("{e}"));
    }
}

fn is_revoked(watched: &Watched<Names>, jti: &str) -> bool {
    watched.now().revoked(&token("c1", 0, jti, "s")).is_some()
}

/// A node reads three revocations that the standby lacks. The standby is promoted and goes further than the primary was. Then the
/// node is led there between two polls, so that none fails.
async fn led_over(site: &Site) -> Watched<Names> {
    let store = site.world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    revoke(&store, (0..3).map(|n| format!("lost{n}"))).await;
    watched.refresh().await.unwrap();
    assert!(is_revoked(&watched, "lost2"));
    site.postgres.promote();
    let other = site.beyond().await;
    revoke(&other, (0..5).map(|n| format!("kept{n}"))).await;
    watched.refresh().await.unwrap();
    site.wire.lead_to(site.standby);
    watched
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_1_a_failover_between_two_polls_is_noticed() {
    let Some(site) = Site::new("tokenberg", "SELECT 1").await else { return };
    let watched = led_over(&site).await;
    until(&watched, |w| (0..5).all(|n| is_revoked(w, &format!("kept{n}")))).await;
    let health = watched.health();
    assert!(health.went_back == 1 && health.switches == 1 && health.lost.is_some(), "{health:?}");
    // What was lost stays in force here, and is in force for others within a second.
    assert!((0..3).all(|n| is_revoked(&watched, &format!("lost{n}"))));
    let other = site.beyond().await.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    until(&other, |w| (0..3).all(|n| is_revoked(w, &format!("lost{n}")))).await;
    until(&watched, |w| w.health().written_again == 3).await;
    let again = watched.health();
    assert!((again.went_back, again.switches) == (1, 1) && again.fault.is_none(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_5_restrictions_are_written_again_unless_an_operator_has_undone_them() {
    let Some(site) = Site::new("tokenberg", "SELECT 1").await else { return };
    let store = site.world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let alice = "alice".parse().unwrap();
    for client in ["c1", "c2"] {
        store.set_enabled(&id(client), false).await.unwrap();
    }
    store.disable_subject(at(0), None, &alice).await.unwrap();
    store.revoke(&NewRevocation::Client { id: id("c1"), before: at(10) }).await.unwrap();
    let used = SingleUseId { namespace: "jti".into(), id: "once".into(), issued_at: None, until: at(300) };
    assert_eq!(watched.use_once(&used).await, Ok(true));
    watched.refresh().await.unwrap();
    let is_enabled =
        |w: &Watched<Names>, client: &str| w.now().snapshot().client(&id(client)).unwrap().enabled;
    assert!(!is_enabled(&watched, "c1") && !is_enabled(&watched, "c2"));
    site.postgres.promote();
    let other = site.beyond().await;
    other.set_enabled(&id("c1"), true).await.unwrap();
    revoke(&other, (0..5).map(|n| format!("kept{n}"))).await;
    site.wire.lead_to(site.standby);
    let other = other.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    until(&other, |w| !is_enabled(w, "c2")).await;
    until(&watched, |w| w.health().written_again == 4).await;
    other.refresh().await.unwrap();
    for watched in [&watched, &other] {
        assert!(is_enabled(watched, "c1"), "an operator has enabled it since");
        assert_eq!(watched.now().snapshot().disabled_subjects(), 1);
        assert!(watched.now().revoked(&token("c1", 5, "t", "s")).is_some());
        assert_eq!(watched.use_once(&used).await, Ok(false));
    }
}

/// The same for a role that may not call the functions, as on a database that has none of them: the hash of the last known record
/// shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_1_a_failover_is_noticed_without_knowing_the_server() {
    let prepare = format!(
        "CREATE ROLE limited LOGIN PASSWORD '{POSTGRES_PASSWORD}'; GRANT CREATE ON SCHEMA public TO limited; \
         REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC"
    );
    let Some(site) = Site::new("limited", prepare.leak()).await else { return };
    let watched = led_over(&site).await;
    until(&watched, |w| (0..5).all(|n| is_revoked(w, &format!("kept{n}")))).await;
    let health = watched.health();
    assert!(health.went_back == 1 && health.switches == 0, "{health:?}");
}

/// An ordinary role may call all functions of the poll, and a restart of the server is no loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_1_an_ordinary_role_sees_a_restart_of_the_server_and_no_loss() {
    let prepare = format!(
        "CREATE ROLE limited LOGIN PASSWORD '{POSTGRES_PASSWORD}'; GRANT CREATE ON SCHEMA public TO limited"
    );
    let Some(site) = Site::new("limited", prepare.leak()).await else { return };
    let store = site.world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    watched.refresh().await.unwrap();
    site.postgres.stop("fast");
    site.postgres.start_again();
    until(&watched, |w| w.health().switches == 1 && w.health().fault.is_none()).await;
    assert_eq!(watched.health().went_back, 0);
}
