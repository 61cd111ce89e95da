//! What would have to change for a token to be accepted: for each fault, a command of the operator, or the person responsible and the
//! change.

use super::command::{about, fit, option, quoted};
use super::findings::Findings;
use super::right_remedy::{federate, may_act_for};
use super::{client_change, issuer_change, issuer_remedy};
use crate::issuer::Namesake;
use crate::refusal::{
    AgeLimit, AudienceFault, AudienceRule, Involved, NotFederated, NotRenewable, Principal, WithoutRight,
};
use crate::registration::LONGEST_ASSERTION_LIFETIME;
use crate::token::{ClaimFault, Defect};
use crate::{Excerpt, Lifetime, Policy, Revocation, SignatureFault, Subject, Timestamp, TokenFault};

/// A sentence without its end, about what is called `token`.
pub(super) fn of(fault: &TokenFault, token: &str, found: &Findings<'_>, policy: &Policy) -> String {
    match fault {
        TokenFault::Framing(_) => {
            format!("the client has to send {token} as a signed JWT, whole and unchanged")
        }
        TokenFault::Type(_) => format!(
            "the client has to declare {token} as the type that it has: an access token of this server has the typ at+jwt, an ID token is declared as id_token only"
        ),
        TokenFault::OtherKind(kind) => {
            let declared = kind.token_type().map(|kind| format!("declare {token} as {kind}, or to "));
            format!(
                "the client has to {}send another token: {token} is {}, and not {}",
                declared.unwrap_or_default(),
                kind.what,
                kind.presented_as
            )
        }
        TokenFault::DeclaredType(kind) => {
            format!(
                "the client has to declare {token} as access_token, not as {kind}, because this server issued it"
            )
        }
        TokenFault::Issuer { rule, .. } => issuer_remedy::of(rule, token, found, policy),
        TokenFault::Signature(fault) => signature(fault, token, found),
        TokenFault::Claim(claim) | TokenFault::UnverifiedClaim(claim) => self::claim(claim, token, found),
        TokenFault::UnverifiedEmail { claim, .. } => {
            let issuer =
                found.issuer.map_or_else(|| "the issuer".to_owned(), |known| known.issuer.to_string());
            let another = found.issuer.filter(|known| *known.trust.subject_claim == *"email");
            let another = another.map_or_else(String::new, |known| {
                format!("; or `{}` makes another claim the subject", issuer_change::subject_claim(&known.issuer, "sub"))
            });
            format!("{issuer} has to verify the address and write {claim}: true{another}")
        }
        TokenFault::Expired { .. } => format!(
            "the client has to obtain a new token, because {token} has expired; if it expired too early, the operator has to compare the clocks"
        ),
        TokenFault::NotRenewable { why, .. } => match why {
            NotRenewable::OtherClient(of) => format!("the client {of} has to renew it"),
            NotRenewable::NotTheActor => {
                "the user has to sign in again, and the client to exchange the token before it expires"
                    .to_owned()
            }
            NotRenewable::AnotherActor => {
                "the client has to renew the token without an actor_token first".to_owned()
            }
            NotRenewable::TooLate { .. } => {
                "the client has to request a token with client_credentials again".to_owned()
            }
        },
        TokenFault::NotYetValid { .. } => {
            format!("the operator has to compare the clocks: that of the maker of {token} is ahead of this server's")
        }
        TokenFault::Backwards { .. } => {
            format!("the maker of {token} has to issue it with times in their order")
        }
        TokenFault::Audience(fault) => audience(fault, token, found, policy),
        TokenFault::AuthorizedParty(fault) => {
            let (known, azp) = (found.trusted(&fault.issuer), found.text("azp").and_then(fit));
            match known.zip(azp) {
                Some((known, azp)) => format!(
                    "the user has to sign in for the client {}; or, if this server may accept tokens for that party, `{}`",
                    fault.client,
                    issuer_change::audience(known, azp)
                ),
                None => format!("the user has to sign in for the client {}", fault.client),
            }
        }
        TokenFault::Revoked(revocation) => revoked(revocation).to_owned(),
        TokenFault::Gone(who) => gone(who),
        TokenFault::Disabled(who) => format!("`{}`", enable(&who.principal)),
        TokenFault::NotVouchedFor(client) => {
            let registered = found.registration(client).map_or(&[][..], |known| &known.rights.federations);
            match registered.first() {
                Some(federation) => {
                    format!("`tokenberg issuer enable {}`", quoted(federation.issuer.as_str()))
                }
                None => format!(
                    "the operator has to register an identity for the client {client} (client federate)"
                ),
            }
        }
        TokenFault::IdentityRemoved(fault) => format!(
            "the client has to authenticate again, as an identity that is registered for it; or the operator has to register this one again for the client {} (client federate)",
            fault.client
        ),
        TokenFault::NoSubjects(issuer) => {
            format!("the operator has to accept tokens of users of {issuer} again (issuer change --accept)")
        }
        TokenFault::NotAcceptedAs(fault) => match found.trusted(&fault.issuer) {
            Some(known) => format!("`{}`", issuer_change::accept(known, fault.used_as)),
            None => format!("the operator has to accept tokens of {} as {}", fault.issuer, fault.used_as),
        },
        TokenFault::Algorithm { algorithm, .. } => match found.issuer {
            Some(known) => format!("`{}`", issuer_change::algorithm(known, *algorithm)),
            None => format!("the issuer of {token} has to sign with another algorithm than {algorithm}"),
        },
        TokenFault::TooLongLived { now, limit, .. } | TokenFault::TooOld { now, limit, .. } => {
            too_old(token, *limit, *now, found)
        }
        TokenFault::MayNotAct(_) => {
            "the issuer of the subject has to name the actor in may_act; no registration here allows another"
                .to_owned()
        }
        TokenFault::NameTaken { sub, by } => name_taken(sub, by, found),
        TokenFault::Renamed { .. } => {
            "the user has to sign in again: the prefix of the issuer's users was changed after the session began"
                .to_owned()
        }
        TokenFault::NotThisActor(fault)
        | TokenFault::MayNotActFor(fault)
        | TokenFault::MayNotAssert(fault) => {
            let WithoutRight { client, issuer, subject } = &**fault;
            may_act_for(client, subject, issuer.as_ref(), found)
        }
        TokenFault::NotFederated(fault) => not_federated(fault, found),
        TokenFault::NoActor => {
            "the client has to send its own access token as the actor_token: it asserts the user".to_owned()
        }
        TokenFault::AssertsClient(name) => format!(
            "the client has to name another user: {} is the name of a client, and an unsecured JWT never names a client; to act for that client, the client has to send a token of it as the subject_token",
            Excerpt::of_claim(name.as_str())
        ),
        TokenFault::Bound(_) => {
            format!(
                "the client has to prove the key that {token} is bound to: by a DPoP proof, or by its certificate"
            )
        }
    }
}

