//! The operator's decision about a subject, whatever its token says.

use super::namesake::Namesake;
use super::time::Timestamp;

/// What is known now about a subject that is no client of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectStatus {
    /// Whether the operator has disabled it.
    pub disabled: bool,
    /// Tokens for it from before this time were revoked.
    pub revoked_before: Option<Timestamp>,
    /// Tokens for every subject of its issuer from before this time were revoked.
    pub issuer_revoked_before: Option<Timestamp>,
    /// The principal that catalogs would confuse it with.
    pub namesake: Option<Namesake>,
}
