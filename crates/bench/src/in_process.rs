//! Measures the parts without a server: CPU time of this thread for each, as JSON.

use anyhow::Result;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokenberg_bench::{Extractor, FixedAnswers, Parts, Raw, keyring, material};
use tokenberg_core::CompactJws;
use tokenberg_core::jws::{Algorithm, KeyMaterial};

/// The options of `in-process`.
#[derive(clap::Args)]
pub(crate) struct InProcess {
    /// For how long each part is measured, in seconds.
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
}

/// So many tokens take turns that no cache has one of them.
const MORE_THAN_A_CACHE: u128 = 6000;

/// Measures, and prints nanoseconds.
pub(crate) fn run(options: &InProcess) -> Result<()> {
    let length = Duration::from_secs_f64(options.seconds.clamp(0.01, 60.0));
    let mut report = Map::new();
    for algorithm in Algorithm::SIGNING {
        let material = material(algorithm);
        report.insert(algorithm.as_str().to_owned(), of_algorithm(&material, length));
    }
    let answers = FixedAnswers::unsigned();
    let parts = Parts::new(&FixedAnswers::signing(keyring(&material(Algorithm::ES256))));
    report.insert(
        "core".to_owned(),
        json!({
            "form": nanoseconds(length, || parts.form()),
            "basic": nanoseconds(length, || parts.basic()),
            "client_credentials": nanoseconds(length, || parts.client_credentials(&answers)),
            "exchange": nanoseconds(length, || parts.exchange(&answers)),
            "delegation": nanoseconds(length, || parts.delegation(&answers)),
            "payload": nanoseconds(length, || parts.payload()),
            "body": nanoseconds(length, || parts.body()),
        }),
    );
    println!("{}", Value::Object(report));
    Ok(())
}

fn of_algorithm(material: &KeyMaterial, length: Duration) -> Value {
    let answers = FixedAnswers::signing(keyring(material));
    let parts = Parts::new(&answers);
    let extractor = Extractor::new(FixedAnswers::signing(keyring(material)), &[parts.token()]);
    let fresh = parts.fresh_tokens(&answers, MORE_THAN_A_CACHE);
    let fresh: Vec<&str> = fresh.iter().map(String::as_str).collect();
    let raw = Raw::new(material, &fresh);
    let stranger = Extractor::new(FixedAnswers::signing(keyring(material)), &fresh);
    let turn = Cell::new(0);
    let next = || turn.replace((turn.get() + 1) % fresh.len());
    json!({
        "raw_sign": nanoseconds(length, || raw.sign()),
        "raw_verify": nanoseconds(length, || raw.verify()),
        "sign": nanoseconds(length, || parts.signed(&answers)),
        "extract": nanoseconds(length, || extractor.extract()),
        "read": nanoseconds(length, || CompactJws::parse(fresh[next()]).is_ok()),
        "extract_fresh": nanoseconds(length, || stranger.extract()),
    })
}

/// CPU time of one call.
fn nanoseconds<T>(length: Duration, part: impl Fn() -> T) -> f64 {
    let until = Instant::now() + length / 10;
    while Instant::now() < until {
        black_box(part());
    }
    let (before, until) = (on_cpu(), Instant::now() + length);
    let started = Instant::now();
    let mut calls = 0_u32;
    while Instant::now() < until {
        for _ in 0..8 {
            black_box(part());
        }
        calls += 8;
    }
    let elapsed = started.elapsed().as_nanos() as f64;
    let cpu = before.zip(on_cpu()).map(|(before, after)| after - before);
    cpu.unwrap_or(elapsed) / f64::from(calls)
}

/// The CPU time of this thread in nanoseconds, if the kernel provides it.
fn on_cpu() -> Option<f64> {
    // The kernel brings it up to date when the thread leaves the CPU.
    std::thread::sleep(Duration::from_micros(1));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
