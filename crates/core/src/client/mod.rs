//! The client side of the protocol: sends requests, reads responses and decides when to renew a token, without I/O.

mod answer;
mod outgoing;
mod renewal;

pub use answer::{AnswerFault, ReceivedError, read_answer};
pub use outgoing::{ClientAuthentication, Outgoing};
pub use renewal::{Held, NextRequest, Renewal};
