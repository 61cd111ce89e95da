//! Checks that the files, functions and tests that `docs/threats.md` names exist; architecture.md, habit 14.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The number of past vulnerabilities in the table.
const ROWS: usize = 57;

/// Families of cases of `.ci/clients`, each with the file that names its cases without this prefix.
const FAMILIES: [(&str, &str); 4] = [
    ("foreign_", "foreign_issuer.py"),
    ("openid_client_", "openid_client.py"),
    ("trino_", "unsecured.py"),
    ("catalog_", "protocol.py"),
];

struct Row {
    number: String,
    prevention: String,
    tests: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        // Those that were found here begin with a letter.
        let digits = cells[0].trim_start_matches(['A', 'D', 'N', 'P']);
        digits.parse::<usize>().ok()?;
        let number = cells[0].to_owned();
        assert_eq!(cells.len(), 5, "row {number}");
        Some(Row { number, prevention: cells[3].to_owned(), tests: cells[4].to_owned() })
    });
    rows.collect()
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// All Rust sources below `folder`, as one text.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, text);
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(&entry).unwrap());
        }
    }
}

#[test]
fn every_past_vulnerability_has_its_row_once() {
    let numbers: Vec<usize> = rows().iter().filter_map(|row| row.number.parse().ok()).collect();
    let once: BTreeSet<usize> = numbers.iter().copied().collect();
    assert_eq!(once, (1..=ROWS).collect());
    assert_eq!(numbers.len(), ROWS, "a number is repeated");
}

#[test]
fn each_prevention_names_a_function_of_an_existing_file() {
    let mut named = 0;
    for Row { number, prevention, .. } in rows() {
        for (file, function) in quoted(&prevention).filter_map(|text| text.split_once(": ")) {
            let path = root().join(file);
            assert!(path.is_file(), "row {number} names {file}");
            let text = std::fs::read_to_string(path).unwrap();
            let is_there = [format!("fn {function}("), format!("fn {function}<")];
            assert!(
                is_there.iter().any(|definition| text.contains(definition)),
                "row {number} names {function} of {file}"
            );
            named += 1;
        }
    }
    assert!(named > 40, "only {named} functions are named");
}

#[test]
fn each_vulnerability_names_existing_tests() {
    let mut rust = String::new();
    sources(&root().join("crates"), &mut rust);
    for Row { number, tests, .. } in rows() {
        let mut named = 0;
        for test in quoted(&tests) {
            let is_rust = rust.contains(&format!("fn {test}("));
            assert!(is_rust || is_case(test), "row {number} names {test}");
            named += 1;
        }
        assert!(named > 0, "row {number} names no test");
        let besides: String = tests.split('`').step_by(2).collect();
        assert!(
            besides.chars().all(|c| c == ',' || c == ' '),
            "row {number} says {besides} instead of a test"
        );
    }
}

/// A case is defined with its name in quotes, with or without the prefix of its family.
fn is_case(name: &str) -> bool {
    FAMILIES.iter().any(|(prefix, file)| {
        let text = std::fs::read_to_string(root().join(".ci/clients/cases").join(file)).unwrap();
        name.strip_prefix(prefix)
            .is_some_and(|rest| [rest, name].iter().any(|spelled| text.contains(&format!("\"{spelled}\""))))
    })
}
