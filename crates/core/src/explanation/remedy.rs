//! What would have to change for this to be granted? For each reason what the operator can do, or who else.

use super::command::quoted;
use super::rule::Rule;
use super::{issuer_change, token_remedy};
use crate::policy::limits::Party;
use crate::request::client_authentication::BasicFault;
use crate::{AuthMethod, ClientId, Issuer, Policy, Refusal, Scope};

/// A sentence without its end. One match over all reasons, so that a new one does not compile without.
pub(super) fn of(refusal: &Refusal, rules: &[Rule], policy: &Policy) -> String {
    match refusal {
        Refusal::MalformedForm(_)
        | Refusal::SeveralAuthorizationHeaders
        | Refusal::SeveralAuthenticationMethods
        | Refusal::IncompleteClientAssertion
        | Refusal::UnsupportedClientAssertion
        | Refusal::SeveralProofs
        | Refusal::MalformedProof(_)
        | Refusal::MalformedBearer
        | Refusal::SecretTooLong
        | Refusal::UnsupportedGrantType
        | Refusal::MissingParameter(_)
        | Refusal::UnknownTokenType(_)
        | Refusal::MalformedScope(_)
        | Refusal::MalformedTarget(_) => {
            "the client has to repair its request; nothing that is registered would change this".to_owned()
        }
        Refusal::ClientAssertion(fault) => token_remedy::of(fault, token_remedy::CLIENT_ASSERTION, rules, policy),
        Refusal::Assertion(fault) => token_remedy::of(fault, "the assertion", rules, policy),
        Refusal::BearerToken(fault) => token_remedy::of(fault, "the Bearer token", rules, policy),
        Refusal::SubjectToken(fault) => token_remedy::of(fault, "the subject token", rules, policy),
        Refusal::ActorToken(fault) => token_remedy::of(fault, "the actor token", rules, policy),
        Refusal::ClientAssertionReplayed | Refusal::AssertionReplayed => {
            "the client has to make a new assertion, with another jti, for each request".to_owned()
        }
        Refusal::ProofReplayed => {
            "the client has to make a new DPoP proof, with another jti, for each request".to_owned()
        }
        Refusal::WrongCertificate { client, subject } => format!(
            "the client has to show its own certificate, of an authority of --tls-client-ca; if {subject:?} is its own, register {client} with --tls-subject {}",
            quoted(subject)
        ),
        Refusal::Proof(_) => {
            "the client has to make the proof for POST and the token endpoint of our issuer, now; compare the issuer and its clock with ours".to_owned()
        }
        Refusal::ProofNonce => {
            "the client has to repeat the request with the nonce that the answer has in DPoP-Nonce".to_owned()
        }
        Refusal::ProofMissing(client) => {
            format!("the client has to send a DPoP proof, or register {client} without --dpop-bound")
        }
        Refusal::NoCredentials => "the client has to send its credential, in Authorization or in the form".to_owned(),
        Refusal::MalformedBasic(fault) => match fault {
            BasicFault::Base64 | BasicFault::Utf8 | BasicFault::NoColon | BasicFault::Empty => {
                "the client has to send base64 of client_id:client_secret after Basic".to_owned()
            }
        },
        Refusal::SecretWithoutClientId => {
            "the client has to be given its credential as client_id:client_secret, both parts".to_owned()
        }
        Refusal::ClientIdsDiffer => {
            "the client has to send one client_id, its own, wherever it names itself".to_owned()
        }
        Refusal::UnknownClient(_) => {
            "compare the identifier with `tokenberg client list`, in this very store; `tokenberg client add ID` registers it".to_owned()
        }
        Refusal::DisabledClient(client) => format!("tokenberg client enable {}", quoted(client.as_str())),
        Refusal::WrongSecret { client, live } => wrong_secret(client, *live, rules),
        Refusal::OtherMethod { client, registered } => other_method(client, *registered),
        Refusal::BearerOutsideOfExchange => {
            "the client has to send its own credential: a token is one for token exchange only".to_owned()
        }
        Refusal::BearerIsNeitherSubjectNorActor => {
            "the client has to send its own credential, or the subject_token or actor_token as the Bearer".to_owned()
        }
        Refusal::GrantNotAllowed { client, grant } => {
            let grant = super::facts::short(*grant);
            format!("register {client} with --grant {grant} besides those that it has")
        }
        Refusal::UnsupportedTokenType { kind, .. } => format!(
            "the client has to ask for an access_token, and to present access_token, id_token or jwt; {kind} is never taken"
        ),
        Refusal::ScopeNotAllowed { refused, allowed, ceilings } => scope(refused, allowed, ceilings, rules),
        Refusal::TargetNotAllowed { refused, allowed, ceilings } => {
            target(refused.as_deref(), allowed, ceilings)
        }
        Refusal::MayNotActFor { client, subject, issuer, .. } => may_act_for(client, subject, issuer.as_ref()),
        Refusal::ActorOfAnotherClient { client, of } => format!(
            "the client has to present a token of its own ({client}) as the actor_token, or {of} has to ask itself"
        ),
        Refusal::ActorIsDelegated => {
            "the client has to present a token about itself as the actor_token: one that it got with its own credential, for nobody else".to_owned()
        }
        Refusal::ChainTooDeep { deepest, .. } => {
            format!("somebody nearer to the subject has to ask: a chain has {deepest} actors at most, whatever is registered")
        }
        Refusal::TooManyOrigins { .. } => {
            "the subject has to authenticate again: a token depends on 16 others at most".to_owned()
        }
        Refusal::SessionOver { .. } => {
            "whoever began the session has to authenticate again; register the client, and the subject if he is a client, with a longer --session-lifetime for later ones".to_owned()
        }
        Refusal::TokenOfAnotherClient { of, .. } => {
            format!("{of} has to ask itself, or the operator uses `tokenberg revoke`")
        }
        Refusal::TokenTooLarge { .. } => {
            "the client has to ask for fewer scopes and audiences by name".to_owned()
        }
    }
}

