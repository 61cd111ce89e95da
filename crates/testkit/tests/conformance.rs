//! Checks that every cited id is defined in `docs/conformance.md` and its pages, and that their rows name tests that carry the
//! id.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Families of ids such as `TE-11`, which is `te_11_` in the name of a test.
const FAMILIES: [&str; 23] = [
    "TE", "CA", "CC", "TX", "IC", "JW", "AT", "KS", "CJ", "GB", "MT", "DP", "RI", "IN", "RV", "MD", "WL",
    "EM", "HT", "AB", "SE", "OP", "LI",
];

/// Families of ids such as `D13`, which is `d13_` in the name of a test.
const LETTERS: [char; 4] = ['D', 'R', 'S', 'C'];

/// Words that look like an id and are not, each with the reason.
const LOOKALIKES: [(&str, &str); 5] = [
    ("C1", "the client `c1` of many tests; a kind of control characters"),
    ("C2", "the client `c2` of many tests"),
    ("S1", "a placeholder for a scope in the help of the command line"),
    ("S2", "a placeholder for a scope in the help of the command line"),
    ("S3", "Amazon S3"),
];

/// Which files cite ids, besides scripts without an ending.
const ENDINGS: [&str; 6] = [".rs", ".md", ".py", ".mjs", ".java", ".sh"];

/// Folders that tools make.
const MADE: [&str; 8] =
    ["target", ".git", "corpus", "artifacts", "__pycache__", "coverage", "node_modules", ".venv"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files that may cite an id, each with its path from the root.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !MADE.contains(&name.as_str()) {
                    walk(&path, found);
                }
                continue;
            }
            let may_be_script = !name.contains('.');
            if may_be_script || ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                let bytes = std::fs::read(&path).unwrap();
                if !may_be_script || bytes.starts_with(b"#!") {
                    let path = path.strip_prefix(root()).unwrap().display().to_string();
                    found.push((path, String::from_utf8(bytes).unwrap()));
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    found
}

fn is_definition(path: &str) -> bool {
    path == "docs/conformance.md" || path.starts_with("docs/conformance/")
}

/// The ids that one line cites: `TX-44` and `D13` in text, `tx_44_`, `te_09_to_13_` and `d13_` inside of names.
fn cited(line: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    let mut rest = line;
    let mut before = ' ';
    while let Some(start) = rest.find(is_word) {
        before = rest[..start].chars().next_back().unwrap_or(before);
        let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |length| start + length);
        let (word, after) = (&rest[start..end], &rest[end..]);
        if word.contains('_') {
            found.extend(carried(word));
        } else if FAMILIES.contains(&word) {
            let number: String =
                after.strip_prefix('-').map_or("", |n| n).chars().take_while(|c| is_word(*c)).collect();
            if number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit()) && before != '-' {
                found.insert(format!("{word}-{number}"));
            }
        } else if is_of_a_letter(word) && !(is_encoding(before) || after.starts_with(is_encoding)) {
            found.insert(word.to_owned());
        }
        before = word.chars().next_back().unwrap_or(before);
        rest = after;
    }
    found.retain(|id| !LOOKALIKES.iter().any(|(word, _)| word == id));
    found
}

/// What stands next to letters that are a part of base64, a percent-encoding, an escape or a longer name.
fn is_encoding(c: char) -> bool {
    "%\\+/=-".contains(c)
}

fn is_of_a_letter(word: &str) -> bool {
    word.strip_prefix(LETTERS)
        .is_some_and(|number| (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The ids in the name of a test or a case: `in_02_rv_01_tx_24_the_client`, `te_20_and_21_nothing`, `ab_04_d26_a_client`.
fn carried(name: &str) -> BTreeSet<String> {
    let parts: Vec<&str> = name.split(['_', '*']).collect();
    let number =
        |at: usize| parts.get(at).filter(|part| part.len() == 2).and_then(|part| part.parse::<u8>().ok());
    let mut found = BTreeSet::new();
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.contains(char::is_uppercase)) {
        let upper = part.to_ascii_uppercase();
        if is_of_a_letter(&upper) {
            found.insert(upper);
        } else if let (true, Some(first)) = (FAMILIES.contains(&upper.as_str()), number(at + 1)) {
            let last = match parts.get(at + 2) {
                Some(&("to" | "and")) => number(at + 3).unwrap_or(first),
                Some(_) | None => first,
            };
            found.extend((first..=last).map(|n| format!("{upper}-{n:02}")));
        }
    }
    found
}

/// The names of all tests in Rust, and of the cases of `.ci/clients`; `*` stands for what a case fills in when it runs.
fn names(files: &[(String, String)]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= ["#[test]", "::test]", "::test("].iter().any(|attribute| line.contains(attribute));
            } else if let Some((_, rest)) = line.split_once("fn ") {
                if is_test && let Some((name, _)) = rest.split_once('(') {
                    names.insert(name.to_owned());
                }
                is_test = false;
            }
        }
    }
    for (_, text) in files.iter().filter(|(path, _)| path.starts_with(".ci/clients/")) {
        for quoted in text.lines().flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let mut name = String::new();
            let mut depth = 0_i32;
            for c in quoted.chars() {
                depth += i32::from(c == '{');
                if depth == 0 {
                    name.push(c);
                } else if c == '}' {
                    depth -= 1;
                    name.push('*');
                }
            }
            names.insert(name);
        }
    }
    names
}

