//! Reports what an issuer publishes when it is registered, so that unusable keys are found before a user needs them.

use crate::failure::warn;
use crate::issuer_keys::{IssuerAccess, Outcome, Trial};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_core::{Issuer, KeySource, Trust, TrustedIssuer};

/// Whether and how the keys are fetched once.
#[derive(Clone, Debug, Args)]
pub(super) struct Trying {
    /// Do not fetch and check its published keys now
    #[arg(long, visible_alias = "offline")]
    no_fetch: bool,

    #[command(flatten)]
    access: IssuerAccess,
}

impl Trying {
    /// The trial that fetches the keys; `None` if there is no key to fetch.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub(super) fn trial(&self) -> anyhow::Result<Option<Trial>> {
        if self.no_fetch { Ok(None) } else { Trial::new(&self.access).map(Some) }
    }
}

/// The findings about the published keys.
#[derive(Default)]
pub(super) struct Found {
    usable: Option<usize>,
    unused: Vec<String>,
}

impl Found {
    /// The findings for people, appended to the result of the command.
    pub(super) fn sentence(&self) -> String {
        match self.usable {
            None | Some(0) => String::new(),
            Some(1) => "; 1 of its published keys is usable".to_owned(),
            Some(usable) => format!("; {usable} of its published keys are usable"),
        }
    }

    /// The result for programs: `null` if nothing was fetched.
    pub(super) fn usable(&self) -> Value {
        json!(self.usable)
    }

    /// The unused keys for programs.
    pub(super) fn unused(&self) -> Value {
        json!(self.unused)
    }
}

/// Fetches the keys, if they are published, and warns of problems. The registration stays in any case.
pub(super) fn report(trial: Option<&Trial>, issuer: &Issuer, trust: &Trust) -> Found {
    let Some(trial) = trial else { return Found::default() };
    match &trust.keys {
        // These were read from a file, and reported.
        KeySource::Jwks(_) => return Found::default(),
        KeySource::JwksUri(_) | KeySource::Discovery => {}
    }
    let trusted = TrustedIssuer { issuer: issuer.clone(), enabled: true, trust: trust.clone() };
    let tried = trial.of(&trusted);
    for unused in &tried.unused {
        warn(unused);
    }
    let usable = match tried.outcome {
        Outcome::Usable(usable) => Some(usable),
        Outcome::Unusable(reason) => {
            warn(&format!(
                "no published key of {issuer} is usable, and requests with its tokens are answered 503 until one is: {reason}; \
                 `tokenberg check` fetches the keys again"
            ));
            Some(0)
        }
        Outcome::Unreachable(reason) => {
            warn(&format!(
                "the keys of {issuer} cannot be fetched now, and requests with its tokens are answered 503 until they can: {reason}; \
                 `tokenberg check` tries again"
            ));
            None
        }
    };
    Found { usable, unused: tried.unused }
}
