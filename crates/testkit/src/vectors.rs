//! Where are the shared vectors? Beside the repository, if at all.

use serde_json::Value;
use std::path::Path;

/// Reads `../shared/vectors/NAME`; says so visibly and returns `None` where that is absent.
///
/// # Panics
/// If the file is there and is not JSON.
#[must_use]
pub fn vectors(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    if let Ok(text) = std::fs::read_to_string(path) {
        return Some(serde_json::from_str(&text).expect("vectors are JSON"));
    }
    println!("skipped: ../shared/vectors/{name} is not here");
    None
}
