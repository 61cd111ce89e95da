//! Counts the instructions of each part with valgrind; `.ci/instructions` compares them.
#![allow(missing_docs, reason = "the macros write functions and modules of their own")]

use gungraun::{library_benchmark, library_benchmark_group, main};
use std::hint::black_box;
use std::sync::OnceLock;
use tokenberg_bench::{Extractor, FixedAnswers, Parts, keyring, material};
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::{Granted, Presented, Scope};

type World = (&'static Parts, &'static FixedAnswers);

/// Run once before counting, so that initialization of the process is not counted; never dropped.
fn warm<T>(part: impl Fn(&Parts, &FixedAnswers) -> T) -> World {
    let parts: &Parts = Box::leak(Box::new(signed()));
    let answers: &FixedAnswers = Box::leak(Box::new(FixedAnswers::unsigned()));
    black_box(part(parts, answers));
    (parts, answers)
}

fn signed() -> Parts {
    Parts::new(&signing())
}

#[library_benchmark]
#[bench::two_tokens(warm(|parts, _| parts.presented()))]
fn parse((parts, _): World) -> Presented {
    black_box(parts.presented())
}

/// As many scope-tokens as one value may have, before the client is authenticated.
fn longest_scope() -> String {
    (0..256).map(|n| format!("scope:{n}")).collect::<Vec<_>>().join(" ")
}

#[library_benchmark]
#[bench::longest(longest_scope())]
fn scope(text: String) -> Scope {
    black_box(text.parse().unwrap_or_default())
}

#[library_benchmark]
#[bench::unsigned(warm(Parts::client_credentials))]
fn client_credentials((parts, answers): World) -> Granted {
    black_box(parts.client_credentials(answers))
}

#[library_benchmark]
#[bench::unsigned(warm(Parts::exchange))]
fn exchange((parts, answers): World) -> Granted {
    black_box(parts.exchange(answers))
}

/// With one key, so that the tokens of `signed` verify.
fn signing() -> FixedAnswers {
    static MATERIAL: OnceLock<KeyMaterial> = OnceLock::new();
    FixedAnswers::signing(keyring(MATERIAL.get_or_init(|| material(Algorithm::ES256))))
}

fn extractor(answers: FixedAnswers) -> &'static Extractor {
    let extractor: &Extractor = Box::leak(Box::new(Extractor::new(answers, &[signed().token()])));
    let _ = black_box(extractor.extract());
    extractor
}

#[library_benchmark]
#[bench::unsigned(extractor(FixedAnswers::unsigned()))]
#[bench::seen(extractor(signing()))]
fn verification(extractor: &'static Extractor) -> tokenberg_actix::Bearer {
    black_box(extractor.extract())
}

library_benchmark_group!(name = parts; benchmarks = parse, scope, client_credentials, exchange, verification);
main!(library_benchmark_groups = parts);
