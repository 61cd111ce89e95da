//! Signs a person in at an OpenID provider, for an ID token: in a browser on this machine, or with a code on any device.

mod browser;
mod callback;
mod device;
mod pages;
mod provider;
mod redirect;
mod response;

pub(crate) use browser::{WithBrowser, with_browser};
pub(crate) use callback::Visitor;
pub(crate) use device::with_device;
pub(crate) use provider::{Person, Provider};
pub(crate) use redirect::{DEFAULT as DEFAULT_REDIRECT_URI, parse as redirect_uri};
