//! Kills, outages, full disks and clock steps: real processes under load: conformance OP-02, OP-10, OP-13, OP-21.
//!
//! Each test prints a line: requests sent, answered, answered 503, lost, and answered wrongly, which fails it. With
//! `TOKENBERG_FAULT_ROUNDS=500` the rounds are as many, and `-- --nocapture` shows the lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the modules of a test share what they need")]

mod changes;
mod clock;
mod clock_offset;
mod cluster;
mod database;
mod database_state;
mod disk;
mod facts;
mod failovers;
mod from_snapshot;
mod kills;
mod layer_4;
mod leaks;
mod load;
mod node;
mod outages;
mod people;
mod report;
mod runbook;
mod site;
mod stores;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "it is shared with other tests, which use the rest")]
mod support;
mod tally;
mod three_nodes;
