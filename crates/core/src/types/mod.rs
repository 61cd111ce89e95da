//! Validated values: one grammar, one door, one file each.

pub(crate) mod actor;
pub(crate) mod algorithm;
pub(crate) mod claims;
pub(crate) mod client_id;
pub(crate) mod compact_jws;
pub(crate) mod confirmation;
pub(crate) mod dpop_proof;
pub(crate) mod entropy;
pub(crate) mod federation;
pub(crate) mod issuer;
pub(crate) mod json;
pub(crate) mod key_material;
pub(crate) mod peer_certificate;
pub(crate) mod registration;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod spiffe_id;
pub(crate) mod subject;
pub(crate) mod subject_pattern;
pub(crate) mod target;
pub(crate) mod time;
pub(crate) mod token_type;
pub(crate) mod trusted_issuer;
pub(crate) mod unsecured_jwt;
pub(crate) mod user_pattern;
