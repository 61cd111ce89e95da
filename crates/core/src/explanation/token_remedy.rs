//! What would have to change for this token to be taken? For each fault what the operator can do, or who else.

use super::command::quoted;
use super::issuer_change;
use super::remedy::pattern;
use super::rule::Rule;
use crate::policy::foreign_token;
use crate::{
    ClientId, Issuer, Lifetime, Namesake, NotRenewable, Policy, Revocation, SignatureFault, Subject,
    Timestamp, TokenFault, TrustedIssuer, deceives,
};
use serde_json::{Map, Value};

/// What the assertion of a client is called.
pub(super) const CLIENT_ASSERTION: &str = "the client assertion";

/// A sentence without its end, about what is called `token`.
pub(super) fn of(fault: &TokenFault, token: &str, rules: &[Rule], policy: &Policy) -> String {
    let found = Found::of(rules);
    match fault {
        TokenFault::Framing(_) => format!("{token} has to be a signed JWT, whole and unchanged"),
        TokenFault::Type => format!(
            "{token} has to be of the kind that it is sent as: an access token of ours has typ at+jwt, an ID token goes as id_token only"
        ),
        TokenFault::OtherKind { by, what } => {
            format!("{token} has to be of the kind that it is sent as; by its {by} it is {what}")
        }
        TokenFault::DeclaredType(kind) => {
            format!("{token} is ours: the client has to declare it as access_token, not as {kind}")
        }
        TokenFault::Issuer => match found.asked_issuer {
            Some(issuer) => format!(
                "if you trust {issuer}: tokenberg issuer add {} --discover --accept …",
                quoted(issuer)
            ),
            None => format!(
                "{token} has to be of our issuer, {}, or of one that is trusted; compare --issuer",
                policy.issuer
            ),
        },
        TokenFault::Signature(SignatureFault::Unusable { key, .. }) => format!(
            "{} has to publish key {:?} so that it can be used, or to sign with another",
            found.issuer.map_or_else(|| "its maker".to_owned(), |known| known.issuer.to_string()),
            key.as_str()
        ),
        TokenFault::Signature(SignatureFault::Several) => format!(
            "{} has to give its keys different kids, and the kid of one to {token}",
            found.issuer.map_or_else(|| "its maker".to_owned(), |known| known.issuer.to_string())
        ),
        TokenFault::Signature(SignatureFault::Algorithm { .. }) => format!(
            "{token} has to be signed with the algorithm of its key; an RSA key without alg is for RS256, unless --alg of the issuer says \
             otherwise"
        ),
        TokenFault::Signature(_) => format!(
            "{token} has to be signed with a key that {} has now; compare its kid and alg with the keys that are published",
            found.issuer.map_or_else(|| "its issuer".to_owned(), |known| known.issuer.to_string())
        ),
        TokenFault::Claim(claim) => match found.issuer.and_then(|known| known.trust.subject_prefix.as_deref()) {
            Some(prefix) if claim.0 == "sub" => format!(
                "{token} has to name a subject of at most {} bytes: with the prefix {prefix:?} it is `sub`, which has 255",
                255_usize.saturating_sub(prefix.len())
            ),
            Some(_) | None => {
                format!("the issuer of {token} has to write the claim {} as its RFC has it", claim.0)
            }
        },
        TokenFault::UnverifiedEmail(claim) => format!(
            "the issuer has to verify the address and write {claim}: true; a --subject-claim that is not an address needs neither"
        ),
        TokenFault::Expired { .. } => {
            format!("the client has to get another one: {token} is over; if it should not be, compare the clocks")
        }
        TokenFault::NotRenewable { why, .. } => match why {
            NotRenewable::OtherClient => "the client to which it was issued has to renew it".to_owned(),
            NotRenewable::NotTheActor => {
                "the user has to log in again, and the client to exchange before the token expires".to_owned()
            }
            NotRenewable::AnotherActor => {
                "the client has to renew the token without an actor_token first".to_owned()
            }
            NotRenewable::TooLate(_) => "the client has to ask for client_credentials again".to_owned(),
        },
        TokenFault::NotYetValid { .. } => {
            format!("compare the clocks: whoever made {token} is ahead of us")
        }
        TokenFault::Audience => audience(token, &found, policy),
        TokenFault::Revoked(revocation) => revoked(revocation).to_owned(),
        TokenFault::Gone(what) => {
            format!("register the {what} again; tokens from before stay refused, so a new one is needed")
        }
        TokenFault::Disabled(what) => format!(
            "the {what} was disabled on purpose; `tokenberg client enable`, `issuer enable` or `subject enable` takes that back"
        ),
        TokenFault::NotAcceptedAs(used_as) => match found.issuer {
            Some(known) => format!("`{}`", issuer_change::accept(known, *used_as)),
            None => format!("the issuer of {token} has to be accepted as {used_as}"),
        },
        TokenFault::Algorithm(algorithm) => match found.issuer {
            Some(known) => format!("`{}`", issuer_change::algorithm(known, *algorithm)),
            None => format!("the issuer of {token} has to sign with another algorithm than {algorithm}"),
        },
        TokenFault::TooLongLived { .. } | TokenFault::TooOld { .. } if token == CLIENT_ASSERTION => {
            let client = found.client.map_or("CLIENT", ClientId::as_str);
            format!(
                "the client has to make {token} for shorter; or `tokenberg client change {client} --assertion-lifetime 1h`, which is the most"
            )
        }
        TokenFault::TooLongLived { most, .. } | TokenFault::TooOld { most, .. } => too_old(token, *most, &found),
        TokenFault::MayNotAct => {
            "the subject's issuer says in may_act who may act for him; nobody here can allow another".to_owned()
        }
        TokenFault::NameTaken { sub, by } => name_taken(sub, by, rules),
        TokenFault::NotThisActor | TokenFault::MayNotActFor => match (found.client, found.subject) {
            (Some(client), Some((issuer, subject))) => {
                format!("register {client} with --may-act-for {}", pattern(issuer, subject.as_str()))
            }
            (_, None) | (None, _) => "register the client with --may-act-for ISSUER|SUBJECT".to_owned(),
        },
        TokenFault::NotFederated => match (found.asked_issuer, found.claimed_subject) {
            (Some(issuer), Some(subject)) => format!(
                "tokenberg client federate ID --issuer {} --subject {}",
                quoted(issuer),
                quoted(subject)
            ),
            (_, None) | (None, _) => "tokenberg client federate says what stands for a client".to_owned(),
        },
        TokenFault::NobodyAsserts => {
            let client = found.client.map_or("the client", ClientId::as_str);
            let name = found.claimed_subject.unwrap_or("USER");
            format!(
                "the client has to send its own access token as the actor_token, and be registered: {client} with --may-assert-users {}",
                quoted(name)
            )
        }
        TokenFault::AssertsClient => {
            "nobody may assert a client: that client has to authenticate itself, and to be acted for by --may-act-for".to_owned()
        }
        TokenFault::Bound => {
            format!("the client has to prove the key that {token} is bound to: a DPoP proof, or its certificate")
        }
    }
}

