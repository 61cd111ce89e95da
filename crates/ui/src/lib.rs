//! The page on which an operator sees health, decisions, clients, issuers and keys, in HTML that needs no script.
//!
//! ```text
//! operations listener ── /ui ─> access (who may look) ─> pages ─> Store, metrics, readiness (what is shown)
//! ```
//!
//! The page only reads: where something should be changed, it shows the command. It is opened with a code that `tokenberg ui`
//! prints, or with a token that has the scope [`SCOPE`].
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]

mod access;
mod chart;
mod frame;
mod pages;
mod parts;
mod record;
mod samples;
mod search;
mod sessions;
mod shown;
mod ui;

pub use access::SCOPE;
pub use ui::Ui;
