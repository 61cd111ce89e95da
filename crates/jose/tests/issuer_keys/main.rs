//! When are an issuer's keys asked for, and which verify? Conformance KS-06, JW-25, WL-03, WL-06 and WL-13, with a clock in the hand.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

mod asking;
mod ceasing;
mod finding;
mod lenient;
mod rotating;
mod world;
