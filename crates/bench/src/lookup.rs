//! Measures the cost of many clients: the time to read a store, the memory that it takes, and the time of a look-up.
//!
//! Times are given on the clock and as CPU time of this process: the clock goes on while other processes have the core.

use crate::process::Processes;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;
use tokenberg_core::ClientId;
use tokenberg_store::{KekSource, Store, StoreUrl};

/// The options of `lookup`.
#[derive(clap::Args)]
pub(crate) struct Lookup {
    /// The store.
    store: StoreUrl,
    /// The prefix of the identifiers of its clients; a number follows, from 0 on.
    #[arg(long, default_value = "client-")]
    prefix: String,
}

/// How many look-ups are timed.
const LOOKUPS: usize = 1_000_000;

/// The time of this machine for one word of uncached memory, in nanoseconds: read at random in as many KiB, one after the other
/// because each word holds the position of the next.
fn of_memory(kib: u64, processes: &Processes<'_>) -> Result<f64> {
    let words = usize::try_from(kib)?.max(1) * 1024 / 8;
    let mut memory: Vec<u64> = (0..words as u64).collect();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    // A permutation of a single cycle: Sattolo's algorithm.
    for last in (1..words).rev() {
        memory.swap(last, random(last));
    }
    let used = processes.cpu()?;
    let mut place = 0;
    for _ in 0..LOOKUPS {
        place = memory[place as usize];
    }
    black_box(place);
    Ok((processes.cpu()? - used).seconds() * 1e9 / LOOKUPS as f64)
}

/// Reads, looks up, and prints JSON.
pub(crate) fn run(options: &Lookup) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let own = [std::process::id()];
    let processes = Processes(&own);
    let key_file = options.store.key_file().context("only a store in a file can be looked up")?;
    let store = runtime.block_on(Store::open_existing(&options.store, KekSource::File(key_file)))?;
    let before = processes.memory()?.0;
    let (started, used) = (Instant::now(), processes.cpu()?);
    let snapshot = runtime.block_on(store.snapshot())?;
    let (read, read_cpu) = (started.elapsed(), (processes.cpu()? - used).seconds());
    let clients = snapshot.clients();
    ensure!(clients > 1, "the store has no clients to look up");
    let memory = processes.memory()?.0.saturating_sub(before);

    // In an order that no cache predicts: a step that has no factor in common with their number, and is about half of it.
    let mut ids = Vec::with_capacity(LOOKUPS);
    let mut number = 0;
    for _ in 0..LOOKUPS {
        number = (number + 514_229) % (clients - 1);
        ids.push(format!("{}{number}", options.prefix).parse::<ClientId>()?);
    }
    let (started, used) = (Instant::now(), processes.cpu()?);
    let mut found = 0;
    for id in &ids {
        found += usize::from(black_box(snapshot.client(id)).is_some());
    }
    let nanoseconds = started.elapsed().as_nanos() as f64 / LOOKUPS as f64;
    let cpu_nanoseconds = (processes.cpu()? - used).seconds() * 1e9 / LOOKUPS as f64;
    ensure!(found > LOOKUPS / 2, "only {found} of {LOOKUPS} identifiers exist");
    let revocations = snapshot.revocations();
    drop(snapshot);
    let of_memory = of_memory(memory, &processes)?;
    let report = json!({
        "clients": clients,
        "revocations": revocations,
        "read_seconds": read.as_secs_f64(),
        "read_cpu_seconds": read_cpu,
        "bytes_per_client": memory as f64 * 1024.0 / clients as f64,
        "lookup_ns": nanoseconds,
        "lookup_cpu_ns": cpu_nanoseconds,
        "memory_read_cpu_ns": of_memory,
    });
    println!("{report}");
    Ok(())
}
