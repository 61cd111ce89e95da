//! Issuers: our own, and those whose tokens are accepted.

pub use crate::types::issuer::{Issuer, IssuerError};
pub use crate::types::namesake::Namesake;
pub use crate::types::scope_mapping::{ScopeMapping, ScopeMappingError};
pub use crate::types::subject_names::{
    LONGEST_SUBJECT_PREFIX, SubjectNames, prefixes_overlap, suggested_prefix,
};
pub use crate::types::trusted_issuer::{AcceptedAs, KeySource, LONGEST_MAX_AGE, Trust, TrustedIssuer};
