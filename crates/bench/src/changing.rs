//! Disables and enables a client repeatedly, to measure the cost of changes.

use anyhow::{Context, Result};
use std::time::Duration;
use tokenberg_core::ClientId;
use tokenberg_store::{KekSource, Store, StoreUrl};

/// The options of `changing`.
#[derive(clap::Args)]
pub(crate) struct Changing {
    /// The store.
    store: StoreUrl,
    /// The client that is changed; it is enabled in the end.
    #[arg(long)]
    client: ClientId,
    /// How many times a second.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// Changes the client, and prints how often.
pub(crate) fn run(options: &Changing) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let key_file = options.store.key_file().context("only a store in a file can be changed")?;
    let changes = (options.seconds.clamp(0.1, 60.0) * f64::from(options.rate)) as u32;
    runtime.block_on(async {
        let store = Store::open_existing(&options.store, KekSource::File(key_file)).await?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / options.rate);
        for number in 0..changes {
            ticks.tick().await;
            store.set_enabled(&options.client, number % 2 == 1).await?;
        }
        store.set_enabled(&options.client, true).await?;
        store.close().await;
        println!("{changes}");
        Ok(())
    })
}
