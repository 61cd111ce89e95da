//! Commands that register a right which was missing: to act for a subject, or to stand for a client.

use super::client_change;
use super::command::{about, fit, option, quoted};
use super::findings::Findings;
use crate::{ClientId, Issuer};

/// The right of a client to act for a subject; `issuer` is who names that, and without one a client asserts it.
pub(super) fn may_act_for(
    client: &ClientId,
    subject: &str,
    issuer: Option<&Issuer>,
    found: &Findings<'_>,
) -> String {
    let Some((known, subject)) = found.registration(client).zip(fit(subject)) else {
        return format!("the operator has to register the client {client} with --may-act-for ISSUER|SUBJECT");
    };
    if subject.contains('*') {
        return format!(
            "no registration allows {} alone: `*` matches any text in --may-act-for and --may-assert-users, so the right would cover \
             every name that matches",
            quoted(subject)
        );
    }
    match issuer {
        Some(issuer) => format!(
            "`{}`; --may-impersonate instead gives it tokens that do not name it as the actor",
            client_change::may_act_for(known, &format!("{issuer}|{subject}"))
        ),
        None => format!("`{}`", client_change::may_assert(known, subject)),
    }
}

/// The command that lets an identity stand for a client.
pub(super) fn federate(
    client: &str,
    issuer: &Issuer,
    subject: &str,
    more: &[(&str, Option<&str>)],
) -> String {
    let more = more.iter().filter_map(|(name, value)| value.map(|value| option(name, value)));
    let identity = option("--issuer", issuer.as_str()) + &option("--subject", subject);
    about("tokenberg client federate", client, &(identity + &more.collect::<String>()))
}