fn audience(token: &str, found: &Found<'_>, policy: &Policy) -> String {
    match found.issuer {
        Some(known) => {
            let mut accepted = vec![policy.issuer.to_string(), policy.token_endpoint()];
            accepted.extend(known.trust.audiences.iter().map(ToString::to_string));
            let change = match found.refused_audience(&accepted) {
                Some(audience) => issuer_change::audience(known, audience),
                None => issuer_change::audience(known, "AUDIENCE"),
            };
            format!(
                "{token} has to be for one of {} (or, an id_token, for the asking client); or, if tokens for another audience are for us, \
                 `{change}`; of a token that stands for a client, `tokenberg client federate` says the audience",
                accepted.join(", ")
            )
        }
        None => {
            let registered = found.client.map_or_else(String::new, |client| format!(" of {client}"));
            format!(
                "{token} has to be for an audience that is registered for its client{registered}; a client assertion for {} alone",
                policy.issuer
            )
        }
    }
}

/// A longer `--max-age` helps up to the most that an issuer can have, and an assertion of the jwt-bearer grant not at all.
fn too_old(token: &str, most: Lifetime, found: &Found<'_>) -> String {
    let issuer = found.issuer.filter(|known| known.trust.max_age == most);
    let command = issuer.zip(found.lifetime()).and_then(|(known, age)| issuer_change::max_age(known, age));
    let or_more = command.map_or_else(String::new, |command| format!("; or `{command}`"));
    format!("{token} has to be made later and for shorter: for {most} at most{or_more}")
}

