//! Compares `docs/embedding.md` with the files in `examples/`, which `.ci/examples` builds and runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The path before each block of code that shows a whole file, and the block.
fn shown(page: &str) -> Vec<(&str, &str)> {
    let mut shown = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n`examples/") {
        let (name, after) = after.split_once('`').unwrap();
        rest = after;
        if let Some(block) = after.strip_prefix(":\n\n```") {
            let (_language, block) = block.split_once('\n').unwrap();
            let (block, after) = block.split_once("```\n").unwrap();
            shown.push((name, block));
            rest = after;
        }
    }
    shown
}

#[test]
fn programs_of_the_page_for_embedders_are_the_files_that_are_built() {
    let page = std::fs::read_to_string(root().join("docs/embedding.md")).unwrap();
    let shown = shown(&page);
    for (name, block) in &shown {
        let file = std::fs::read_to_string(root().join("examples").join(name)).unwrap();
        assert!(
            *block == file,
            "docs/embedding.md shows another examples/{name} than the file: copy the file"
        );
    }
    for part in ["mounted", "axum", "resource_server", "client"] {
        for file in ["Cargo.toml", "src/main.rs"] {
            let name = format!("{part}/{file}");
            assert!(
                shown.iter().any(|(shown, _)| *shown == name),
                "docs/embedding.md shows no examples/{name}"
            );
        }
    }
}

#[test]
fn every_example_with_its_own_manifest_is_built_and_run() {
    let script = std::fs::read_to_string(root().join(".ci/examples")).unwrap();
    let mut examples = 0;
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").is_file() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let runs = [format!("built(\"{name}\")"), format!("cargo(\"{name}\"")];
            assert!(runs.iter().any(|run| script.contains(run)), ".ci/examples does not run {name}");
            let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap();
            assert!(manifest.contains("\n[workspace]\n"), "{name} belongs to no workspace of ours");
            examples += 1;
        }
    }
    assert_eq!(examples, 7);
}

#[test]
fn a_mounted_catalog_has_at_most_60_lines() {
    let program = std::fs::read_to_string(root().join("examples/mounted/src/main.rs")).unwrap();
    assert!(program.lines().count() <= 60, "{} lines", program.lines().count());
}

/// What a library brings with these features, of the packages that matter to a program that has them already.
fn brings(library: &str, features: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--no-default-features"])
        .args(["--package", library, "--features", features])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let that_matter =
        ["ring", "rustls", "aws-lc-rs", "x509-cert", "libsqlite3-sys", "ureq", "cryptoki", "tokio"];
    let packages = String::from_utf8(tree.stdout).unwrap();
    let names = packages.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| that_matter.contains(name)).map(str::to_owned).collect()
}

#[test]
fn features_of_libraries_bring_what_the_page_for_embedders_says() {
    for (library, features, packages) in [
        ("tokenberg-core", "", vec![]),
        ("tokenberg-jose", "", vec!["ring"]),
        ("tokenberg-jose", "fetch", vec!["ring", "rustls", "ureq"]),
        ("tokenberg-jose", "pkcs11", vec!["cryptoki", "ring", "tokio"]),
        // Without `server` and `mtls`, neither TLS nor a parser of certificates.
        ("tokenberg-actix", "", vec!["ring", "tokio"]),
        ("tokenberg-actix", "testing", vec!["ring", "tokio"]),
        ("tokenberg-actix", "mtls", vec!["ring", "tokio", "x509-cert"]),
        ("tokenberg-actix", "server", vec!["ring", "rustls", "tokio", "x509-cert"]),
        ("tokenberg-store", "sqlite", vec!["libsqlite3-sys", "ring", "tokio"]),
        ("tokenberg-store", "postgres", vec!["ring", "rustls", "tokio"]),
        ("tokenberg-service", "actix,sqlite", vec!["libsqlite3-sys", "ring", "tokio"]),
    ] {
        let packages: BTreeSet<String> = packages.into_iter().map(str::to_owned).collect();
        assert_eq!(brings(library, features), packages, "{library} with the features {features:?}");
    }
}

/// Traits that no other program has to implement or call, and a builder with an example elsewhere.
const WITHOUT_EXAMPLE: [&str; 4] = [
    // Implemented for every step.
    "Asks",
    // `Pkcs11` of tokenberg-jose implements it.
    "KeyDevice",
    // Of the store.
    "RevokedBefore",
    // In the documentation of the crate.
    "ServerBuilder",
];

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_public_trait_and_builder_has_an_example() {
    let mut texts = Vec::new();
    for library in ["core", "jose", "store", "actix", "service"] {
        sources(&root().join("crates").join(library).join("src"), &mut texts);
    }
    let mut without = BTreeSet::new();
    for text in &texts {
        for kind in ["trait", "struct"] {
            for (at, declared) in text.match_indices(&format!("\npub {kind} ")) {
                let after = &text[at + declared.len()..];
                let name = after.split([' ', ':', '<', '(', ';']).next().unwrap();
                let above = text[..at].rsplit("\n\n").next().unwrap();
                if (kind == "trait" || name.ends_with("Builder")) && !above.contains("/// ```") {
                    without.insert(name);
                }
            }
        }
    }
    assert_eq!(without, BTreeSet::from(WITHOUT_EXAMPLE), "without a block of code in their documentation");
}
