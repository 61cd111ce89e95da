//! Puts bounded load on a token endpoint over a fixed number of connections, each with one request at a time.
//!
//! Without `--rate` a connection sends its next request when the last one is answered: that measures the maximum throughput, and
//! the latencies are those of a queue. With it, requests are sent on schedule, and a request that has to wait for the previous
//! answer counts from its scheduled time.

mod connection;
mod latencies;
mod proof;
mod requests;
mod target;

use crate::process::Processes;
use anyhow::{Result, bail, ensure};
use connection::Connection;
use latencies::Latencies;
use requests::{Plan, Requests};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use target::Target;

/// The options of `load`.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// The token endpoint, or another address that answers a POST; only on this machine.
    url: String,
    #[command(flatten)]
    plan: Plan,
    /// How many connections, each with one request at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Makes a connection for each request, as clients do that ask for a token once in a while.
    #[arg(long)]
    new_connections: bool,
    /// With TLS, how many clients connect in turn, each of which resumes its own session; 0 for full handshakes only.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=100_000))]
    tls_clients: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Ends after so many requests, if that is sooner.
    #[arg(long)]
    requests: Option<u64>,
    /// For how long before that requests are sent without being counted.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// How many requests a second, all connections together; as many as are answered, if it is left out.
    #[arg(long)]
    rate: Option<f64>,
    /// A process of the server, whose CPU time and memory are reported; may be repeated.
    #[arg(long)]
    pid: Vec<u32>,
    /// The certificate that a server with TLS is trusted by, PEM.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Never sleeps, on a separate core, so that no answer has to wake a sleeping core. Waking another core costs a server as
    /// much as the rest of an answer, above all in a virtual machine; a slow server does it each time, a fast one never.
    #[arg(long)]
    awake: bool,
    /// Prints one JSON value.
    #[arg(long)]
    json: bool,
}

/// The longest duration of load.
const LONGEST: f64 = 600.0;

/// The counters of all connections.
struct Tally {
    counting: Cell<bool>,
    stop: Cell<bool>,
    left: Cell<u64>,
    answered: Cell<u64>,
    failed: Cell<u64>,
    shed: Cell<u64>,
    connects: Cell<u64>,
    resumed: Cell<u64>,
    latencies: RefCell<Latencies>,
    first_failure: RefCell<Option<String>>,
}

/// Runs the load, and prints the report.
pub(crate) fn run(options: &Load) -> Result<()> {
    let report = measured(options)?;
    if options.json {
        println!("{report}");
    } else {
        print_lines(&report);
    }
    Ok(())
}

/// Runs the load, and returns the report.
pub(crate) fn measured(options: &Load) -> Result<Value> {
    ensure!(options.seconds > 0.0 && options.seconds <= LONGEST, "--seconds is up to {LONGEST}");
    ensure!((0.0..=60.0).contains(&options.warm_up), "--warm-up is up to 60 seconds");
    ensure!(options.rate.is_none_or(|rate| rate > 0.0), "--rate is more than 0");
    let target = Target::new(&options.url, options.ca.as_deref(), options.tls_clients)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, measure(options, target))
}

