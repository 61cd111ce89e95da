//! Reads the shared vectors beside the repository, if they exist.

use serde_json::Value;
use std::path::Path;

/// Reads `../shared/vectors/NAME`; prints a line and returns `None` if it is absent.
///
/// # Panics
/// If the file exists and is not JSON.
#[must_use]
pub fn vectors(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    if let Ok(text) = std::fs::read_to_string(path) {
        return Some(serde_json::from_str(&text).expect("vectors are JSON"));
    }
    println!("skipped: ../shared/vectors/{name} does not exist");
    None
}
