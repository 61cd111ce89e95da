//! Checks the structure that `docs/architecture.md` describes: dependencies between crates, sizes and forbidden words.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Files of ours with one of these endings, without what tools make.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() {
                let is_made = ["target", ".git", "corpus", "artifacts", "__pycache__", "coverage"]
                    .contains(&name.as_str());
                if !is_made {
                    walk(&entry, endings, found);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((entry.clone(), std::fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), endings, &mut found);
    found
}

#[test]
fn dependencies_between_crates_are_the_documented_ones() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let ours = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let targets = ours.map(|d| d["name"].as_str().unwrap()).filter(|d| d.starts_with("tokenberg"));
        arrows.insert(name.to_owned(), targets.map(str::to_owned).collect());
    }
    let drawn = [
        ("tokenberg-core", vec![]),
        ("tokenberg-jose", vec!["tokenberg-core"]),
        ("tokenberg-store", vec!["tokenberg-core"]),
        ("tokenberg-actix", vec!["tokenberg-core"]),
        ("tokenberg-ui", vec!["tokenberg-actix", "tokenberg-core", "tokenberg-store"]),
        ("tokenberg-service", vec!["tokenberg-actix", "tokenberg-core", "tokenberg-jose", "tokenberg-store"]),
        (
            "tokenberg-cli",
            vec![
                "tokenberg-actix",
                "tokenberg-core",
                "tokenberg-jose",
                "tokenberg-service",
                "tokenberg-store",
                "tokenberg-ui",
            ],
        ),
        ("tokenberg-testkit", vec!["tokenberg-core", "tokenberg-jose"]),
        ("tokenberg-bench", vec!["tokenberg-actix", "tokenberg-core", "tokenberg-jose", "tokenberg-store"]),
        (
            "tokenberg-examples",
            vec!["tokenberg-actix", "tokenberg-core", "tokenberg-jose", "tokenberg-store"],
        ),
    ];
    let drawn: BTreeMap<String, BTreeSet<String>> =
        drawn.into_iter().map(|(n, d)| (n.to_owned(), d.into_iter().map(str::to_owned).collect())).collect();
    assert_eq!(arrows, drawn);
}

#[test]
fn the_core_depends_on_allowed_crates_only() {
    let manifest: String = std::fs::read_to_string(root().join("crates/core/Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
    let names: Vec<&str> =
        section.lines().filter_map(|l| l.split(['.', ' ']).next()).filter(|n| !n.is_empty()).collect();
    let allowed =
        ["base64", "memchr", "serde", "serde_json", "serde_urlencoded", "subtle", "thiserror", "zeroize"];
    assert_eq!(names, allowed);
}

#[test]
fn no_file_is_longer_than_400_lines_and_each_states_its_purpose() {
    for (path, text) in files(&[".rs"]) {
        let lines = text.lines().count();
        assert!(lines <= 400, "{}: {lines} lines", path.display());
        let first = text.lines().next().unwrap_or_default().replace("{:?}", "");
        let is_statement = first.starts_with("//! ") && !first.contains('?');
        assert!(is_statement, "{}: the first line has to state what the file is", path.display());
    }
}

#[test]
fn the_store_defines_one_macro_which_binds_values() {
    let sources = files(&[".rs"]);
    let of_store = sources.iter().filter(|(path, _)| path.starts_with(root().join("crates/store")));
    let macros: Vec<&str> =
        of_store.flat_map(|(_, text)| text.lines()).filter(|line| line.contains("macro_rules!")).collect();
    assert_eq!(macros, ["macro_rules! values {"]);
}

#[test]
fn no_file_is_unsafe_unfinished_or_specific_to_a_machine() {
    for (path, text) in
        files(&[".rs", ".md", ".toml", ".py", ".sh", "run", ".yaml", ".java", ".mjs", ".json"])
    {
        if path.ends_with("tests/house.rs") {
            continue;
        }
        for word in [
            concat!("todo", "!("),
            concat!("unimplemented", "!("),
            "FIXME",
            concat!("/", "root", "/"),
            "allow(dead_code)",
            "unsafe {",
        ] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        assert!(!text.contains(&root().display().to_string()), "{}: a path of this machine", path.display());
    }
}

#[test]
fn se_09_ks_08_dependencies_are_past_their_advisories() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut packages: BTreeMap<String, Vec<Vec<u32>>> = BTreeMap::new();
    for entry in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = entry.lines().find_map(|l| l.strip_prefix(&format!("{name} = \""))).unwrap();
            line.trim_end_matches('"').to_owned()
        };
        let version = field("version");
        let numbers = version.split(['.', '-', '+']).map_while(|n| n.parse().ok()).collect();
        packages.entry(field("name")).or_default().push(numbers);
    }
    for (name, least) in [
        ("jsonwebtoken", vec![10, 4, 0]),
        ("actix-http", vec![3, 12, 1]),
        ("rustls", vec![0, 23, 18]),
        ("rustls-webpki", vec![0, 103, 13]),
        ("ring", vec![0, 17, 12]),
        ("libsqlite3-sys", vec![0, 37, 0]),
        ("bytes", vec![1, 11, 1]),
        ("h2", vec![0, 4, 16]),
        ("aws-lc-sys", vec![0, 39, 0]),
        ("time", vec![0, 3, 47]),
        ("lru", vec![0, 18, 2]),
    ] {
        for version in packages.get(name).into_iter().flatten() {
            assert!(*version >= least, "{name} {version:?} is older than {least:?}");
        }
    }
    for never in ["rsa", "openssl", "native-tls"] {
        assert!(!packages.contains_key(never), "{never} is not used here");
    }
}

