//! Runs the seeds of the fuzz targets without a fuzzer, and checks that each target is described and run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokenberg_testkit::{Documents, SessionClaims};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn seeds(target: &str) -> Vec<(String, String)> {
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned())
    };
    let entries = std::fs::read_dir(root().join("fuzz/seeds").join(target)).unwrap();
    let mut seeds: Vec<_> = entries.map(|entry| read(entry.unwrap())).collect();
    seeds.sort();
    seeds
}

#[test]
fn ks_06_no_seed_of_an_issuers_documents_hides_a_good_key_or_adds_an_attackers_key() {
    let mut documents = Documents::new();
    for (_, text) in seeds("issuer_documents") {
        documents.check(&text);
    }
}

#[test]
fn tx_44_each_seed_of_a_session_claim_yields_no_more_than_its_session() {
    let mut claims = SessionClaims::new();
    let yields: Vec<(String, bool)> =
        seeds("session_claim").into_iter().map(|(name, text)| (name, claims.check(&text) > 0)).collect();
    let refused: Vec<&str> = yields.iter().filter(|(_, yields)| !yields).map(|(name, _)| &**name).collect();
    assert_eq!(refused, ["bound", "seventeen", "twice", "unknown-member"]);
}

#[test]
fn every_fuzz_target_has_seeds_and_is_described_and_run() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let manifest = text("fuzz/Cargo.toml");
    let targets = manifest.split("[[bin]]").skip(1).map(|bin| bin.split('"').nth(1).unwrap().to_owned());
    let targets: BTreeSet<String> = targets.collect();
    for target in &targets {
        assert!(!seeds(target).is_empty(), "{target} has no seeds");
        assert!(text("docs/fuzzing.md").contains(&format!("| `{target}` |")), "{target} is not described");
    }
    for path in [".ci/run", "docs/fuzzing.md"] {
        let text = text(path);
        let run = text.split("for target in ").nth(1).unwrap().split("; do").next().unwrap();
        assert_eq!(run.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), targets, "{path}");
    }
}
