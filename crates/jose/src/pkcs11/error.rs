//! Why a device did not sign, or a key in it cannot be used. No error has the PIN.

use crate::key_fault::KeyFault;
use std::path::PathBuf;

/// Why a device did not sign, or a key in it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// The module cannot be loaded or initialized.
    #[error("cannot load the PKCS#11 module {path}: {reason}", path = path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// No slot has a token with this label.
    #[error("no token has the label {label:?}; the module has these: {present}")]
    NoToken {
        /// The label.
        label: Box<str>,
        /// The labels of the tokens that are there.
        present: String,
    },
    /// The token does not accept the PIN. It is not presented again, since a token locks itself after a few wrong ones.
    #[error(
        "the token {label:?} refuses the PIN ({reason}); correct it and start again, before further attempts lock the token"
    )]
    Pin {
        /// The label of the token.
        label: Box<str>,
        /// The code of the module.
        reason: String,
    },
    /// The token has no such private key.
    #[error("the device has no private key {0}")]
    NoKey(Box<str>),
    /// More than one private key has this name.
    #[error("the device has {count} private keys {uri}; name one by its id as well, as in {uri};id=%01")]
    SeveralKeys {
        /// The name.
        uri: Box<str>,
        /// The number of keys.
        count: usize,
    },
    /// The private key has no public half beside it, of the same CKA_ID.
    #[error(
        "the device has no public key beside the private key {0}: import it into the device, under the same id"
    )]
    NoPublicKey(Box<str>),
    /// The key cannot sign our tokens.
    #[error("the key {uri}: {fault}")]
    Unfit {
        /// The name.
        uri: Box<str>,
        /// The cause.
        fault: KeyFault,
    },
    /// A signature by the private key does not verify with the public key beside it.
    #[error("the public key beside the private key {0} is that of another key")]
    Mismatch(Box<str>),
    /// The text is not the name of a key in this token.
    #[error(
        "{0:?} is not the name of a key in the token, such as pkcs11:object=LABEL or pkcs11:object=LABEL;id=%01 (RFC 7512)"
    )]
    Uri(Box<str>),
    /// More requests wait for the device than it can answer soon.
    #[error("{0} requests wait for the device already")]
    Busy(usize),
    /// The thread that would have signed could not be started, or has ended.
    #[error("no thread for the device: {0}")]
    Thread(&'static str),
    /// A function of the module failed.
    #[error("{what}: {reason}")]
    Call {
        /// What was attempted.
        what: &'static str,
        /// The function and its code.
        reason: String,
    },
}
