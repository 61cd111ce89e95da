//! Obtains tokens as a client: what to request, how to authenticate, and the tokens that are kept until they have to be renewed.

mod authentication;
mod identity;
mod kept;
mod obtained;
mod options;
mod requesting;
mod service;
mod session;
mod state_files;

pub(crate) use obtained::Obtained;
pub(crate) use options::{ServiceOptions, TargetOptions, TokenOptions};
pub(crate) use requesting::Wallet;
pub(crate) use service::{NotObtained, Service};
pub(crate) use session::{Session, SignIn};
