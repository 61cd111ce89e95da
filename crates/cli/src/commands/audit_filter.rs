//! The options that select records of the audit; conformance SE-06.

use crate::configuration::nearest;
use clap::Args;
use tokenberg_core::Outcome;
use tokenberg_store::AuditSelection;

/// Which records are selected: those that match every given option.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only records of this client: its requests, requests about its tokens, and changes of it
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,

    /// Only records of this subject, by its name in tokens or by its issuer's name for it; also as an actor
    #[arg(long, value_name = "SUB")]
    pub(super) subject: Option<String>,

    /// Only records of this issuer: of its users, of tokens that claim to be from it, and changes of it
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<String>,

    /// Only decisions with this outcome: granted, active, inactive, revoked, an error code such as invalid_client, or `refused`
    /// for every error code
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub(super) outcome: Option<String>,

    /// Only records of this request: its ID, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<String>,
}

fn outcome(text: &str) -> Result<String, String> {
    let known = || Outcome::all().map(Outcome::as_str).chain([AuditSelection::REFUSED]);
    if known().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let meant = nearest(text, known()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    Err(format!("expected {}{meant}", known().collect::<Vec<_>>().join(", ")))
}

impl Filter {
    /// The granted requests of everything that the options name.
    pub(super) fn granted(self) -> Self {
        Self { outcome: Some(Outcome::Granted.as_str().to_owned()), ..self }
    }

    /// The records of everything that the options name.
    pub(super) fn selection(self) -> AuditSelection {
        let Self { client, subject, issuer, outcome, request } = self;
        let [client, subject, issuer, outcome, request] =
            [client, subject, issuer, outcome, request].map(|option| option.map(String::into_boxed_str));
        AuditSelection { client, subject, issuer, outcome, request, ..AuditSelection::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_outcome_is_answered_with_the_nearest() {
        assert!(outcome("grantd").unwrap_err().contains("did you mean `granted`?"));
        assert_eq!(outcome("refused").as_deref(), Ok("refused"));
    }
}
