//! Runs the same tests on PostgreSQL, each with its own database.
#![cfg(all(feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::duplicate_mod,
    reason = "each of the files has the world for itself, as when it stands alone"
)]

#[path = "applying.rs"]
mod applying;
#[path = "audit.rs"]
mod audit;
#[path = "audit_config.rs"]
mod audit_config;
#[path = "audit_history.rs"]
mod audit_history;
#[path = "audit_rows.rs"]
mod audit_rows;
#[path = "audit_search.rs"]
mod audit_search;
#[path = "audit_watching.rs"]
mod audit_watching;
#[path = "audit_witness.rs"]
mod audit_witness;
#[path = "changes.rs"]
mod changes;
#[path = "clients.rs"]
mod clients;
#[path = "damage.rs"]
mod damage;
#[path = "durability.rs"]
mod durability;
#[path = "ensuring.rs"]
mod ensuring;
#[path = "looking.rs"]
mod looking;
#[path = "many.rs"]
mod many;
#[path = "nodes.rs"]
mod nodes;
#[path = "recording.rs"]
mod recording;
#[path = "restoring.rs"]
mod restoring;
#[path = "revocations.rs"]
mod revocations;
#[path = "rotation.rs"]
mod rotation;
#[path = "schema.rs"]
mod schema;
#[path = "trust.rs"]
mod trust;
#[path = "watch.rs"]
mod watch;