fn signature(fault: &SignatureFault, token: &str, found: &Findings<'_>) -> String {
    let maker = found.issuer.map_or_else(|| "the maker".to_owned(), |known| known.issuer.to_string());
    match fault {
        SignatureFault::Unusable { key, .. } => format!(
            "{maker} has to publish the key {:?} so that it can be used, or to sign with another",
            key.as_str()
        ),
        SignatureFault::Several(_) => {
            format!("{maker} has to give its keys different kids, and the kid of one to {token}")
        }
        SignatureFault::Algorithm(fault) => format!(
            "{maker} has to sign {token} with {}, the algorithm of its key; an RSA key without alg is for RS256, unless --alg of the issuer says otherwise",
            fault.expected
        ),
        SignatureFault::NoKey(fault) if fault.unusable > 0 => format!(
            "{maker} has to sign {token} with a usable key, or to publish its key so that it can be used"
        ),
        SignatureFault::Retired { .. } => {
            "the client has to obtain a new token: this server signs with another key now".to_owned()
        }
        SignatureFault::NoKeys => {
            "the operator has to register the client with its public keys (client jwks)".to_owned()
        }
        SignatureFault::NoKey(_)
        | SignatureFault::NotAccepted(_)
        | SignatureFault::Signature { .. }
        | SignatureFault::Carried(_)
        | SignatureFault::OtherKey(_) => format!(
            "{maker} has to sign {token} with a key that it publishes now; compare its kid and alg with those"
        ),
    }
}

