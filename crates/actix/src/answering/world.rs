//! The source of the answers: one moment for each request, from the embedding program.

use std::sync::Arc;
use tokenberg_core::Answers;

pub use tokenberg_core::World;

/// A world with the same answers for every request; their content may still change.
pub struct Fixed<A>(Arc<A>);

impl<A: Answers + 'static> Fixed<A> {
    /// The world of these answers.
    pub fn new(answers: A) -> Self {
        Self(Arc::new(answers))
    }
}

impl<A: Answers + 'static> From<Arc<A>> for Fixed<A> {
    fn from(answers: Arc<A>) -> Self {
        Self(answers)
    }
}

impl<A: Answers + 'static> World for Fixed<A> {
    type Moment = A;

    fn now(&self) -> Arc<A> {
        Arc::clone(&self.0)
    }
}
