//! Fetches the keys of an issuer once, to say whether they can be used: for `issuer add`, `issuer change` and `check`.

use super::IssuerAccess;
use std::time::Duration;
use tokenberg_core::TrustedIssuer;
use tokenberg_jose::{FetchLimits, IssuerKeySets, PublicKeys};

/// The time limit for fetching one issuer's keys.
const LONGEST: Duration = Duration::from_secs(3);

/// The number of issuers whose keys are fetched concurrently.
const AT_ONCE: usize = 16;

/// The result of a fetch.
pub(crate) struct Tried {
    /// Whether there is a usable key.
    pub(crate) outcome: Outcome,
    /// Each key that is not used, with the reason.
    pub(crate) unused: Vec<String>,
}

/// Whether there is a usable key.
pub(crate) enum Outcome {
    /// The number of usable keys.
    Usable(usize),
    /// No key is usable, for this reason. An operator, here or of the issuer, has to change something.
    Unusable(String),
    /// The issuer could not be reached or could not answer, for this reason.
    Unreachable(String),
}

/// Fetches keys as a server with these settings.
pub(crate) struct Trial(IssuerKeySets);

impl Trial {
    /// # Errors
    /// If the certificates cannot be read.
    pub(crate) fn new(access: &IssuerAccess) -> anyhow::Result<Self> {
        let web = access.web()?;
        let limits = FetchLimits { within: LONGEST, ..FetchLimits::default() };
        // A single fetch reports only its result.
        Ok(Self(IssuerKeySets::new(web, limits, drop)))
    }

    /// Fetches the keys of one issuer; takes 3 s at most.
    pub(crate) fn of(&self, issuer: &TrustedIssuer) -> Tried {
        match self.0.fetched_once(issuer) {
            Ok(keys) => tried(issuer, &keys),
            Err(fault) => {
                let outcome = if fault.is_outage() { Outcome::Unreachable } else { Outcome::Unusable };
                Tried { outcome: outcome(fault.to_string()), unused: Vec::new() }
            }
        }
    }

    /// Fetches the keys of several issuers, in their order.
    pub(crate) fn of_all<'a>(&self, issuers: &[&'a TrustedIssuer]) -> Vec<(&'a TrustedIssuer, Tried)> {
        let mut all = Vec::with_capacity(issuers.len());
        for some in issuers.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let fetches: Vec<_> = some.iter().map(|issuer| scope.spawn(|| self.of(issuer))).collect();
                for (issuer, fetch) in some.iter().zip(fetches) {
                    all.extend(fetch.join().ok().map(|tried| (*issuer, tried)));
                }
            });
        }
        all
    }
}

/// A sentence about each key of a set that is not used, and one about the number of keys that are not listed.
pub(crate) fn unused(keys: &PublicKeys) -> Vec<String> {
    let mut unused: Vec<String> = keys.ignored().iter().map(ToString::to_string).collect();
    if keys.left_out() > 0 {
        unused.push(format!("{} more keys are unusable; they are too many to list", keys.left_out()));
    }
    unused
}

fn tried(issuer: &TrustedIssuer, keys: &PublicKeys) -> Tried {
    let unused = unused(keys);
    let outcome = match (keys.usable_among(issuer.trust.accepted_algorithms()), keys.len(), unused.len()) {
        (0, 0, 0) => Outcome::Unusable("the published key set is empty".to_owned()),
        (0, 0, _) => Outcome::Unusable("the published key set has no usable key".to_owned()),
        (0, others, _) => {
            let names: Vec<&str> =
                issuer.trust.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
            Outcome::Unusable(format!(
                "no key is for an accepted algorithm (--alg {}); keys for other algorithms: {others}",
                names.join(",")
            ))
        }
        (usable, _, _) => Outcome::Usable(usable),
    };
    Tried { outcome, unused }
}
