//! Random histories of several nodes and an operator are whole at every step, and random manipulations of them are found:
//! conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;
use tokenberg_core::audit::Recorder;
use tokenberg_store::{AuditReport, AuditTrail, Break, NewSecret, Store, TrailOptions};
use tokio::runtime::Runtime;
use world::*;

/// Pseudo-random numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// A store with a history, and copies of its audit after some steps of it.
struct History {
    world: World,
    store: Store,
    /// Each on its own runtime, which ends without a record when the node is killed.
    trails: Vec<(Runtime, AuditTrail, u64)>,
    clients: usize,
    copies: Vec<AuditReport>,
}

impl History {
    async fn step(&mut self, random: &mut Random) {
        match random.below(8) {
            0 | 1 => {
                self.clients += 1;
                add(&self.store, &format!("c{}", self.clients), NewSecret::Generate).await;
            }
            2 if self.clients > 0 => {
                let client = id(&format!("c{}", 1 + random.below(self.clients)));
                self.store.set_enabled(&client, random.below(2) == 0).await.unwrap();
            }
            3 if self.trails.len() < 3 => {
                let options = TrailOptions {
                    look_every: Duration::from_millis(5),
                    witness_every: Duration::from_millis(20),
                    ..TrailOptions::default()
                };
                let runtime = tokio::runtime::Builder::new_multi_thread();
                let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
                let trail = {
                    let _inside = runtime.enter();
                    self.store.audit_trail_with(options)
                };
                self.trails.push((runtime, trail, 0));
            }
            4 if self.trails.len() > 1 => {
                let at = random.below(self.trails.len());
                let (runtime, trail, _) = self.trails.remove(at);
                if random.below(2) == 0 {
                    trail.end().await;
                }
                runtime.shutdown_background();
            }
            5 if random.below(4) == 0 => {
                self.store.expire_audit(at(1_000_000_000)).await.unwrap();
            }
            // The nodes look at each other meanwhile.
            6 => tokio::time::sleep(Duration::from_millis(random.below(30) as u64)).await,
            _ => {
                let of = self.trails.len().max(1);
                if let Some((_, trail, written)) = self.trails.get_mut(random.below(of)) {
                    for _ in 0..=random.below(3) {
                        trail.record(&granted(random.below(1000)));
                        *written += 1;
                    }
                    until_written(trail, *written).await;
                }
            }
        }
    }

    /// Keeps a copy of the audit as it is now.
    async fn copy(&mut self) {
        let report = self.verify().await;
        assert!(report.is_whole(), "{report:#?}");
        let n = self.copies.len();
        self.execute(&format!(
            "CREATE TABLE records_{n} AS SELECT * FROM audit_records; CREATE TABLE heads_{n} AS SELECT * FROM audit_heads"
        ))
        .await;
        // Nodes may have written between the two.
        if self.verify().await.chains == report.chains {
            self.copies.push(report);
        } else {
            self.execute(&format!("DROP TABLE records_{n}; DROP TABLE heads_{n}")).await;
        }
    }

    async fn verify(&self) -> AuditReport {
        self.store.verify_audit().await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        self.world.execute(sql.to_owned().leak()).await;
    }

    async fn put_all_back(&self, n: usize) {
        self.execute(&format!(
            "DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM records_{n}; \
             DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM heads_{n}"
        ))
        .await;
    }

    /// Puts one chain back to an older copy, or removes it if it was not there then.
    async fn put_back(&self, chain: &str, n: usize) {
        self.execute(&format!(
            "DELETE FROM audit_records WHERE chain = '{chain}'; \
             INSERT INTO audit_records SELECT * FROM records_{n} WHERE chain = '{chain}'; \
             DELETE FROM audit_heads WHERE chain = '{chain}'; \
             INSERT INTO audit_heads SELECT * FROM heads_{n} WHERE chain = '{chain}'"
        ))
        .await;
    }
}

async fn history(seed: u64) -> Option<()> {
    let random = &mut Random(seed * 0x9e37_79b9 + 1);
    let world = World::of_either_kind()?;
    let store = world.open().await;
    let mut history = History { world, store, trails: Vec::new(), clients: 0, copies: Vec::new() };
    for step in 0..40 {
        history.step(random).await;
        if step % 4 == 0 {
            history.copy().await;
        }
    }
    for (runtime, trail, _) in std::mem::take(&mut history.trails) {
        trail.end().await;
        runtime.shutdown_background();
    }
    history.copy().await;
    let last = history.copies.len() - 1;
    let report = history.copies[last].clone();
    for round in 0..40 {
        let chain = &report.chains[random.below(report.chains.len())];
        let of_chain = format!("WHERE chain = '{}'", chain.chain);
        if round % 2 == 0 {
            let n = random.below(last);
            let then = history.copies[n].chains.iter().find(|other| other.chain == chain.chain);
            let number = then.map_or(0, |then| then.last);
            history.put_back(&chain.chain, n).await;
            let found = history.verify().await;
            let of_it = found.chains.iter().find(|other| other.chain == chain.chain);
            if number < chain.witnessed {
                let of_it = of_it.unwrap_or_else(|| panic!("{seed}: {chain:?} is not reported: {found:#?}"));
                let what = of_it.broken.map(|(_, what)| what);
                let expected = if then.is_some() { Break::TurnedBack } else { Break::Gone };
                assert_eq!(what, Some(expected), "{seed}: {n} {found:#?}");
                assert_eq!(of_it.missing(), chain.witnessed - number, "{seed}: {n} {found:#?}");
            } else if number < chain.last && then.is_none() {
                assert!(!found.is_whole(), "{seed}: {chain:?}");
            }
        } else {
            let rows = format!("(SELECT MAX(number) FROM audit_records {of_chain})");
            let tampering = [
                format!("DELETE FROM audit_records {of_chain} AND number = {rows}"),
                format!("DELETE FROM audit_records {of_chain}"),
                format!("UPDATE audit_records SET at = at + 1 {of_chain} AND number = {rows}"),
                format!("UPDATE audit_records SET record = record || ' ' {of_chain}"),
                format!("UPDATE audit_heads SET number = number - 1 {of_chain}"),
                format!("UPDATE audit_heads SET first = first + 1 {of_chain}"),
                format!("DELETE FROM audit_heads {of_chain}"),
            ];
            let sql = &tampering[random.below(tampering.len())];
            // If all records of a chain have expired, only its head is left.
            let has_rows = chain.last >= chain.first;
            if has_rows || sql.contains("audit_heads") {
                history.execute(sql).await;
                let found = history.verify().await;
                let is_named = |other: &tokenberg_store::ChainReport| {
                    other.chain == chain.chain && other.broken.is_some()
                };
                assert!(found.chains.iter().any(is_named), "{seed}: {sql}: {found:#?}");
            }
        }
        history.put_all_back(last).await;
        assert!(history.verify().await.is_whole(), "{seed}");
    }
    Some(())
}

#[tokio::test]
async fn se_06_no_random_history_looks_tampered_with_and_each_manipulation_is_found() {
    let seeds: u64 = if is_postgres() { 1 } else { 6 };
    let first: u64 =
        std::env::var("TOKENBERG_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        if history(seed).await.is_none() {
            return;
        }
    }
}