fn name_taken(sub: &Subject, by: &Namesake, rules: &[Rule]) -> String {
    let issuer = rules.iter().find_map(|rule| rule.issuer_of_namesake(by));
    let Some(known) = issuer.and_then(|issuer| trusted(rules, issuer)) else {
        return format!("the client has to name another user: this name is that of {by}");
    };
    let (issuer, prefix) = (&known.issuer, known.trust.subject_prefix.as_deref());
    if let Some(prefix) = prefix.filter(|prefix| !sub.as_str().starts_with(prefix)) {
        return format!(
            "the user has to sign in again: the session began before users of {issuer} had the prefix {prefix:?}"
        );
    }
    let apart = format!(
        "`{}` gives users of {issuer} names of their own in catalogs, from their next sign-in on",
        issuer_change::subject_prefix(issuer, prefix)
    );
    match by {
        Namesake::Client(_) if prefix.is_none() => format!(
            "{apart}; or, if a user and a client of the same name are one principal, `{}`",
            issuer_change::shared_names(issuer)
        ),
        // Names within a prefix are those of that issuer's users, whatever else is said.
        Namesake::Client(_) | Namesake::Issuer(_) => apart,
    }
}

fn revoked(revocation: &Revocation) -> &'static str {
    match revocation {
        Revocation::Token(_) => "the client has to get another token: this one was revoked",
        Revocation::Session(_) | Revocation::Delegation { .. } => {
            "whoever began the session has to authenticate again: it was revoked"
        }
        Revocation::Client { .. } | Revocation::Subject { .. } => {
            "whoever is meant has to authenticate again: everything from before was revoked"
        }
        Revocation::Origin(_) => {
            "the subject has to sign in again, and the client to exchange with a token of its own that is not revoked"
        }
    }
}

/// The issuer as the rules found it registered.
pub(super) fn trusted<'a>(rules: &'a [Rule], issuer: &Issuer) -> Option<&'a TrustedIssuer> {
    rules.iter().find_map(|rule| rule.trusted_issuer().filter(|known| known.issuer == *issuer))
}

/// Who and what the rules were last about.
#[derive(Default)]
struct Found<'a> {
    client: Option<&'a ClientId>,
    issuer: Option<&'a TrustedIssuer>,
    asked_issuer: Option<&'a str>,
    subject: Option<(&'a Issuer, &'a Subject)>,
    claims: Option<&'a Map<String, Value>>,
    claimed_subject: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(rules: &'a [Rule]) -> Self {
        let mut found = Self::default();
        for rule in rules {
            match rule {
                Rule::Client { found: Some(client), .. } => found.client = Some(&client.id),
                Rule::Recalled { named, .. } => found.client = found.client.or(Some(named)),
                Rule::Issuer { asked, found: known } => {
                    found.asked_issuer = Some(asked);
                    found.issuer = known.as_deref();
                }
                Rule::Subject { issuer: Some(issuer), subject, .. } => {
                    found.subject = Some((issuer, subject))
                }
                Rule::Unsigned { claims } | Rule::Signature { claims, .. } => {
                    found.claims = Some(claims);
                    found.claimed_subject = claims.get("sub").and_then(|sub| sub.as_str());
                }
                Rule::Client { found: None, .. }
                | Rule::Subject { issuer: None, .. }
                | Rule::Request { .. }
                | Rule::AssertedName { .. }
                | Rule::Secret { .. }
                | Rule::Proof { .. }
                | Rule::FirstUse { .. } => {}
            }
        }
        found
    }

    /// From `iat` until `exp`, of the last token.
    fn lifetime(&self) -> Option<Lifetime> {
        let time =
            |name: &str| self.claims?.get(name)?.as_i64().and_then(|at| Timestamp::from_seconds(at).ok());
        Some(time("exp")?.since(time("iat")?))
    }

    /// The audience that keeps the last token from being accepted: `azp` of an ID token whose `aud` is good, else its first `aud`.
    fn refused_audience(&self, accepted: &[String]) -> Option<&'a str> {
        let claims = self.claims?;
        let audience = foreign_token::audience(claims).ok()?;
        let is_accepted = |aud: &&str| {
            accepted.iter().any(|known| known == aud)
                || self.client.is_some_and(|client| client.as_str() == *aud)
        };
        let refused = if audience.iter().any(is_accepted) {
            claims.get("azp").and_then(Value::as_str)
        } else {
            audience.first().copied()
        };
        refused.filter(|audience| audience.len() <= 255 && !audience.chars().any(deceives))
    }
}
