//! The command `tokenberg`. Exit code 0: done; 1: refused; 2: wrong usage.
#![forbid(unsafe_code)]
#![allow(rustdoc::bare_urls, reason = "what documents an argument is its help on a terminal")]

mod arguments;
mod blocking;
mod clock;
mod commands;
mod common;
mod configuration;
mod descriptors;
mod device;
mod duration;
mod exposed_files;
mod failure;
mod help;
mod input;
mod issuer_keys;
mod issuer_names;
mod log_floods;
mod logging;
mod moment_text;
mod one_request;
mod output;
mod pasted;
mod published;
mod roots;
mod server;
mod sign_in;
mod store_access;
#[cfg(feature = "otlp")]
mod traces;
mod wallet;
mod web;

use std::process::ExitCode;
use tokenberg_service::key_state;

fn main() -> ExitCode {
    let done = arguments::parse().and_then(|(arguments, configuration)| {
        commands::run(&arguments.common, arguments.command, configuration)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
