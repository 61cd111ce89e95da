//! The client side of the protocol: sends requests, reads responses and decides when to renew a token, without I/O.

mod answer;
mod claims;
mod introspection;
mod outgoing;
mod renewal;

pub use answer::{AnswerFault, ReceivedError, read_answer};
pub use claims::{assertion_claims, proof_claims};
pub use introspection::{ActiveToken, Introspected, introspect, read_introspection};
pub use outgoing::{ClientAuthentication, Outgoing};
pub use renewal::{Held, NextRequest, Renewal};