fn claim(fault: &ClaimFault, token: &str, found: &Findings<'_>) -> String {
    let (claim, defect) = (fault.claim(), fault.defect());
    if let Defect::TooLongWithPrefix { prefix, .. } = defect {
        return format!(
            "the issuer of {token} has to write a subject of at most {} bytes in {claim}: with the prefix {prefix:?} it becomes sub, which has 255",
            255_usize.saturating_sub(prefix.len())
        );
    }
    let Some(known) = found.issuer else {
        return format!("the client that made {token} has to correct its claim {claim}, which {defect}");
    };
    let is_subject = *known.trust.subject_claim == *claim;
    let another = found.text("sub").filter(|_| is_subject && claim != "sub").map_or_else(String::new, |_| {
        format!("; or `{}`", issuer_change::subject_claim(&known.issuer, "sub"))
    });
    format!("{} has to correct the claim {claim} of {token}, which {defect}{another}", known.issuer)
}

fn audience(fault: &AudienceFault, token: &str, found: &Findings<'_>, policy: &Policy) -> String {
    let first = || {
        let aud = found.claims?.get("aud")?;
        aud.as_str().or_else(|| aud.as_array()?.first()?.as_str()).and_then(fit)
    };
    match &fault.rule {
        AudienceRule::OfIssuer { issuer, accepted } => {
            let change = found.trusted(issuer).zip(first());
            let change = change.map_or_else(String::new, |(known, aud)| {
                format!(
                    "; or, if this server may accept tokens for that audience, `{}`",
                    issuer_change::audience(known, aud)
                )
            });
            format!("the client has to obtain {token} for one of {accepted}{change}")
        }
        AudienceRule::OfClient { client, .. } => match found.registration(client).zip(first()) {
            Some((known, aud)) => format!(
                "`{}`; or the client has to obtain a new token",
                client_change::audience(known, &policy.issuer, aud)
            ),
            None => format!("the operator has to give {client} an --audience of the token"),
        },
        AudienceRule::OfResource { accepted } => {
            format!("the client has to obtain {token} for one of {accepted}")
        }
        AudienceRule::OfAssertion { accepted } => format!(
            "the client has to sign {token} with aud {accepted}, and nothing else; a client that sends the token endpoint is registered with --endpoint-as-audience"
        ),
        AudienceRule::OfFederation { client, accepted } => {
            let registered = found.registration(client).and_then(|known| {
                let issuer = &found.issuer?.issuer;
                let is_it = |known: &&crate::registration::Federation| {
                    found.text("sub").is_some_and(|sub| known.is_of(issuer, sub))
                };
                known.rights.federations.iter().find(is_it)
            });
            let change = registered.zip(first()).map_or_else(String::new, |(known, aud)| {
                let more = [("--audience", Some(aud)), ("--uid", known.uid.as_deref())];
                let federate = federate(client.as_str(), &known.issuer, &known.subject, &more);
                format!("; or, if only this server accepts that audience, `{federate}`")
            });
            format!("the workload has to request {token} for {accepted}{change}")
        }
    }
}

