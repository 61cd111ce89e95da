//! Obtains tokens as a client: what to request, how to authenticate, and the tokens that are kept until they have to be renewed.

mod authentication;
mod cache;
mod identity;
mod obtained;
mod options;
mod session;

pub(crate) use obtained::Obtained;
pub(crate) use options::TokenOptions;
pub(crate) use session::Wallet;
