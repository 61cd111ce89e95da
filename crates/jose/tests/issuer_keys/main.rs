//! When an issuer's keys are fetched, and which verify, with a clock under control: KS-06, JW-25, WL-03, WL-06 and WL-13.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

mod ceasing;
mod discovery;
mod fetching;
mod lenient;
mod rotating;
mod world;
