//! What a token says: the claims of ours, and the parts that they consist of.

pub use crate::types::actor::Actor;
pub use crate::types::claim_fault::{ClaimFault, Defect};
pub use crate::types::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims};
pub use crate::types::confirmation::{Confirmation, Possession, Thumbprint};
pub use crate::types::extra_claims::{ExtraClaims, TooManyClaims};
pub use crate::types::participants::Participant;
pub use crate::types::provenance::{MOST_ORIGINS, MayAct, Origin, Provenance};
pub use crate::types::scope::{CATALOG, Scope, ScopeError};
pub use crate::types::session::{Session, UNSECURED};
pub use crate::types::single_use_id::SingleUseId;
pub use crate::types::subject::{Subject, SubjectError};
pub use crate::types::target::{Target, TargetError};
pub use crate::types::token_id::TokenId;
pub use crate::types::token_type::{TokenType, TypedToken};