/// Whether a name is what a row says: all of it, its beginning (`te_11_`) or its end (`*_tx_34`).
fn is_meant(cited: &str, name: &str) -> bool {
    match cited.strip_prefix("*_") {
        Some(end) => name == end || name.ends_with(&cited[1..]) || name.ends_with(&format!("*{end}")),
        None if cited.ends_with('_') => name.starts_with(cited),
        None => name == cited,
    }
}

/// A row of the definition, with what its last cell says about tests.
struct Row {
    page: String,
    id: String,
    tests: String,
}

/// What the last cell of a row says.
#[derive(Default)]
struct Cell<'a> {
    named: Vec<&'a str>,
    as_in: Vec<&'a str>,
    has_reason: bool,
}

fn rows(files: &[(String, String)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (page, text) in files.iter().filter(|(path, _)| is_definition(path)) {
        for line in text.lines() {
            let Some(inside) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
                continue;
            };
            let cells: Vec<&str> = inside.split(" | ").collect();
            let is_id = cells[0].starts_with(|c: char| c.is_ascii_uppercase())
                && cells[0].ends_with(char::is_numeric);
            if is_id {
                assert_eq!(cells.len(), 4, "{page}: {} has not four cells", cells[0]);
                let (page, id, tests) = (page.clone(), cells[0].to_owned(), cells[3].to_owned());
                rows.push(Row { page, id, tests });
            }
        }
    }
    rows
}

fn read(tests: &str) -> Option<Cell<'_>> {
    let mut cell = Cell::default();
    let mut rest = tests;
    while !rest.is_empty() {
        if ["not offered: ", "not met: ", "no test: "]
            .iter()
            .any(|start| rest.len() > start.len() && rest.starts_with(start))
        {
            cell.has_reason = true;
            break;
        }
        let (part, after) = rest.split_once("; ").unwrap_or((rest, ""));
        if let Some(ids) = part.strip_prefix("as ") {
            cell.as_in.extend(ids.split(", "));
        } else {
            for name in part.split(", ") {
                cell.named
                    .push(name.strip_prefix('`')?.strip_suffix('`').filter(|name| !name.contains('`'))?);
            }
        }
        rest = after;
    }
    (cell.has_reason || !cell.named.is_empty() || !cell.as_in.is_empty()).then_some(cell)
}

fn report(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "\n{}\n\ndocs/conformance.md, \"How to keep it\", has the rules.\n",
        problems.join("\n")
    );
}

#[test]
fn every_cited_id_has_one_row() {
    let files = files();
    let rows = rows(&files);
    let mut problems = Vec::new();
    let mut defined: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        if let Some(other) = defined.insert(&row.id, &row.page) {
            problems.push(format!("{} has two rows, in {other} and in {}: remove one", row.id, row.page));
        }
    }
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in
        files.iter().filter(|(path, _)| !is_definition(path) && !path.ends_with("tests/conformance.rs"))
    {
        for (at, line) in text.lines().enumerate() {
            for id in cited(line) {
                places.entry(id).or_default().push(format!("{path}:{}", at + 1));
            }
        }
    }
    for (id, places) in places.iter().filter(|(id, _)| !defined.contains_key(id.as_str())) {
        let cited = places.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        problems.push(format!(
            "{id} is cited ({} times, at {cited}) and has no row in docs/conformance.md or docs/conformance/: add the row, correct \
             the id, or, if the word is no id, add it to LOOKALIKES in crates/testkit/tests/conformance.rs",
            places.len()
        ));
    }
    report(&problems);
    assert!(places.len() > 300, "only {} ids are found in the repository", places.len());
}

