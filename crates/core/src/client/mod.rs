//! How does a client ask, read the answer, and know when to ask again? The other side of the same wire, without I/O.

mod answer;
mod outgoing;
mod renewal;

pub use answer::{AnswerFault, ReceivedError, read_answer};
pub use outgoing::{ClientAuthentication, Outgoing};
pub use renewal::{Held, NextRequest, Renewal};
