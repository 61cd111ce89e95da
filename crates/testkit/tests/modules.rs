//! Fails on a circle of modules inside a crate: each module should be readable after those that it uses, and without those that use it.
//!
//! A module is a file. It uses the file that defines an item, wherever the path to the item goes: a re-export in `mod.rs` or `lib.rs`
//! is followed to its end. Tests inside of a file are left out. A call of a method contains no path, so the file of a method is not
//! counted as used, except for that of its type.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod rust_source;

use rust_source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CRATES: [&str; 9] = ["actix", "bench", "cli", "core", "jose", "service", "store", "testkit", "ui"];

/// Existing circles, one a line. None may grow, and none may be added. One that has become smaller may keep its line.
const EXISTING: &str = include_str!("circles.txt");

/// The modules of a crate, by path.
type Sources = BTreeMap<String, Source>;

/// Which module uses which.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_have_no_circles() {
    let mut found = BTreeSet::new();
    for name in CRATES {
        let uses = uses_in(name);
        found.extend(circles(&uses).into_iter().map(|circle| (name, circle)));
    }
    let lines = EXISTING.lines().filter(|line| !line.starts_with('#'));
    let existing: BTreeSet<(&str, BTreeSet<String>)> = lines
        .map(|line| {
            let (name, modules) = line.split_once(": ").unwrap();
            (name, modules.split(' ').map(str::to_owned).collect())
        })
        .collect();
    let is_within = |one: &(&str, BTreeSet<String>), other: &(&str, BTreeSet<String>)| {
        one.0 == other.0 && one.1.is_subset(&other.1)
    };
    let added: Vec<_> =
        found.iter().filter(|one| !existing.iter().any(|other| is_within(one, other))).collect();
    for (name, circle) in &added {
        let modules: Vec<&str> = circle.iter().map(String::as_str).collect();
        println!("a circle that tests/circles.txt does not list:\n{name}: {}", modules.join(" "));
        for (user, used) in uses_in(name).iter().filter(|(user, _)| circle.contains(*user)) {
            println!("  {user} uses {:?}", used.intersection(circle).collect::<Vec<_>>());
        }
    }
    let gone: Vec<_> =
        existing.iter().filter(|one| !found.iter().any(|other| is_within(other, one))).collect();
    for (name, circle) in &gone {
        println!("{name}: tests/circles.txt lists a circle that is gone: {circle:?}");
    }
    assert!(added.is_empty() && gone.is_empty(), "correct the modules, or tests/circles.txt; see above");
}

fn uses_in(name: &str) -> Uses {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
    let mut sources = Sources::new();
    read(&folder, &folder, &mut sources);
    let of = |(module, source): (&String, &Source)| {
        source.tests().iter().map(|name| child(module, name)).collect::<Vec<_>>()
    };
    for module in sources.iter().flat_map(of).collect::<Vec<_>>() {
        sources.remove(&module).unwrap();
    }
    uses(&sources)
}

fn uses(sources: &Sources) -> Uses {
    let uses = sources.iter().map(|(module, source)| {
        assert!(source.import("*").is_none(), "{module}: an import of * hides which items are used");
        let all = source.paths().filter_map(|path| used(sources, module, path));
        (displayed(module), all.filter(|used| used != module).map(|used| displayed(&used)).collect())
    });
    uses.collect()
}

fn displayed(module: &str) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.to_owned() }
}

/// Reads all modules below a folder. The name of a module is its path in the crate, as in `audit::queue`, and `""` for the root.
fn read(root: &Path, folder: &Path, sources: &mut Sources) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(root, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let below = path.strip_prefix(root).unwrap().with_extension("");
            let mut names: Vec<&str> = below.iter().map(|name| name.to_str().unwrap()).collect();
            if matches!(names.last(), Some(&"mod" | &"lib" | &"main")) {
                names.pop();
            }
            let source = Source::parse(&std::fs::read_to_string(&path).unwrap());
            sources.entry(names.join("::")).or_default().extend(source);
        }
    }
}

/// The end of a path.
enum End {
    Module(String),
    /// An item, in the module that defines it.
    ItemOf(String),
}

/// The module that defines what a path of another module names; `None` if that is not of this crate, or is only a folder: a folder
/// that is imported is not used yet, the paths that begin with it are.
fn used(sources: &Sources, module: &str, path: &[String]) -> Option<String> {
    let is_folder = |name: &str| sources.keys().any(|other| other.starts_with(&format!("{name}::")));
    match resolve(sources, module, path, 0)? {
        End::Module(name) => (!name.is_empty() && !is_folder(&name)).then_some(name),
        End::ItemOf(name) => Some(name),
    }
}

