//! The steps of a token request: a question, and at the end the signature.

use super::question::Question;
use super::sign::Sign;

/// What has to be done before the request gets any further.
///
/// Exhaustive on purpose: an adapter that leaves one out does not compile.
#[must_use = "a request makes no progress until its step is answered"]
pub enum Step {
    /// Answer this.
    Ask(Question<Self>),
    /// Sign this: the last question.
    Sign(Sign),
}

impl From<Question<Self>> for Step {
    fn from(question: Question<Self>) -> Self {
        Self::Ask(question)
    }
}