fn wrong_secret(client: &ClientId, live: usize, rules: &[Rule]) -> String {
    let expired = rules.iter().any(|rule| match rule {
        Rule::Secret { secrets, .. } => secrets.iter().any(|secret| secret.is_presented && !secret.is_live),
        Rule::Request { .. }
        | Rule::Unsigned { .. }
        | Rule::AssertedName { .. }
        | Rule::Client { .. }
        | Rule::Issuer { .. }
        | Rule::Signature { .. }
        | Rule::Proof { .. }
        | Rule::Recalled { .. }
        | Rule::Subject { .. }
        | Rule::FirstUse { .. } => false,
    });
    let client = quoted(client.as_str());
    match (expired, live) {
        (true, 0) => format!(
            "the secret is an old one that expired: tokenberg client secret add {client} makes a new one"
        ),
        (true, _) => "the secret is an old one that expired: give the client the live one".to_owned(),
        (false, 0) => format!("no secret of it is live: tokenberg client secret add {client}"),
        (false, _) => {
            format!("give the client a secret that is live, or tokenberg client secret add {client}")
        }
    }
}

fn other_method(client: &ClientId, registered: AuthMethod) -> String {
    match registered {
        AuthMethod::ClientSecret => {
            format!("{client} has to send its secret; register it with --auth-method for anything else")
        }
        AuthMethod::PrivateKeyJwt => format!("{client} has to send a client_assertion that it signed"),
        AuthMethod::TlsClientAuth => format!(
            "{client} has to connect with its certificate, and send its client_id in the form; no secret"
        ),
        AuthMethod::Federated => format!(
            "{client} has nothing of its own: send the foreign identity as client_assertion, and see `tokenberg client federate`"
        ),
    }
}

fn may_act_for(client: &ClientId, subject: &str, issuer: Option<&Issuer>) -> String {
    match issuer {
        Some(issuer) => format!(
            "register {client} with --may-act-for {}, or with --may-impersonate for tokens that do not name it",
            pattern(issuer, subject)
        ),
        None => format!("register {client} with --may-assert-users {}", quoted(subject)),
    }
}

/// The pattern that stands for this subject; a star in a name would stand for more.
pub(super) fn pattern(issuer: &Issuer, subject: &str) -> String {
    quoted(&format!("{issuer}|{subject}"))
}

fn scope(refused: &Scope, allowed: &Scope, ceilings: &crate::ScopeCeilings, rules: &[Rule]) -> String {
    let short: Vec<(&Party, Vec<&str>)> = ceilings
        .iter()
        .map(|ceiling| (&ceiling.party, refused.tokens().filter(|token| !ceiling.allows(token)).collect()))
        .filter(|(_, lacks): &(_, Vec<&str>)| !lacks.is_empty())
        .collect();
    let steps: Vec<String> =
        short.iter().map(|(party, lacks)| widen(party, &lacks.join(" "), rules)).collect();
    if steps.is_empty() {
        return format!(
            "nothing is left that all of these allow: {}; they have to have something in common",
            ceilings.iter().map(|ceiling| ceiling.party.to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    let or_less = if allowed.is_empty() {
        String::new()
    } else {
        format!("; or the client asks for no more than {:?}", allowed.as_str())
    };
    format!("{}{or_less}", steps.join("; and "))
}

fn widen(party: &Party, lacks: &str, rules: &[Rule]) -> String {
    match party {
        Party::Client(id) | Party::Principal(id) => {
            format!("register {id} with {} in --scope", quoted(lacks))
        }
        Party::SubjectToken => {
            format!("the subject token has to be got with {lacks:?} in its scope from the beginning")
        }
        Party::SubjectIssuer(issuer) | Party::ActorIssuer(issuer) => {
            match token_remedy::trusted(rules, issuer) {
                Some(known) => format!(
                    "give it to all users of {issuer}: `{}`; or to some of them: `{}`",
                    issuer_change::scope(known, lacks),
                    issuer_change::map(known, lacks)
                ),
                None => format!("let users of {issuer} have {}", quoted(lacks)),
            }
        }
        Party::ActorToken => format!("the actor token has to be got with {lacks:?} in its scope"),
    }
}

fn target(refused: Option<&str>, allowed: &[Box<str>], ceilings: &crate::AudienceCeilings) -> String {
    let Some(target) = refused else {
        let parties: Vec<String> = ceilings.iter().map(|ceiling| ceiling.party.to_string()).collect();
        return format!("these have to have an audience in common: {}", parties.join(", "));
    };
    let lacking = ceilings.iter().filter(|ceiling| !ceiling.allows(target)).map(|c| match &c.party {
        Party::Client(id) | Party::Principal(id) => {
            format!("register {id} with --audience {}", quoted(target))
        }
        Party::SubjectToken => format!("the subject token has to be got for {target:?}, too"),
        Party::ActorToken => format!("the actor token has to be got for {target:?}, too"),
        Party::SubjectIssuer(issuer) | Party::ActorIssuer(issuer) => format!("{issuer} has to allow it"),
    });
    let steps = lacking.collect::<Vec<_>>().join("; and ");
    if allowed.is_empty() {
        return steps;
    }
    format!("{steps}; or the client asks for {}", allowed.join(", "))
}
