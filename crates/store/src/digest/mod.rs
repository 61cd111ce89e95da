//! Client secrets: how they are generated, and the digests that are stored of them.

mod client_secret;
mod digester;
mod verified_secrets;

pub use client_secret::{CopiedSecretFault, NewSecret, SecretFault, SecretStrength, copy_fault};
pub(crate) use client_secret::{check, generate};
pub(crate) use digester::{Digester, Quick, derived_key, new_pepper};
pub(crate) use verified_secrets::VerifiedSecrets;
