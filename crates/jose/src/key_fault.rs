//! Why a signing key cannot be made, imported or used. The fault names the key, never its content: conformance KS-07.

use crate::unfit_key::UnfitKey;
use tokenberg_core::jws::{Algorithm, KeyId, NotForSigning};

/// Why a key cannot be made, imported or used. The operator has to repair it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A key in the store, and what is wrong with it.
    #[error("key {key}: {fault}")]
    Stored {
        /// The name it is stored under.
        key: KeyId,
        /// What is wrong.
        fault: Box<KeyFault>,
    },
    /// Two keys of one name.
    #[error("it is stored twice")]
    Twice,
    /// The name is not the RFC 7638 thumbprint of the public key.
    #[error("its name is not the thumbprint of its public key, {thumbprint}")]
    Name {
        /// The right name.
        thumbprint: KeyId,
    },
    /// The private key does not parse, or not as one of this algorithm. The text is ring's, a fixed word.
    #[error("the private key is no PKCS#8 key for {algorithm} ({reason})")]
    Rejected {
        /// The expected algorithm.
        algorithm: Algorithm,
        /// The check that failed, in ring's words.
        reason: Box<str>,
    },
    /// Well-formed, but of a strength or form that is not accepted.
    #[error(transparent)]
    Unfit(#[from] UnfitKey),
    /// The requested algorithm needs another kind of key.
    #[error("this kind of key is for {kind}, not for {requested}")]
    Algorithm {
        /// What the key can be used with.
        kind: &'static str,
        /// The requested algorithm.
        requested: Algorithm,
    },
    /// An algorithm that is accepted from issuers only; our own keys do not sign with it.
    #[error("our own keys cannot use {0}: {reason}", reason = NotForSigning)]
    VerifyOnly(Algorithm),
    /// Not in the accepted format.
    #[error(transparent)]
    Format(#[from] KeyFormat),
    /// RSA keys are not generated here.
    #[error(
        "RSA keys cannot be generated here; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem` \
         and import it"
    )]
    RsaGeneration,
    /// The system's random source failed.
    #[error("the system gave no random bits")]
    Random,
}

/// The format of an imported file, if it is not the accepted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormat {
    /// Encrypted PKCS#8 or an older encrypted format.
    #[error(
        "the private key is encrypted; decrypt it with `openssl pkey -in key.pem -out plain.pem` and import that"
    )]
    Encrypted,
    /// RFC 8017 A.1.2, `RSA PRIVATE KEY`.
    #[error(
        "this is a PKCS#1 key; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem`"
    )]
    Pkcs1,
    /// RFC 5915, `EC PRIVATE KEY`.
    #[error("this is a SEC1 key; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem`")]
    Sec1,
    /// The format of OpenSSH.
    #[error("this is an OpenSSH key; convert a copy of it with `ssh-keygen -p -m PKCS8 -f key`")]
    OpenSsh,
    /// A certificate or a public key.
    #[error("it contains no private key")]
    NotPrivate,
    /// More than one private key.
    #[error("it contains more than one private key")]
    Several,
    /// PKCS#8, but of a kind of key that is not supported.
    #[error(
        "the key is not P-256, P-384, Ed25519 or RSA (for PS256 too, use a key made by `-algorithm RSA`)"
    )]
    Kind,
    /// None of these.
    #[error("this is not a PKCS#8 private key, neither PEM (`BEGIN PRIVATE KEY`) nor DER")]
    Unknown,
}
