//! Fills a store with clients and records, by the code that fills it in service, to see what is slow when there are many.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{ErrorCode, Outcome, Rights, Timestamp};
use tokenberg_store::{AuditTrail, KekSource, RegistrationChange, Store, StoreUrl, WhenFull};

/// The options of `filling`.
#[derive(clap::Args)]
pub(crate) struct Filling {
    /// The store; it is made if it does not exist.
    store: StoreUrl,
    /// The key file; that of an SQLite store is beside it.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// How many clients there are to be: `client-0`, `client-1` and so on.
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// How many decisions are recorded.
    #[arg(long, default_value_t = 1_000_000)]
    records: u32,
    /// How many servers have recorded them, one after the other.
    #[arg(long, default_value_t = 20)]
    servers: u32,
}

/// The most records that wait to be written.
const MOST_WAITING: u64 = 40_000;
/// How many clients a transaction adds.
const TOGETHER: u32 = 1000;

/// Fills the store, and prints JSON.
pub(crate) fn run(options: &Filling) -> Result<()> {
    let key_file = options.key_file.clone().or_else(|| options.store.key_file());
    let key_file = key_file.context("--key-file is needed for a store on PostgreSQL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(options, KekSource::File(key_file)))
}

async fn fill(options: &Filling, kek: KekSource) -> Result<()> {
    let begun = Instant::now();
    let store = Store::open(&options.store, kek).await?;
    let now = Timestamp::try_from(std::time::SystemTime::now())?;
    let rights = Rights::new(AllowedScope::Every);
    for first in (0..options.clients).step_by(TOGETHER as usize) {
        let together = first..(first + TOGETHER).min(options.clients);
        let add = |n| {
            Ok(RegistrationChange::AddClient {
                id: format!("client-{n}").parse()?,
                rights: Box::new(rights.clone()),
            })
        };
        store.apply(now, now, &together.map(add).collect::<Result<Vec<_>>>()?).await?;
    }
    let mut made = 0;
    let mut state = 88_172_645_463_325_252_u64;
    for server in 1..=options.servers {
        let trail = store.audit_trail(WhenFull::Drop);
        let to = u64::from(options.records) * u64::from(server) / u64::from(options.servers);
        while made < to {
            made += 1;
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            record(&trail, made, state, u64::from(options.clients.max(1)));
            while made % 1000 == 0 && trail.metrics().waiting > MOST_WAITING {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if made % 1000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        ensure!(trail.metrics().lost == 0, "{} records were lost", trail.metrics().lost);
        while trail.metrics().waiting > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        trail.end().await;
    }
    let size = store.audit_size().await?;
    store.close().await;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"clients": options.clients, "records": size.records, "rows": size.rows, "bytes": size.bytes, "seconds": seconds})
    );
    Ok(())
}

/// Records a decision: a tenth is of `busy`, a hundredth each of ten others, the rest of any client; every twentieth is refused.
fn record(trail: &AuditTrail, made: u64, random: u64, clients: u64) {
    let client = match random % 10 {
        0 => "busy".to_owned(),
        1 => format!("client-{}", random / 10 % 10.min(clients)),
        _ => format!("client-{}", random / 10 % clients),
    };
    let (request_id, jti) = (format!("{random:016x}"), format!("{made:022}"));
    let user = format!("user-{}", random / 100 % 50_000);
    let outcome =
        if made.is_multiple_of(20) { Outcome::Refused(ErrorCode::InvalidScope) } else { Outcome::Granted };
    let mut record = AuditRecord::new("/v1/oauth/tokens", outcome);
    record.request_id = Some(&request_id);
    record.source = Some("192.0.2.7".into());
    record.port = Some(40_000);
    record.client = Some(client.as_str().into());
    record.method = Some("client_secret_basic");
    record.grant = Some("urn:ietf:params:oauth:grant-type:token-exchange");
    record.subject = Some(user.as_str().into());
    record.subject_issuer = Some("https://idp.example".into());
    record.subject_auth = Some("id_token".into());
    record.actors = vec![client.as_str().into()];
    record.scope_in = Some("catalog".into());
    if outcome == Outcome::Granted {
        record.scope_out = Some("catalog".into());
        record.aud = vec!["https://catalog.example".into()];
        record.jti = Some(jti.as_str().into());
    } else {
        record.reason = Some(format!("the scope ns:{} is not registered for {client}", made % 40).into());
    }
    trail.record(&record);
}
