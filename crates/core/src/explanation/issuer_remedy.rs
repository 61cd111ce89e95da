//! What would have to change for a token to be accepted whose issuer is not registered, or is registered with other terms.

use super::command::{fit, quoted};
use super::findings::{Findings, Searched};
use super::issuer_change;
use crate::refusal::IssuerRule;
use crate::{Issuer, Policy};

/// A sentence without its end, about what is called `token`.
pub(super) fn of(rule: &IssuerRule, token: &str, found: &Findings<'_>, policy: &Policy) -> String {
    let searched = found.searched.filter(|searched| fit(searched.issuer).is_some());
    match (rule, searched) {
        (IssuerRule::InsecureHttp, _) => match found.issuer {
            Some(known) => {
                format!(
                    "for a trial, `{}`; otherwise its issuer has to be https",
                    issuer_change::insecure_http(&known.issuer)
                )
            }
            None => format!("the issuer of {token} has to be https"),
        },
        (IssuerRule::Trusted | IssuerRule::TrustDomain, Some(searched)) => another_issuer(&searched, token),
        (IssuerRule::Ours(_) | IssuerRule::Trusted | IssuerRule::TrustDomain, _) => format!(
            "the client has to send a token of this server, {}, or of a trusted issuer; the operator has to compare --issuer",
            policy.issuer
        ),
    }
}

/// What is to be done about a token of an issuer that is not registered, perhaps because of its spelling.
fn another_issuer(searched: &Searched<'_>, token: &str) -> String {
    let Ok(issuer) = Issuer::foreign(searched.issuer) else {
        let near = searched.near.map_or_else(String::new, |near| format!(", such as {}", near.issuer));
        return format!("the issuer of {token} has to write its whole URL in iss{near}");
    };
    let Some(near) = searched.near else {
        let accept = searched.presented_as.map_or_else(String::new, |used_as| format!(" --accept {used_as}"));
        let name = quoted(issuer.as_str());
        return if issuer.is_spiffe() {
            format!("the operator has to trust it: tokenberg issuer add {name} --jwks FILE{accept}")
        } else if issuer.is_plain_http() {
            format!(
                "its issuer has to be https; for a trial, `tokenberg issuer add {name} --discover{accept} --insecure-http`"
            )
        } else {
            format!("if it is trusted: `tokenberg issuer add {name} --discover{accept}`")
        };
    };
    let known = &near.issuer;
    let question = format!(
        "did you mean {known}? That issuer is registered, and iss has to be equal to it character by character; {issuer} differs {}. The issuer has to write {known} in iss",
        difference(known.as_str(), issuer.as_str())
    );
    if issuer.is_plain_http() && !near.trust.insecure_http {
        return question;
    }
    // Names within a prefix are those of the issuer that was registered first.
    let remove =
        near.trust.subject_prefix.as_ref().map_or_else(String::new, |_| {
            format!("`tokenberg issuer remove {}` and ", quoted(known.as_str()))
        });
    let add = issuer_change::add(&issuer, &near.trust);
    format!(
        "{question}; or, if {issuer} is the issuer in its metadata, the operator has to register it by that name: {remove}{add}"
    )
}

/// In what two similar identifiers differ, as the end of a sentence.
fn difference(known: &str, found: &str) -> &'static str {
    if known.trim_end_matches('/') == found.trim_end_matches('/') {
        "by a slash at its end"
    } else if known.eq_ignore_ascii_case(found) {
        "in upper and lower case"
    } else if known.split_once(':').map(|(_, rest)| rest) == found.split_once(':').map(|(_, rest)| rest) {
        "in the scheme"
    } else {
        "in its spelling"
    }
}
