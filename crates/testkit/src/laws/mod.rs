//! The laws of `docs/delegation.md` as an oracle: the required outcome of an exchange, from the documents and not from the code.
//!
//! [`Model`] keeps the decisions of the operator and the origin of each token. For every request, [`Model::judge`] computes the
//! claims that the result has to have, or the reasons for which it has to be refused. So the laws find tokens that are granted
//! although they may not be, and requests that are refused although they should be granted.
//!
//! The numbers in the reasons are those of the laws in `docs/delegation.md`; `D` and `TX` are those of the conformance page.

mod hook;
mod judge;
mod limits;
mod names;
mod parties;
mod presented;
mod register;
mod request;
mod tokens;

pub use hook::HouseRules;
pub use parties::{Bound, MayAct, Pattern, Principal, Realm};
pub use register::{Change, Credential, Register, Registration, Terms};
pub use request::{Asks, By, Foreign, Presented, Request};
pub use tokens::{Expected, Origin, Token};

/// How far ahead our own clock may have been when a token was issued, in seconds.
const LEEWAY: i64 = 5;
/// How far the clock of a trusted issuer may be from ours, in seconds.
const FOREIGN_LEEWAY: i64 = 5;
/// For how long after its end a token is renewed by the credential of its client, in seconds (D13).
const GRACE: i64 = 24 * 3600;
/// The most actors of a token (TX-54).
const MOST_ACTORS: usize = 5;
/// The most parties with whose tokens a token may have been obtained.
const MOST_ORIGINS: usize = 16;

/// The decisions of the operator, and the origin of each token.
#[derive(Default)]
pub struct Model {
    /// The decisions of the operator.
    pub register: Register,
    /// The tokens that were issued, in their order.
    pub tokens: Vec<Token>,
    /// Whether the embedding program decides, too, by [`HouseRules`].
    pub has_hook: bool,
}
