//! Checks that no library changes the process that it is used in; `examples/existing_host` checks the same from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeSet;
use std::path::Path;

/// The crates that other programs use.
const LIBRARIES: [&str; 6] = ["core", "jose", "store", "actix", "ui", "service"];

/// What lives as long as the process or the thread. Each is invisible: nothing is configured by it, and nothing depends on which
/// service of the process came first.
const ALLOWED: [(&str, &str); 8] = [
    // Whether a worker makes a signature now, and how many it hands to others.
    ("actix/src/answering/compute_pool/mod.rs", "static COMPUTES: Cell<bool> = const { Cell::new(false) };"),
    ("actix/src/answering/compute_pool/mod.rs", "static ELSEWHERE_LEFT: Cell<u32> = const { Cell::new(0) };"),
    // Constants that are parsed once.
    ("jose/src/decoy.rs", "pub(crate) static DECOY_KEY: LazyLock<Option<Arc<VerifyingKey>>> ="),
    (
        "actix/src/endpoint/reply.rs",
        "static PRIVATE: LazyLock<[(HeaderName, HeaderValue); Reply::PRIVATE.len()]> = LazyLock::new(|| {",
    ),
    // A number for each request of the process, and the key that hides it in the name of a request.
    ("actix/src/endpoint/request_id.rs", "static REQUESTS: AtomicU64 = AtomicU64::new(0);"),
    (
        "actix/src/endpoint/request_id.rs",
        "static NAMES: LazyLock<RandomState> = LazyLock::new(RandomState::new);",
    ),
    // Buffers of a thread: random bits from the system, and the text of a record.
    (
        "actix/src/answering/random_bits.rs",
        "static BITS: RefCell<Bits> = const { RefCell::new(Bits { fetched: [0; EACH * AT_ONCE], left: 0 }) };",
    ),
    ("store/src/audit/queue.rs", "static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };"),
];

/// Calls that change a process for all of its parts: providers of cryptography, panic hooks, signals, loggers, the environment.
const OF_THE_PROCESS: [&str; 14] = [
    "install_default",
    "set_hook(",
    "take_hook(",
    "ctrl_c",
    "signal::unix",
    "set_global_default",
    "set_logger",
    "set_boxed_logger",
    ".try_init(",
    "set_var(",
    "remove_var(",
    "set_current_dir",
    "process::exit",
    "setrlimit",
];

fn read(folder: &Path, lines: &mut Vec<(String, String)>) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.ends_with("tests.rs");
        if path.is_dir() {
            read(&path, lines);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
            let name = path.strip_prefix(crates).unwrap().display().to_string();
            let of_code = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
            lines.extend(of_code.map(|line| (name.clone(), line.to_owned())));
        }
    }
}

#[test]
fn libraries_hold_no_state_of_the_process_and_change_none() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut lines = Vec::new();
    for library in LIBRARIES {
        read(&crates.join(library).join("src"), &mut lines);
    }
    assert!(lines.len() > 10_000, "the sources were read");
    let is_static = |line: &str| {
        let declared = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
        declared.strip_prefix("static ").is_some_and(|rest| rest.contains(": "))
    };
    let statics: BTreeSet<(&str, &str)> =
        lines.iter().filter(|(_, line)| is_static(line)).map(|(name, line)| (&**name, &**line)).collect();
    assert_eq!(
        statics,
        BTreeSet::from(ALLOWED),
        "state of the process: pass it as a value, or give the reason above"
    );
    for (name, line) in &lines {
        let found = OF_THE_PROCESS.iter().find(|call| line.contains(**call));
        assert!(found.is_none(), "{name}: {line}: that is up to the program");
    }
}
