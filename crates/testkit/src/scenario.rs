//! Situations of many tests: the tokens of the conformance fixture, and requests with them.

use crate::{Answer, Ask, ISSUER, World};

/// The access token of `c1` that the conformance fixture calls AT1: scope `catalog ns:read`.
///
/// # Panics
/// If it is refused.
#[must_use]
pub fn at1(world: &mut World) -> String {
    world.token("c1", "s1-Z7", "catalog ns:read")
}

/// AT2: the access token of `c2`, scope `catalog`.
///
/// # Panics
/// If it is refused.
#[must_use]
pub fn at2(world: &mut World) -> String {
    world.token("c2", "s2-Q4", "catalog")
}

/// Authenticated as `c1`, by Basic.
#[must_use]
pub fn by_c1(ask: Ask) -> Ask {
    ask.basic("c1", "s1-Z7")
}

/// Authenticated as `c2`, by Basic.
#[must_use]
pub fn by_c2(ask: Ask) -> Ask {
    ask.basic("c2", "s2-Q4")
}

/// `c2` may act for the client `c1`.
pub fn let_c2_act_for_c1(world: &mut World) {
    world.change("c2", |c2| c2.rights_mut().may_act_for = vec![format!("{ISSUER}|c1").parse().unwrap()]);
}

/// The actors of the token that was granted, the present one first.
///
/// # Panics
/// If it is refused.
#[must_use]
pub fn chain(answer: &Answer) -> Vec<String> {
    let actor = answer.claims().actor.as_ref();
    actor.map(|a| a.chain().map(|a| a.subject.to_string()).collect()).unwrap_or_default()
}