async fn measure(options: &Load, target: Target) -> Result<Value> {
    let requests = Rc::new(Requests::prepare(&options.plan, &target).await?);
    let tally = Rc::new(Tally {
        counting: Cell::new(false),
        stop: Cell::new(false),
        left: Cell::new(u64::MAX),
        answered: Cell::new(0),
        failed: Cell::new(0),
        shed: Cell::new(0),
        connects: Cell::new(0),
        resumed: Cell::new(0),
        latencies: RefCell::default(),
        first_failure: RefCell::default(),
    });
    let pace = options.rate.map(|rate| Duration::from_secs_f64(f64::from(options.connections) / rate));
    let target = Rc::new(target);
    let tasks: Vec<_> = (0..options.connections)
        .map(|number| {
            let offset = pace.map(|pace| pace.mul_f64(f64::from(number) / f64::from(options.connections)));
            let keeps = !options.new_connections;
            let one =
                drive(Rc::clone(&target), Rc::clone(&requests), Rc::clone(&tally), pace.zip(offset), keeps);
            tokio::task::spawn_local(one)
        })
        .collect();
    if options.awake {
        let tally = Rc::clone(&tally);
        tokio::task::spawn_local(async move {
            while !tally.stop.get() {
                tokio::task::yield_now().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs_f64(options.warm_up)).await;
    let processes = Processes(&options.pid);
    let before = processes.cpu()?;
    let started = Instant::now();
    tally.left.set(options.requests.unwrap_or(u64::MAX));
    tally.counting.set(true);
    let until = started + Duration::from_secs_f64(options.seconds);
    while Instant::now() < until && tally.left.get() > 0 {
        let tick = Duration::from_millis(if options.requests.is_some() { 1 } else { 20 });
        tokio::time::sleep(tick.min(until.saturating_duration_since(Instant::now()))).await;
    }
    tally.counting.set(false);
    let elapsed = started.elapsed();
    let cpu = processes.cpu()? - before;
    tally.stop.set(true);
    // Requests under way are not counted, and one that is never answered must not keep the tool running.
    for task in tasks {
        let abort = task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(1), task).await.is_err() {
            abort.abort();
        }
    }
    report(options, &tally, elapsed, cpu, &processes)
}

/// One connection, until it has to stop; a connection that the server ends, or that is not kept, is opened again.
async fn drive(
    target: Rc<Target>,
    requests: Rc<Requests>,
    tally: Rc<Tally>,
    pace: Option<(Duration, Duration)>,
    keeps: bool,
) {
    let mut connection: Option<Connection> = None;
    let mut own = requests.first();
    let mut due = pace.map(|(_, offset)| Instant::now() + offset);
    while !tally.stop.get() {
        if let (Some((pace, _)), Some(at)) = (pace, &mut due) {
            tokio::time::sleep_until((*at).into()).await;
            *at += pace;
        }
        let request = match requests.next(own) {
            Ok(request) => request,
            Err(fault) => return tally.fail(fault.to_string()),
        };
        let sent = Instant::now();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match target.connect().await {
                Ok(open) => {
                    if tally.counting.get() {
                        tally.connects.set(tally.connects.get() + 1);
                        tally.resumed.set(tally.resumed.get() + u64::from(open.is_resumed));
                    }
                    open
                }
                Err(fault) => {
                    tally.fail(fault.to_string());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        // If our own timer wakes late, the server is not charged for it; it is charged for a late previous answer.
        let late = pace.zip(due).map(|((pace, _), next)| next.checked_sub(pace).unwrap_or(sent));
        let began = late.filter(|late| sent.duration_since(*late) > Duration::from_millis(2)).unwrap_or(sent);
        match open.exchange(&request).await {
            Ok(answer) if answer.status == 200 => {
                if tally.counting.get() && tally.left.get() > 0 {
                    tally.left.set(tally.left.get() - 1);
                    tally.answered.set(tally.answered.get() + 1);
                    tally.latencies.borrow_mut().add(began.elapsed());
                }
                own = requests.answered(own, open.body());
                if keeps && !answer.closes {
                    connection = Some(open);
                }
            }
            Ok(answer) => {
                let what = format!("{} {}", answer.status, String::from_utf8_lossy(open.body()));
                if answer.status == 503 {
                    tally.shed(what)
                } else {
                    tally.fail(what)
                }
                if keeps && !answer.closes {
                    connection = Some(open);
                }
            }
            Err(fault) => tally.fail(fault.to_string()),
        }
    }
}

impl Tally {
    fn fail(&self, what: String) {
        if self.stop.get() {
            return;
        }
        self.failed.set(self.failed.get() + 1);
        self.first_failure.borrow_mut().get_or_insert(what);
    }

    /// A server that is overloaded answers 503 to what it cannot do; that is not counted as a failure.
    fn shed(&self, what: String) {
        self.shed.set(self.shed.get() + u64::from(self.counting.get()));
        self.first_failure.borrow_mut().get_or_insert(what);
    }
}

fn report(
    options: &Load,
    tally: &Tally,
    elapsed: Duration,
    cpu: crate::process::Cpu,
    processes: &Processes<'_>,
) -> Result<Value> {
    let answered = tally.answered.get();
    let per_request = |seconds: f64| if answered == 0 { 0.0 } else { seconds * 1e6 / answered as f64 };
    let latencies = tally.latencies.borrow();
    let mut report = json!({
        "url": options.url,
        "grant": options.plan.name(),
        "connections": options.connections,
        "seconds": elapsed.as_secs_f64(),
        "answered": answered,
        "failed": tally.failed.get(),
        "shed": tally.shed.get(),
        "connects": tally.connects.get(),
        "resumed": tally.resumed.get(),
        "per_second": answered as f64 / elapsed.as_secs_f64(),
        "latency_us": latencies.to_json(),
    });
    if !options.pid.is_empty() {
        let (rss, peak) = processes.memory()?;
        report["cpu_us_per_request"] = json!(per_request(cpu.ticks));
        report["scheduled_us_per_request"] = cpu.scheduled.map(per_request).into();
        report["cpu_share"] = json!(cpu.ticks / elapsed.as_secs_f64());
        report["rss_kib"] = json!(rss);
        report["peak_rss_kib"] = json!(peak);
    }
    if let Some(failure) = &*tally.first_failure.borrow() {
        report["first_failure"] = failure.chars().take(300).collect::<String>().into();
    }
    if answered == 0 {
        bail!("no request was answered with 200: {report}");
    }
    Ok(report)
}

fn print_lines(report: &Value) {
    let number = |name: &str| report[name].as_f64().unwrap_or_default();
    println!("{:>12.0}  requests a second", number("per_second"));
    println!(
        "{:>12}  answered, {} failed, {} answered 503, {} connections made, {} of them with a resumed TLS session",
        report["answered"], report["failed"], report["shed"], report["connects"], report["resumed"]
    );
    for (name, value) in report["latency_us"].as_object().into_iter().flatten() {
        println!("{:>12.0}  us {name}", value.as_f64().unwrap_or_default());
    }
    if report.get("rss_kib").is_some() {
        println!("{:>12.1}  us CPU a request", number("cpu_us_per_request"));
        println!("{:>12.2}  cores busy", number("cpu_share"));
        println!(
            "{:>12.1}  MiB of memory, {:.1} at most",
            number("rss_kib") / 1024.0,
            number("peak_rss_kib") / 1024.0
        );
    }
    if let Some(failure) = report["first_failure"].as_str() {
        println!("the first failure: {failure}");
    }
}