fn resolve(sources: &Sources, module: &str, path: &[String], depth: usize) -> Option<End> {
    assert!(depth < 20, "{module}: {path:?} is imported in a circle");
    let parent = |of: &str| of.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
    let (first, rest) = path.split_first()?;
    let start = match first.as_str() {
        "crate" => String::new(),
        "self" => module.to_owned(),
        "super" => parent(module),
        name if sources.contains_key(&child(module, name)) => child(module, name),
        name => {
            // `use anyhow::anyhow` is of another crate.
            let import = sources[module].import(name).filter(|import| import[0] != name)?;
            return resolve(sources, module, &[import, rest].concat(), depth + 1);
        }
    };
    let ups = rest.iter().take_while(|name| *name == "super").count();
    let mut here = (0..ups).fold(start, |here, _| parent(&here));
    for (at, name) in rest.iter().enumerate().skip(ups) {
        if sources.contains_key(&child(&here, name)) {
            here = child(&here, name);
        } else if let Some(import) = sources[&here].import(name) {
            return resolve(sources, &here, &[import, &rest[at + 1..]].concat(), depth + 1);
        } else {
            return Some(End::ItemOf(here));
        }
    }
    Some(End::Module(here))
}

fn child(of: &str, name: &str) -> String {
    if of.is_empty() { name.to_owned() } else { format!("{of}::{name}") }
}

/// Sets of modules of which each uses each other, directly or not.
fn circles(uses: &Uses) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|m| (m.as_str(), reach(uses, m))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (module, reaches) in &reached {
        let is_known = circles.iter().any(|circle| circle.contains(*module));
        if reaches.contains(module) && !is_known {
            let back = reaches.iter().filter(|other| reached[**other].contains(module));
            circles.push(back.map(|other| (*other).to_owned()).collect());
        }
    }
    circles
}

fn reach<'a>(uses: &'a Uses, module: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&str> = uses[module].iter().map(String::as_str).collect();
    while let Some(next) = ahead.pop() {
        if reached.insert(next) {
            ahead.extend(uses[next].iter().map(String::as_str));
        }
    }
    reached
}

#[test]
fn a_circle_is_found_through_re_exports_and_not_through_tests() {
    let parse = |files: &[(&str, &str)]| {
        let sources = files.iter().map(|(name, text)| ((*name).to_owned(), Source::parse(text)));
        circles(&uses(&sources.collect()))
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let folder = ("f", "mod x; pub(crate) use x::{X, Other as Renamed};");
    // Directly, by a path in the text, and through a re-export under another name.
    for other in ["use crate::f::x::X;", "fn f() { crate::f::X::new() }", "use super::f::{Renamed as R};"] {
        let files = [("", "mod f; mod y;"), folder, ("f::x", "use crate::y::Y;"), ("y", other)];
        assert_eq!(parse(&files), [set(&["f::x", "y"])], "{other}");
    }
    let harmless = [
        "#[cfg(test)] mod tests { use crate::f::X; }",
        "#[cfg(test)]\n#[allow(dead)]\nuse crate::f::X; struct Y;",
        "// use crate::f::X;\nconst TEXT: &str = \"crate::f::X\"; const C: char = '\"'; fn f<'a>() {}",
        "/* use crate::f::X; */ const T: &str = r#\"\" crate::f::X\"#;",
        "use other::f::X; use crate::f;",
    ];
    for other in harmless {
        let files = [("", "mod f; mod y;"), folder, ("f::x", "use crate::y::Y;"), ("y", other)];
        assert!(parse(&files).is_empty(), "{other}");
    }
    // The root's re-exports are followed, too, and a folder that was imported is used by paths that begin with it.
    let files = [
        ("", "mod f; mod y; pub use y::Y;"),
        folder,
        ("f::x", "use crate::Y;"),
        ("y", "use crate::f; fn g() { f::X }"),
    ];
    assert_eq!(parse(&files), [set(&["f::x", "y"])]);
    // What `mod.rs` itself defines.
    let files = [
        ("", "mod f;"),
        ("f", "mod x; use x::X; pub(crate) const NAME: &str = X;"),
        ("f::x", "use super::NAME;"),
    ];
    assert_eq!(parse(&files), [set(&["f", "f::x"])]);
}
