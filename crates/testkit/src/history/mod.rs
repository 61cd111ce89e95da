//! Histories: requests, renewals, exchanges, revocations and changes in any order, each held to the laws of delegation.
//!
//! An [`Event`] is read from bytes, so that random tests, a fuzzer and a walk over a real server play the same histories. A
//! [`Player`] plays them on a [`Site`] and compares each answer with what the [`Model`](crate::laws::Model) says.

mod aiming;
mod around;
mod asking;
mod cast;
mod changing;
mod checking;
mod choosing;
mod decision;
mod event;
mod on_world;
mod player;
mod reached;
mod site;

pub use cast::{
    AUDIENCES, CERTIFICATES, CLIENTS, IDP, ISSUERS, NAMESAKE, Q, Tempo, WATCH, registration, terms,
};
pub use decision::{Decision, Right};
pub use event::{Acting, Choice, EVENT_LENGTH, Event, User};
pub use on_world::{History, OnWorld};
pub use player::{Keys, Player, Tally};
pub use site::{Introspected, Outcome, Reply, Site};
