//! What can be asked of an adapter, by every endpoint alike? The questions, and how each is answered from memory.

use super::find_client::{DigestSecret, FindClient};
use super::find_issuer::FindIssuer;
use super::read_token::ReadToken;
use super::recall::{Recall, RecallSubject};
use super::use_once::UseOnce;
use super::verify_proof::VerifyProof;
use super::verify_token::VerifyToken;

/// A question of the flow to its adapter; `S` is the step that its answer leads to.
///
/// Exhaustive on purpose: an adapter that does not answer a question does not compile.
#[must_use = "a request makes no progress until its question is answered"]
pub enum Question<S> {
    /// Who is registered under this identifier?
    FindClient(FindClient<S>),
    /// What would this secret be stored as?
    DigestSecret(DigestSecret<S>),
    /// Is this issuer on the list of trusted ones?
    FindIssuer(FindIssuer<S>),
    /// What does this token say, if it is ours?
    ReadToken(ReadToken<S>),
    /// Is this signature good?
    VerifyToken(VerifyToken<S>),
    /// Is this proof of possession made with the key that it carries?
    VerifyProof(VerifyProof<S>),
    /// What is known now about this token of ours?
    Recall(Recall<S>),
    /// What is known now about this subject of another issuer?
    RecallSubject(RecallSubject<S>),
    /// Was this used before?
    UseOnce(UseOnce<S>),
}

/// A step of an endpoint: what can be asked on the way to its end.
pub trait Asks: From<Question<Self>> + Sized {}

impl<S: From<Question<S>>> Asks for S {}
