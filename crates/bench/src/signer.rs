//! Compares a signer elsewhere that is awaited with one that blocks: tokens a second, and how long another request waits meanwhile.

use crate::load::{self, Load};
use actix_web::{App, HttpServer};
use anyhow::{Context, Result};
use clap::Parser;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokenberg_actix::{Fixed, TokenService};
use tokenberg_bench::{ASKING, FixedAnswers, ISSUER, Parts, SECRET, keyring, material};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::BoxFuture;
use tokenberg_core::jws::{Algorithm, Algorithms, DpopProof, KeyId, KeyMaterial};
use tokenberg_core::{
    AccessTokenClaims, CompactJws, Keys, Policy, Secret, SignatureFault, Timestamp, Verified,
};
use tokenberg_jose::Keyring;

/// The options of `signer`.
#[derive(clap::Args)]
pub(crate) struct Signer {
    /// How long each signature takes, in milliseconds; each is measured.
    #[arg(long, value_delimiter = ',', default_values_t = [5, 20])]
    latency_ms: Vec<u64>,
    /// How many connections, each with one request at a time.
    #[arg(long, default_value_t = 512)]
    connections: u32,
    /// The workers of the server.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// For how long each is measured, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// Measures each, and prints the ratios.
pub(crate) fn run(options: &Signer) -> Result<()> {
    println!("{} workers, {} connections", options.workers, options.connections);
    for milliseconds in &options.latency_ms {
        let latency = Duration::from_millis(*milliseconds);
        let blocking = measured(options, latency, true)?;
        let awaited = measured(options, latency, false)?;
        for (name, figures) in [("blocks", &blocking), ("is awaited", &awaited)] {
            println!(
                "a signer of {milliseconds} ms that {name}: {:.0} tokens a second; another request waits {:.1} ms at the median, {:.1} at most",
                figures.per_second, figures.median_ms, figures.longest_ms
            );
        }
        println!(
            "a signer of {milliseconds} ms: {:.1} times as many",
            awaited.per_second / blocking.per_second
        );
    }
    Ok(())
}

struct Figures {
    per_second: f64,
    median_ms: f64,
    longest_ms: f64,
}

fn measured(options: &Signer, latency: Duration, blocks: bool) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let service = service(latency, blocks)?;
    let workers = options.workers;
    let (handle, running) = std::sync::mpsc::channel();
    let serving = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().configure(service.configure()));
            let server =
                server.workers(workers).disable_signals().shutdown_timeout(0).listen(listener)?.run();
            // The other thread waits for it.
            let _ = handle.send(server.handle());
            server.await
        })
    });
    let server = running.recv()?;
    let ends = Arc::new(AtomicBool::new(false));
    let others = {
        let ends = Arc::clone(&ends);
        thread::spawn(move || waits(address, &ends))
    };
    let secret = std::env::temp_dir().join(format!("tokenberg-bench-{}", std::process::id()));
    std::fs::write(&secret, SECRET)?;
    let report = load::measured(&load_of(options, address, &secret)?);
    ends.store(true, Ordering::Relaxed);
    std::fs::remove_file(&secret)?;
    let mut waits = others.join().map_err(|_| anyhow::anyhow!("the other requests failed"))??;
    drop(server.stop(false));
    serving.join().map_err(|_| anyhow::anyhow!("the server failed"))??;
    waits.sort_unstable();
    let milliseconds = |wait: Option<&Duration>| wait.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0);
    Ok(Figures {
        per_second: report?["per_second"].as_f64().context("the load has no rate")?,
        median_ms: milliseconds(waits.get(waits.len() / 2)),
        longest_ms: milliseconds(waits.last()),
    })
}

fn load_of(options: &Signer, address: SocketAddr, secret: &std::path::Path) -> Result<Load> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }
    let url = format!("http://{address}/v1/oauth/tokens");
    let (connections, seconds) = (options.connections.to_string(), options.seconds.to_string());
    let secret = secret.to_str().context("a temporary directory in UTF-8")?;
    let line = [
        "load",
        &url,
        "--client",
        ASKING,
        "--secret-file",
        secret,
        "--connections",
        &connections,
        "--seconds",
        &seconds,
    ];
    Ok(Line::try_parse_from(line)?.load)
}

/// How long each of some requests for the keys waits, which no signature is needed for.
fn waits(address: SocketAddr, ends: &AtomicBool) -> std::io::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    let mut answer = [0; 4096];
    while !ends.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(
            b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        if stream.read(&mut answer)? > 0 {
            waits.push(begun.elapsed());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(waits)
}

fn service(latency: Duration, blocks: bool) -> Result<TokenService> {
    let material = material(Algorithm::ES256);
    let keys = Blocking { keys: keyring(&material), latency };
    let answers = FixedAnswers::with(Box::new(keys));
    let builder = TokenService::builder(Policy::new(ISSUER.parse()?), Fixed::new(answers)).clock(Parts::now);
    Ok(if blocks { builder.build() } else { builder.signer(Awaited::new(material, latency)?).build() })
}

/// Signs after a while, and the thread waits for it.
struct Blocking {
    keys: Keyring,
    latency: Duration,
}

impl Keys for Blocking {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        thread::sleep(self.latency);
        self.keys.sign(claims, now)
    }

    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        self.keys.verify(token, now)
    }

    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        self.keys.verify_with(jwks, accepted, token)
    }

    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        self.keys.verify_proof(proof)
    }

    fn jwks(&self) -> Arc<str> {
        self.keys.jwks()
    }

    fn is_costly(&self, _: Timestamp) -> bool {
        false
    }
}

/// Signs after a while, and other requests are answered meanwhile.
struct Awaited {
    id: KeyId,
    pair: EcdsaKeyPair,
    latency: Duration,
}

impl Awaited {
    fn new(material: KeyMaterial, latency: Duration) -> Result<Self> {
        let pkcs8 = material.private.pkcs8().context("a key")?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new());
        Ok(Self { pair: pair.ok().context("a key")?, id: material.id, latency })
    }
}

impl tokenberg_core::Signer for Awaited {
    fn key(&self, _: Timestamp) -> Option<(KeyId, Algorithm)> {
        Some((self.id.clone(), Algorithm::ES256))
    }

    fn sign<'a>(&'a self, key: &'a KeyId, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        Box::pin(async move {
            tokio::time::sleep(self.latency).await;
            let failed = |_| SigningFault::Key { key: key.clone() };
            Ok(self.pair.sign(&SystemRandom::new(), input).map_err(failed)?.as_ref().to_vec())
        })
    }
}