/// What a command can do about the age depends on what limits it.
fn too_old(token: &str, limit: AgeLimit, now: Timestamp, found: &Findings<'_>) -> String {
    let needed: Option<Lifetime> = found.needed_age(now);
    let command = match limit {
        AgeLimit::Issuer => {
            found.issuer.zip(needed).and_then(|(known, age)| issuer_change::max_age(known, age))
        }
        AgeLimit::Client => found
            .client
            .zip(needed)
            .filter(|(_, age)| *age <= LONGEST_ASSERTION_LIFETIME)
            .map(|(known, age)| client_change::assertion_lifetime(&known.id, age)),
        AgeLimit::Grant | AgeLimit::Unsecured => None,
    };
    let maker = match limit {
        AgeLimit::Issuer => "its issuer",
        AgeLimit::Client | AgeLimit::Grant | AgeLimit::Unsecured => "the client",
    };
    let or_longer = command.map_or_else(String::new, |command| format!("; or `{command}`"));
    format!("{maker} has to make {token} later, and for a shorter time{or_longer}")
}

fn name_taken(sub: &Subject, by: &Namesake, found: &Findings<'_>) -> String {
    let Some(known) = found.issuer_of_namesake(by) else {
        return format!("the client has to name another user: this name is that of {by}");
    };
    let (issuer, prefix) = (&known.issuer, known.trust.subject_prefix.as_deref());
    if let Some(prefix) = prefix.filter(|prefix| !sub.as_str().starts_with(prefix)) {
        return format!(
            "the user has to sign in again: the session is older than the prefix {prefix:?} of {issuer}"
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

fn not_federated(fault: &NotFederated, found: &Findings<'_>) -> String {
    let subject = found.identity.map(|(_, subject, _)| subject).or_else(|| found.text("sub"));
    let stands_for = found.identity.and_then(|(_, _, client)| client);
    let named = fault.client.as_ref().filter(|_| fault.is_client_known);
    match (subject.and_then(fit), named, stands_for) {
        (Some(_), Some(named), Some(other)) if named != other => format!(
            "the request has to name the client {other}, for which the identity stands, and not {named}; or the operator has to move it, with client federate --remove and client federate"
        ),
        (Some(subject), Some(named), _) => {
            format!("`{}`", federate(named.as_str(), &fault.issuer, subject, &[]))
        }
        (Some(subject), None, _) => format!(
            "the operator has to register the identity for a client: {}",
            federate("ID", &fault.issuer, subject, &[])
        ),
        (None, _, _) => {
            "the operator has to register the identity for a client with tokenberg client federate".to_owned()
        }
    }
}

fn gone(who: &Involved) -> String {
    match &who.principal {
        Principal::Client(id) => format!(
            "the operator has to register the client {id} again; its earlier tokens stay refused, so a new one is needed"
        ),
        Principal::Issuer(issuer) => format!(
            "the operator has to trust {issuer} again (issuer add), and its users have to sign in again"
        ),
        Principal::User(..) => "the user has to sign in again".to_owned(),
    }
}

/// The command that enables a principal again.
fn enable(who: &Principal) -> String {
    match who {
        Principal::Client(id) => about("tokenberg client enable", id, ""),
        Principal::Issuer(issuer) => format!("tokenberg issuer enable {}", quoted(issuer.as_str())),
        Principal::User(None, subject) => about("tokenberg subject enable", subject, ""),
        Principal::User(Some(issuer), subject) => {
            about("tokenberg subject enable", subject, &option("--issuer", issuer.as_str()))
        }
    }
}

fn revoked(revocation: &Revocation) -> &'static str {
    match revocation {
        Revocation::Token(_) => "the client has to obtain another token: this one was revoked",
        Revocation::Session(_) | Revocation::Delegation { .. } => {
            "the party that began the session has to authenticate again: it was revoked"
        }
        Revocation::Client { .. } | Revocation::Subject { .. } | Revocation::Issuer { .. } => {
            "the client, or its user, has to authenticate again: all earlier tokens were revoked"
        }
        Revocation::Origin(_) => {
            "the subject has to sign in again, and the client to exchange with a token of its own that is not revoked"
        }
    }
}
