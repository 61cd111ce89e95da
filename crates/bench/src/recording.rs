//! Measures the cost of recording a decision: CPU time of the whole process for its record, its hash, and writing batches.

use crate::process::Processes;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;
use tokenberg_core::Outcome;
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokenberg_store::{AuditTrail, KekSource, Store, StoreUrl, WhenFull};

/// The options of `recording`.
#[derive(clap::Args)]
pub(crate) struct Recording {
    /// The store; the records stay in it.
    store: StoreUrl,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How many decisions a second; the more, the fewer transactions for each.
    #[arg(long, default_value_t = 5000)]
    rate: u32,
}

/// The interval between groups of records.
const STEP: Duration = Duration::from_millis(10);

/// Measures, and prints JSON.
pub(crate) fn run(options: &Recording) -> Result<()> {
    let key_file = options.store.key_file().context("only a store in a file can be recorded in")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(options, KekSource::File(key_file)))
}

async fn measure(options: &Recording, kek: KekSource) -> Result<()> {
    let store = Store::open(&options.store, kek).await?;
    let trail = store.audit_trail(WhenFull::Drop);
    let own = [std::process::id()];
    let processes = Processes(&own);
    // The first record begins the chain, and prepares the statements.
    let mut made = 0_u64;
    record(&trail, &mut made, 10);
    until_written(&trail, made).await;
    let (warm, before) = (made, processes.cpu()?);
    let steps = (options.seconds.clamp(0.1, 60.0) / STEP.as_secs_f64()) as u32;
    for _ in 0..steps {
        record(&trail, &mut made, options.rate / 100);
        tokio::time::sleep(STEP).await;
    }
    until_written(&trail, made).await;
    let used = processes.cpu()? - before;
    let lost = trail.metrics().lost;
    ensure!(lost == 0, "{lost} records were lost");
    trail.end().await;
    store.close().await;
    let records = made - warm;
    let microseconds = used.seconds() * 1e6 / records as f64;
    println!("{}", json!({"records": records, "cpu_us_per_record": microseconds}));
    Ok(())
}

fn record(trail: &AuditTrail, made: &mut u64, count: u32) {
    for _ in 0..count {
        *made += 1;
        let (request_id, jti) = (format!("{made:016x}"), format!("{made:022}"));
        trail.record(&granted(&request_id, &jti));
    }
}

/// The record of a grant of client credentials.
fn granted<'a>(request_id: &'a str, jti: &'a str) -> AuditRecord<'a> {
    let mut record = AuditRecord::new("/v1/oauth/tokens", Outcome::Granted);
    record.request_id = Some(request_id);
    record.source = Some("192.0.2.7".into());
    record.port = Some(40_000);
    record.client = Some("measured".into());
    record.method = Some("client_secret_basic");
    record.grant = Some("client_credentials");
    record.subject = Some("measured".into());
    record.subject_auth = Some("client".into());
    record.scope_in = Some("catalog".into());
    record.scope_out = Some("catalog".into());
    record.aud = vec!["https://tokens.example".into()];
    record.jti = Some(jti.into());
    record.session = Some(jti.into());
    record
}

async fn until_written(trail: &AuditTrail, records: u64) {
    while trail.metrics().written < records {
        tokio::time::sleep(STEP).await;
    }
}
