//! The pages, a file for each.

pub(crate) mod clients;
pub(crate) mod decisions;
mod ending;
mod foreign_token;
pub(crate) mod inspector;
pub(crate) mod issuers;
mod key_sets;
pub(crate) mod keys;
pub(crate) mod nodes;
pub(crate) mod overview;
pub(crate) mod request_builder;
pub(crate) mod table;
pub(crate) mod what_if;
