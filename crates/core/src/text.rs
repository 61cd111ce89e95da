//! Text for people: excerpts of what a client sent, and short names.

pub use crate::types::excerpt::{Excerpt, LONGEST_EXCERPT};
pub use crate::types::short_text::ShortText;
pub use crate::types::subject::is_unsafe_to_display;

/// The last boundary of a character at `index` or before, as `str::floor_char_boundary` of Rust 1.91.
pub(crate) fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}
