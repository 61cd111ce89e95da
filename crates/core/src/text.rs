//! Text for people: excerpts of what a client sent, and short names.

pub use crate::types::excerpt::{Excerpt, LONGEST_EXCERPT};
pub use crate::types::short_text::ShortText;
pub use crate::types::subject::is_unsafe_to_display;