#[test]
fn every_row_names_tests_that_carry_its_id() {
    let files = files();
    let (rows, names) = (rows(&files), names(&files));
    let with_names: BTreeSet<&str> =
        rows.iter().filter(|row| row.tests.starts_with('`')).map(|row| row.id.as_str()).collect();
    let mut problems = Vec::new();
    for Row { page, id, tests } in &rows {
        let Some(cell) = read(tests) else {
            problems.push(format!(
                "{page}: the tests of {id} are written as {tests:?}, which is none of the forms"
            ));
            continue;
        };
        for cited in cell.named {
            let meant: Vec<&String> = names.iter().filter(|name| is_meant(cited, name)).collect();
            if meant.is_empty() {
                problems.push(format!(
                    "{page}: {id} names `{cited}`, and no test or case is called so: if it was renamed, write its new name (tests that \
                     carry the id: {})",
                    carriers(&names, id)
                ));
            } else if !meant.iter().any(|name| carried(name).contains(id)) {
                problems.push(format!(
                    "{page}: {id} names `{cited}`, which does not carry the id: name one of these, or put the id into the test's name \
                     (tests that carry the id: {})",
                    carriers(&names, id)
                ));
            }
        }
        for other in cell.as_in.into_iter().filter(|other| !with_names.contains(other)) {
            problems.push(format!(
                "{page}: {id} has the tests of {other}, which has no row that begins with tests"
            ));
        }
    }
    report(&problems);
    assert!(rows.len() > 400, "only {} rows are found", rows.len());
}

fn carriers(names: &BTreeSet<String>, id: &str) -> String {
    let found: Vec<&str> =
        names.iter().filter(|name| carried(name).contains(id)).map(String::as_str).collect();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

#[test]
fn links_to_rfcs_lead_to_the_displayed_section() {
    const RFC: &str = "](https://www.rfc-editor.org/rfc/";
    let (mut links, mut problems) = (0, Vec::new());
    for (page, text) in files().iter().filter(|(path, _)| is_definition(path)) {
        for (at, _) in text.match_indices(RFC) {
            let displayed = text[..at].rsplit('[').next().unwrap();
            let target = text[at + RFC.len()..].split(')').next().unwrap();
            let words: Vec<&str> = displayed.split(' ').collect();
            let expected = match words.as_slice() {
                ["RFC", number] => format!("rfc{number}"),
                ["RFC", number, section] => match section.strip_prefix('§') {
                    Some(section) => format!("rfc{number}#section-{section}"),
                    None => format!("rfc{number}#appendix-{section}"),
                },
                _ => "RFC, number, section".to_owned(),
            };
            links += 1;
            if target != expected {
                problems.push(format!("{page}: [{displayed}] leads to {target}, not to {expected}"));
            }
        }
    }
    report(&problems);
    assert!(links > 200, "only {links} links");
}

#[test]
fn every_cited_law_exists() {
    let files = files();
    let (_, delegation) = files.iter().find(|(path, _)| path == "docs/delegation.md").unwrap();
    let laws = (1..).take_while(|n| delegation.contains(&format!("\n{n}. **"))).count();
    assert!(laws > 5, "docs/delegation.md numbers {laws} laws");
    let mut problems = Vec::new();
    for name in names(&files) {
        let number =
            name.strip_prefix("law_").and_then(|rest| rest.split('_').next()).and_then(|n| n.parse().ok());
        if number.is_some_and(|n: usize| n == 0 || n > laws) {
            problems.push(format!("{name} cites a law, and docs/delegation.md has {laws}"));
        }
    }
    report(&problems);
}

#[test]
fn ids_are_found_in_every_form_and_other_words_are_not() {
    for (line, expected) in [
        ("// conformance TX-44, D13 and R11.", &["D13", "R11", "TX-44"][..]),
        ("(AB-01 to AB-04)", &["AB-01", "AB-04"]),
        ("fn te_09_to_13_empty()", &["TE-09", "TE-10", "TE-11", "TE-12", "TE-13"]),
        ("fn te_20_and_21_query()", &["TE-20", "TE-21"]),
        ("fn in_02_rv_01_tx_24_the_client()", &["IN-02", "RV-01", "TX-24"]),
        ("`ab_04_d26_a_client`", &["AB-04", "D26"]),
        ("yield f\"{name}_who_end_tx_44\"", &["TX-44"]),
        ("yield case(\"a_users_token_tx_44\", f)", &["TX-44"]),
        ("no_in_2038 in_10 at_1_00 RSA-65 ECDSA-10 XTX-44 TX-445 TX-4 TX-6x", &["IN-10"]),
        ("CVE-2026-9704 P-256 SHA256 RS1 D", &[]),
        ("%C3%A9 \\C4\\8D a+D9/b S1-Z7 x=R2", &[]),
        ("C1 C2 let_c2_act_for_c1 'S1 S2 …' S3", &[]),
        ("TE_11 d13", &[]),
    ] {
        let expected: BTreeSet<String> = expected.iter().map(|&id| id.to_owned()).collect();
        assert_eq!(cited(line), expected, "{line}");
    }
}
