//! Measures the time and the allocations of each part: `cargo bench -p tokenberg-bench --bench parts`.
#![allow(clippy::expect_used, reason = "a benchmark whose world cannot be made stops")]

use divan::{AllocProfiler, Bencher, black_box};
use tokenberg_bench::{Extractor, FixedAnswers, Parts, Raw, keyring, material};
use tokenberg_core::jws::Algorithm;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const ALGORITHMS: [&str; 5] = ["ES256", "EdDSA", "RS256", "PS256", "ES384"];

fn main() {
    divan::main();
}

fn signing(algorithm: &str) -> FixedAnswers {
    let algorithm =
        Algorithm::SIGNING.into_iter().find(|a| a.as_str() == algorithm).unwrap_or(Algorithm::ES256);
    FixedAnswers::signing(keyring(&material(algorithm)))
}

fn parts() -> Parts {
    Parts::new(&signing("ES256"))
}

/// The core from bytes to the answer, without HTTP and without signatures.
mod core {
    use super::*;

    #[divan::bench]
    fn form(bencher: Bencher) {
        let parts = parts();
        bencher.bench_local(|| black_box(parts.form()));
    }

    #[divan::bench]
    fn basic(bencher: Bencher) {
        let parts = parts();
        bencher.bench_local(|| black_box(parts.basic()));
    }

    #[divan::bench]
    fn presented(bencher: Bencher) {
        let parts = parts();
        bencher.bench_local(|| black_box(parts.presented()));
    }

    #[divan::bench]
    fn client_credentials(bencher: Bencher) {
        let (parts, answers) = (parts(), FixedAnswers::unsigned());
        bencher.bench_local(|| black_box(parts.client_credentials(&answers)));
    }

    #[divan::bench]
    fn exchange(bencher: Bencher) {
        let (parts, answers) = (parts(), FixedAnswers::unsigned());
        bencher.bench_local(|| black_box(parts.exchange(&answers)));
    }

    #[divan::bench]
    fn delegation(bencher: Bencher) {
        let (parts, answers) = (parts(), FixedAnswers::unsigned());
        bencher.bench_local(|| black_box(parts.delegation(&answers)));
    }

    #[divan::bench]
    fn payload(bencher: Bencher) {
        let parts = parts();
        bencher.bench_local(|| black_box(parts.payload()));
    }

    #[divan::bench]
    fn body(bencher: Bencher) {
        let parts = parts();
        bencher.bench_local(|| black_box(parts.body()));
    }
}

/// Signatures: ours, with the whole token, and those of ring alone.
mod signatures {
    use super::*;

    #[divan::bench(args = ALGORITHMS)]
    fn sign(bencher: Bencher, algorithm: &str) {
        let answers = signing(algorithm);
        let parts = Parts::new(&answers);
        bencher.bench_local(|| black_box(parts.signed(&answers)));
    }

    #[divan::bench(args = ALGORITHMS)]
    fn verify(bencher: Bencher, algorithm: &str) {
        let answers = signing(algorithm);
        let parts = Parts::new(&answers);
        bencher.bench_local(|| black_box(parts.verified(&answers)));
    }

    fn raw() -> Raw {
        let material = material(Algorithm::ES256);
        let answers = FixedAnswers::signing(keyring(&material));
        let tokens = Parts::new(&answers).fresh_tokens(&answers, 1000);
        Raw::new(&material, &tokens.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[divan::bench]
    fn raw_sign_es256(bencher: Bencher) {
        let raw = raw();
        bencher.bench_local(|| black_box(raw.sign()));
    }

    #[divan::bench]
    fn raw_verify_es256(bencher: Bencher) {
        let raw = raw();
        bencher.bench_local(|| raw.verify());
    }
}

/// The cost of a request for a catalog.
#[divan::bench]
fn extractor(bencher: Bencher) {
    let material = material(Algorithm::ES256);
    let answers = FixedAnswers::signing(keyring(&material));
    let parts = Parts::new(&answers);
    let extractor = Extractor::new(FixedAnswers::signing(keyring(&material)), &[parts.token()]);
    bencher.bench_local(|| black_box(extractor.extract()));
}

mod store {
    use super::*;
    use std::sync::OnceLock;
    use tokenberg_core::registration::AllowedScope;
    use tokenberg_core::{ClientId, Rights};
    use tokenberg_store::{KekSource, NewSecret, Snapshot, Store, StoreUrl};

    const CLIENTS: usize = 500;

    fn snapshot() -> &'static Snapshot {
        static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
        SNAPSHOT.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let url = StoreUrl::sqlite(&folder.path().join("bench.db"));
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let key_file = url.key_file().expect("a file");
                let store = Store::open(&url, KekSource::File(key_file)).await.expect("a store");
                let rights = Rights::new(AllowedScope::Every);
                for number in 0..CLIENTS {
                    let id = id(number);
                    let added = store.add_client(Parts::now(), &id, &rights, Some(NewSecret::Generate));
                    added.await.expect("a client");
                }
                store.snapshot().await.expect("a snapshot")
            })
        })
    }

    fn id(number: usize) -> ClientId {
        format!("client-{number}").parse().expect("an identifier")
    }

    #[divan::bench]
    fn lookup(bencher: Bencher) {
        let (snapshot, id) = (snapshot(), id(CLIENTS / 2));
        bencher.bench_local(|| black_box(snapshot.client(black_box(&id))));
    }
}
