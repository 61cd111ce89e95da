//! Which kinds of JWT are accepted, and where: RFC 8725 §3.11 and §3.12, RFC 8417, RFC 9701; conformance TX-06 and JW-38.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod announcing;
mod doors;
mod providers;
