//! The decisions of an embedding program, for the model and for the core: some tokens are denied, some narrowed, all get a claim.

use super::Model;
use super::request::Reason;
use super::tokens::Expected;
use serde_json::{Map, json};
use tokenberg_core::flow::{GrantHook, Proposal, Verdict};
use tokenberg_core::token::ExtraClaims;

/// The hook of histories that have one.
#[derive(Clone, Copy, Debug)]
pub struct HouseRules;

/// The most actors of a token.
const MOST_ACTORS: usize = 3;

/// What it takes from tokens with an actor.
const NOT_FOR_ACTORS: &str = "ns:write";

/// The only client that gets no token for a user of this name.
const NOT_FOR: (&str, &str) = ("lake", "alice");

/// What the hook adds: which clients obtained the token, and with how many actors.
fn added(client: &str, actors: usize) -> (String, usize) {
    (format!("by {client}"), actors)
}

fn denies(client: &str, sub: &str, actors: usize) -> bool {
    actors > MOST_ACTORS || (client, sub) == NOT_FOR
}

impl GrantHook for HouseRules {
    fn decide(&self, proposal: &Proposal<'_>) -> Verdict {
        let claims = proposal.claims;
        let (client, actors) =
            (claims.client_id.as_str(), claims.actor.iter().flat_map(|a| a.chain()).count());
        if denies(client, claims.subject.as_str(), actors) {
            return Verdict::deny("house rules");
        }
        let (name, value) = added(client, actors);
        let extra = ExtraClaims::new(Map::from_iter([(name, json!(value))])).expect("they are short");
        let within = claims.scope.tokens().filter(|token| actors == 0 || *token != NOT_FOR_ACTORS);
        // It names what no party may have, too: a verdict never adds to a scope.
        let within: Vec<&str> = within.chain(["admin"]).collect();
        Verdict::narrow(within.join(" ").parse().expect("a scope")).with_claims(extra)
    }
}

impl Model {
    /// Applies the hook, if there is one: it may only restrict what the laws allow, and what it added is kept.
    pub(super) fn by_hook(&self, mut expected: Expected) -> Result<Expected, Reason> {
        if !self.has_hook {
            return Ok(expected);
        }
        let (client, actors) = (expected.client, expected.chain.len());
        if denies(client, &expected.sub, actors) {
            return Err("the hook denies it");
        }
        if actors > 0 {
            expected.scope.remove(NOT_FOR_ACTORS);
        }
        if expected.scope.is_empty() {
            return Err("the hook leaves no scope");
        }
        expected.extra.extend([added(client, actors)]);
        Ok(expected)
    }
}