#[test]
fn ic_13_ic_14_no_code_forwards_or_hands_out_a_credential() {
    // Sending a credential elsewhere takes an HTTP client. Only the command line has one: `web.rs` for `token` and `verify`,
    // which `serve` does not reach, and jose's for the keys of issuers, which it does reach and which can only GET an `Address`:
    // that comes from the operator or an issuer's metadata, never from a request. A build with the feature `otlp` sends spans
    // (`traces.rs`), which hold no credential.
    let may_have = ["Cargo.toml", "src/roots.rs", "src/traces.rs", "src/web.rs"];
    const OF_ISSUERS: [&str; 2] = ["crates/cli/src/issuer_keys/", "crates/jose/src/web/"];
    let mut fetching = Vec::new();
    for (path, text) in files(&[".rs", "Cargo.toml"]) {
        let file = path.display().to_string();
        let has_client = ["ureq", "reqwest", "awc"]
            .iter()
            .any(|name| text.contains(&format!("{name}::")) || text.contains(&format!("\n{name}.workspace")));
        let is_allowed = may_have.iter().any(|end| file.ends_with(&format!("crates/cli/{end}")))
            || file.contains("crates/jose/src/web/")
            || file.contains("crates/cli/tests/")
            || file.contains("/examples/");
        assert!(!has_client || is_allowed || file.ends_with("tests/house.rs"), "{file}");
        let reached_by_serve =
            ["crates/cli/src/server/", "crates/cli/src/issuer_keys/"].iter().any(|f| file.contains(f));
        assert!(!reached_by_serve || !text.contains("crate::web"), "{file}");
        if OF_ISSUERS.iter().any(|folder| file.contains(folder)) && !file.ends_with("tests.rs") {
            fetching.push(text);
        }
    }
    let fetching = fetching.concat();
    assert!(fetching.contains("fn fetch(&self, address: &Address, largest: usize, within: Duration)"));
    assert_eq!(fetching.matches("agent.").count(), 1, "one request");
    assert_eq!(fetching.matches("agent.get(address.as_str())").count(), 1);
    for sends in
        [".post(", ".put(", ".patch(", ".delete(", ".send", ".header(", ".run(", "ureq::get", "Secret"]
    {
        assert!(!fetching.contains(sends), "the fetcher of keys contains {sends}");
    }
    let catalog = std::fs::read_to_string(root().join("crates/cli/src/commands/demo/catalog.rs")).unwrap();
    assert!(catalog.contains(r#"json!({"defaults": {}, "overrides": {}})"#));
}

#[test]
fn the_map_of_rfcs_names_files_and_tests_that_exist() {
    let map = std::fs::read_to_string(root().join("docs/rfc-map.md")).unwrap();
    let sources = files(&[".rs", ".py"]);
    let mut names = 0;
    for quoted in map.split('`').skip(1).step_by(2) {
        if quoted.contains('/') && quoted.ends_with(".rs") {
            assert!(root().join(quoted).is_file(), "docs/rfc-map.md names {quoted}");
        } else if quoted.contains('_')
            && quoted.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            let definition = format!("fn {quoted}(");
            assert!(
                sources.iter().any(|(_, text)| text.contains(&definition)),
                "docs/rfc-map.md names {quoted}"
            );
            names += 1;
        }
    }
    assert!(names > 50, "the map names {names} tests");
}

/// Whether it is the whole name of a test that carries an id, such as `te_11_…`, `s_1_…` or `d13_…`; prefixes end with an underscore.
fn is_name_of_a_test(quoted: &str) -> bool {
    let mut parts = quoted.split('_');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_number = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let has_id = first.len() <= 2 && is_number(second) || first.get(1..).is_some_and(is_number);
    has_id
        && parts.count() > 1
        && !quoted.ends_with('_')
        && quoted.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[test]
fn tests_that_documents_name_exist() {
    let sources: String = files(&[".rs", ".py"]).into_iter().map(|(_, text)| text).collect();
    let mut named = BTreeSet::new();
    for (path, text) in files(&[".md"]) {
        for quoted in text.split('`').skip(1).step_by(2).filter(|quoted| is_name_of_a_test(quoted)) {
            assert!(sources.contains(&format!("fn {quoted}(")), "{} names {quoted}", path.display());
            named.insert(quoted.to_owned());
        }
    }
    assert!(named.len() > 200, "the documents name {} tests", named.len());
}

#[test]
fn every_promise_of_operations_names_a_test_or_a_section() {
    let page = std::fs::read_to_string(root().join("docs/operations/promises.md")).unwrap();
    let sources: String = files(&[".rs"]).into_iter().map(|(_, text)| text).collect();
    let mut numbers = Vec::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [number, _, proof] = cells[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        let tests: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || proof.contains("](../") || proof.contains(".md)"), "{number}: {proof}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "docs/operations/promises.md names {test}");
        }
        numbers.push(number);
    }
    assert_eq!(numbers, (1..=18).chain(1..=15).collect::<Vec<_>>());
}

#[test]
fn every_runbook_is_followed_by_a_test() {
    let folder = root().join("crates/cli/tests/faults");
    let tests: String = ["leaks.rs", "people.rs", "stores.rs"]
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
        .concat();
    let contents = std::fs::read_to_string(root().join("docs/operations/README.md")).unwrap();
    let pages = contents
        .lines()
        .filter_map(|line| line.strip_prefix("- [")?.split_once("](")?.1.strip_suffix(".md)"));
    let mut count = 0;
    for page in pages {
        assert!(root().join(format!("docs/operations/{page}.md")).is_file(), "{page}");
        assert!(tests.contains(&format!("\"{page}\"")), "no test follows docs/operations/{page}.md");
        count += 1;
    }
    assert_eq!(count, 11);
}
