//! Why is this no signing key? Conformance KS-07: the fault names the key, never its content.

use crate::unfit_key::UnfitKey;
use tokenberg_core::{Algorithm, KeyId, NotForSigning};

/// Why a key cannot be made, imported or used. It is the operator's to repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// One key of the store, and what is wrong with it.
    #[error("key {key}: {fault}")]
    Stored {
        /// The name it is stored under.
        key: KeyId,
        /// What is wrong.
        fault: Box<KeyFault>,
    },
    /// Two keys of one name.
    #[error("it is there twice")]
    Twice,
    /// The name is not the RFC 7638 thumbprint of the public key.
    #[error("its name is not the thumbprint of its public key, {thumbprint}")]
    Name {
        /// What it should be called.
        thumbprint: KeyId,
    },
    /// The private key does not parse, or not as one of this algorithm. The text is ring's, a fixed word.
    #[error("the private key is no PKCS#8 key for {algorithm} ({reason})")]
    Rejected {
        /// The algorithm it was read for.
        algorithm: Algorithm,
        /// Which of its checks failed.
        reason: Box<str>,
    },
    /// Well-formed, but not of a strength or form that we use.
    #[error(transparent)]
    Unfit(#[from] UnfitKey),
    /// The algorithm that was asked for needs another kind of key.
    #[error("this kind of key is for {kind}, not for {asked}")]
    Algorithm {
        /// What the key can be used with.
        kind: &'static str,
        /// What was asked for.
        asked: Algorithm,
    },
    /// An algorithm of others, which our own keys do not sign with.
    #[error("a key of ours cannot be for {0}: {reason}", reason = NotForSigning)]
    VerifyOnly(Algorithm),
    /// Not in the one form that is read.
    #[error(transparent)]
    Format(#[from] KeyFormat),
    /// RSA keys are not made here.
    #[error(
        "RSA keys cannot be generated here; make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem` \
         and import it"
    )]
    RsaGeneration,
    /// The system's random source failed.
    #[error("the system gave no random bits")]
    Random,
}

/// In which form the bytes of an import were, if not in ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormat {
    /// Encrypted PKCS#8 or an encrypted older form.
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
    /// The form of OpenSSH.
    #[error("this is an OpenSSH key; convert a copy of it with `ssh-keygen -p -m PKCS8 -f key`")]
    OpenSsh,
    /// A certificate or a public key.
    #[error("there is no private key in it")]
    NotPrivate,
    /// More than one private key.
    #[error("there is more than one private key in it")]
    Several,
    /// PKCS#8, but of a kind that we do not sign with.
    #[error(
        "the key is none of P-256, P-384, Ed25519 and RSA (for PS256 too, a key made by `-algorithm RSA`)"
    )]
    Kind,
    /// None of all these.
    #[error("this is no PKCS#8 private key, neither PEM (`BEGIN PRIVATE KEY`) nor DER")]
    Unknown,
}
