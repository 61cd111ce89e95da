//! Checks single use of identifiers, RFC 7523 §3 and RFC 9449 §11.1. It is the last check before a request is granted.

use crate::refusal::Refusal;
use crate::token::SingleUseId;

/// Asks whether this identifier was used before. The answer uses it up, durably and for all nodes, so it is the last question: a request
/// that would be refused anyway does not use up an identifier.
pub struct UseOnce<S> {
    once: SingleUseId,
    replayed: fn(&SingleUseId) -> Refusal,
    then: Box<dyn FnOnce() -> Result<S, Refusal> + Send>,
}

impl<S> UseOnce<S> {
    pub(super) fn new(
        once: SingleUseId,
        replayed: fn(&SingleUseId) -> Refusal,
        then: impl FnOnce() -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { once, replayed, then: Box::new(then) }
    }

    /// The identifier, and for how long it has to be remembered.
    #[must_use]
    pub fn once(&self) -> &SingleUseId {
        &self.once
    }

    /// Why the request is refused if it was used before.
    pub(crate) fn replayed(&self) -> Refusal {
        (self.replayed)(&self.once)
    }

    /// Answers whether this was the first use.
    ///
    /// # Errors
    /// A [`Refusal`] if it was not, or if the rest is refused without further questions.
    pub fn used(self, is_first: bool) -> Result<S, Refusal> {
        if is_first { (self.then)() } else { Err(self.replayed()) }
    }
}
