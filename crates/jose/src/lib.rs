//! JOSE with ring: verifies signatures and signs. JWS, JWK and JWA: RFC 7515, 7517, 7518, 7638 and 8037.
//!
//! [`Keyring`] holds our own keys and implements [`tokenberg_core::Keys`], as does [`PublicKeyring`] where the private halves are
//! elsewhere; [`PublicKeys`] holds the keys of another party. [`ClientKey`] signs assertions and proofs of a client.
//! [`generate()`] and [`import()`] make the keys of a keyring. [`IssuerKeySets`] holds the keys of issuers that publish them, and
//! fetches them by a [`Fetch`]: your HTTP client or, with the feature `fetch`, `Web`. Nothing here decides whether a token may be used: no claim is
//! checked, no address comes from a token, and a token never brings its own key or chooses its algorithm.
//!
//! With the feature `aws-lc`, aws-lc-rs makes signatures, in less time; all else is ring's. With `pkcs11`,
//! `Pkcs11` signs with keys that an HSM holds.
//!
//! `jsonwebtoken` gives the types of a JWK and of a header. Its process-wide provider is never used, so that this crate neither
//! depends on nor disturbs one that the embedding program has installed.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]

mod client_key;
mod debug;
mod decoy;
mod ecdsa;
mod ed25519;
mod generate;
mod import;
mod issuer_keys;
mod json_parts;
mod jwk;
mod jwks_reading;
mod key_fault;
mod key_kind;
mod keyring;
mod parsed_sets;
mod pem;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod public_keyring;
mod public_keys;
mod rsa;
mod rsa_strength;
mod signing_key;
mod spki;
mod thumbprint;
mod token_cache;
mod unfit_key;
#[cfg(test)]
mod vectors;
mod verifying_key;
#[cfg(feature = "fetch")]
mod web;

pub use client_key::ClientKey;
pub use generate::generate;
pub use import::import;
pub use issuer_keys::{
    Address, AddressFault, Document, Fetch, FetchEvent, FetchFault, FetchLimits, IssuerKeySets,
    LARGEST_METADATA, Reach,
};
pub use jwks_reading::{JwksFault, LARGEST_JWKS};
pub use key_fault::{KeyFault, KeyFormat};
pub use keyring::Keyring;
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11, Pkcs11Error, Pkcs11Options};
pub use public_keyring::{PublicKeyring, PublicKeyringError};
pub use public_keys::{IgnoredKey, MOST_KEYS, PublicKeys};
pub use signing_key::{public_key_jwk, public_key_pem};
pub use thumbprint::thumbprint;
pub use unfit_key::{Defect, UnfitKey};
#[cfg(feature = "fetch")]
pub use web::{RootsFault, Web};
