//! What would have to change for a request to be granted: for each reason, a command of the operator, or the person responsible and the
//! change.
//!
//! Text in backticks is a command that can be pasted into a shell; it keeps the values that are already registered.

use super::command::{about, fit};
use super::findings::Findings;
use super::right_remedy::may_act_for;
use super::rule::Rule;
use super::{ceiling_remedy, client_change, issuer_change, token_remedy};
use crate::refusal::{
    CertificateFault, CertificateRule, DelegatedActor, ExpiredSecret, NonceFault, SessionLimit,
};
use crate::{AuthMethod, ClientId, Lifetime, Policy, Refusal, Timestamp};

/// A sentence without its end. One match over all reasons, so that a new one does not compile without.
pub(super) fn of(refusal: &Refusal, rules: &[Rule], policy: &Policy) -> String {
    let found = Findings::of(rules);
    match refusal {
        Refusal::MalformedForm(_)
        | Refusal::SeveralAuthorizationHeaders
        | Refusal::SeveralAuthenticationMethods(..)
        | Refusal::IncompleteClientAssertion(_)
        | Refusal::UnsupportedClientAssertion(_)
        | Refusal::SeveralProofs
        | Refusal::MalformedProof(_)
        | Refusal::MalformedBearer
        | Refusal::SecretTooLong
        | Refusal::UnsupportedGrantType(_)
        | Refusal::MissingParameter(_)
        | Refusal::UnknownTokenType { .. }
        | Refusal::MalformedScope(_)
        | Refusal::MalformedTarget(_) => {
            "the client has to send another request; no registration would change this".to_owned()
        }
        Refusal::ClientAssertion(fault) => {
            token_remedy::of(fault, "the client assertion", &found, policy)
        }
        Refusal::Assertion(fault) => token_remedy::of(fault, "the assertion", &found, policy),
        Refusal::BearerToken(fault) => token_remedy::of(fault, "the Bearer token", &found, policy),
        Refusal::SubjectToken(fault) => token_remedy::of(fault, "the subject token", &found, policy),
        Refusal::ActorToken(fault) => token_remedy::of(fault, "the actor token", &found, policy),
        Refusal::ClientAssertionReplayed(_) | Refusal::AssertionReplayed(_) => {
            "the client has to sign a new assertion, with another jti, for each request".to_owned()
        }
        Refusal::ProofReplayed(_) => {
            "the client has to sign a new DPoP proof, with another jti, for each request".to_owned()
        }
        Refusal::WrongCertificate(fault) => wrong_certificate(fault),
        Refusal::Proof(_) => format!(
            "the client has to sign a DPoP proof now, for POST and {}; compare that address, --base-path and the clocks",
            policy.token_endpoint()
        ),
        Refusal::ProofNonce(NonceFault::Missing | NonceFault::NotOurs) => {
            "the client has to repeat the request with the nonce from the header DPoP-Nonce of the response".to_owned()
        }
        Refusal::ProofMissing(client) => format!(
            "the client has to send a DPoP proof; or `{}` gives it tokens without one",
            client_change::not_dpop_bound(client)
        ),
        Refusal::NoCredentials | Refusal::UnknownScheme => {
            "the client has to send its credential: Authorization: Basic, client_secret or client_assertion".to_owned()
        }
        Refusal::MalformedBasic(_) => {
            "the client has to send the base64 of client_id:client_secret after Basic".to_owned()
        }
        Refusal::SecretWithoutClientId => {
            "the client has to be configured with its credential as client_id:client_secret, both parts".to_owned()
        }
        Refusal::ClientIdsDiffer(_) => {
            "the client has to send one client_id, its own, wherever it names itself".to_owned()
        }
        Refusal::UnknownClient(_) => {
            "the operator has to compare the identifier with `tokenberg client list`, in this store, and register it with tokenberg client add ID if it is missing".to_owned()
        }
        Refusal::DisabledClient(client) => format!("`{}`", about("tokenberg client enable", client.as_str(), "")),
        Refusal::ExpiredSecret(fault) => expired_secret(fault, &found),
        Refusal::WrongSecret { client, live, copied } => {
            let correction = copied.map(|fault| format!("the client has to {}; if it is wrong still, ", fault.correction()));
            format!("{}{}", correction.unwrap_or_default(), another_secret(client, *live, &found))
        }
        Refusal::OtherMethod { client, registered, .. } => other_method(client, *registered),
        Refusal::BearerOutsideOfExchange => {
            "the client has to send its own credential: a token authenticates it for token exchange only".to_owned()
        }
        Refusal::BearerIsNeitherSubjectNorActor => {
            "the client has to send its own credential, or the subject_token or actor_token as the Bearer".to_owned()
        }
        Refusal::GrantNotAllowed { client, grant, registered } => {
            format!("`{}`", client_change::grant(client, registered, *grant))
        }
        Refusal::UnsupportedTokenType { kind, .. } => format!(
            "the client has to request an access_token, and to present an access_token, id_token or jwt; {kind} is never accepted"
        ),
        Refusal::ScopeNotAllowed { refused, allowed, ceilings } => {
            ceiling_remedy::scope(refused, allowed, ceilings, &found)
        }
        Refusal::TargetNotAllowed { refused, allowed, ceilings } => {
            ceiling_remedy::target(refused.as_deref(), allowed, ceilings, &found, policy)
        }
        Refusal::MayNotActFor { client, subject, issuer, .. } => {
            may_act_for(client, subject, issuer.as_ref(), &found)
        }
        Refusal::ActorOfAnotherClient { client, of } => format!(
            "the client {client} has to present a token of its own as the actor_token, or {of} has to send the request itself"
        ),
        Refusal::ActorIsDelegated(DelegatedActor::HasAct | DelegatedActor::About(_)) => {
            "the client has to present a token about itself as the actor_token: one that it obtained with its own credential".to_owned()
        }
        Refusal::ChainTooDeep { deepest, .. } => format!(
            "a party nearer to the subject has to send the request: a chain has {deepest} actors at most, whatever is registered"
        ),
        Refusal::TooManyOrigins { most, .. } => {
            format!("the subject has to authenticate again: a token depends on {most} other tokens at most")
        }
        Refusal::SessionOver { limit, now, .. } => session_over(*limit, *now, &found),
        Refusal::TokenOfAnotherClient { of, .. } => {
            format!("the client {of} has to revoke it itself, or the operator with tokenberg revoke")
        }
        Refusal::TokenTooLarge { .. } => {
            "the client has to request fewer scopes and audiences, by name".to_owned()
        }
        Refusal::Denied(_) => "the program that embeds the service has to decide otherwise".to_owned(),
    }
}

fn wrong_certificate(fault: &CertificateFault) -> String {
    let client = &fault.client;
    match &fault.rule {
        CertificateRule::Untrusted(_) => format!(
            "the client {client} has to connect with a certificate for client authentication of an authority of --tls-client-ca, or the operator has to add its authority there"
        ),
        CertificateRule::Expired { .. } => {
            format!("the client {client} has to connect again, with a certificate that has not expired")
        }
        CertificateRule::Name { .. } => format!(
            "the client {client} has to connect with its own certificate; if this one is, the operator has to register the client again with its name (--tls-subject, --tls-san)"
        ),
    }
}

fn expired_secret(fault: &ExpiredSecret, found: &Findings<'_>) -> String {
    let ExpiredSecret { client, secret, live, .. } = fault;
    format!("the client sends the old secret {secret}: {}", another_secret(client, *live, found))
}

fn another_secret(client: &ClientId, live: usize, found: &Findings<'_>) -> String {
    let command = |name: &str| about(&format!("tokenberg client secret {name}"), client.as_str(), "");
    let add = format!("`{}` generates one", command("add"));
    let secrets = found.live_secrets();
    match live {
        0 => format!("the client has to be given a new secret: {add}"),
        1 => {
            format!("the client has to be given its live secret, {}, or a new one: {add}", secrets.join(", "))
        }
        _ => {
            let first = secrets.first().copied().unwrap_or("SECRET_ID");
            format!(
                "the client has to be given one of its live secrets, {}; or, of which two at most are live, `{} {first}` ends one, and then {add}",
                secrets.join(", "),
                command("expire")
            )
        }
    }
}

fn other_method(client: &ClientId, registered: AuthMethod) -> String {
    match registered {
        AuthMethod::ClientSecret => {
            format!(
                "the client {client} has to send its secret, or the operator has to register it again with another --auth-method"
            )
        }
        AuthMethod::PrivateKeyJwt => {
            format!("the client {client} has to send a client_assertion that it signed")
        }
        AuthMethod::TlsClientAuth => format!(
            "the client {client} has to connect with its certificate, and send its client_id in the form, without a secret"
        ),
        AuthMethod::Public => format!(
            "the client {client} has no credential, so it has to exchange an ID token that was issued to it, and send its client_id in the form, without a secret"
        ),
        AuthMethod::Federated => format!(
            "the client {client} has no credential of its own, so it has to send a foreign identity as client_assertion; tokenberg client federate registers which"
        ),
    }
}

fn session_over(limit: SessionLimit, now: Timestamp, found: &Findings<'_>) -> String {
    const AGAIN: &str = "the subject has to authenticate again, and the client to exchange its new token";
    // The session has to reach some time beyond now, from its beginning on.
    let needed = || {
        let session = found.claims?.get("tokenberg_session")?;
        let start = Timestamp::from_seconds(session.get("start")?.as_i64()?).ok()?;
        Some(now.plus(Lifetime::from_hours(1)).since(start))
    };
    let longer = |client: &str| {
        let lifetime = needed().filter(|needed| *needed <= crate::policy::LONGEST_SESSION_LIFETIME);
        match lifetime {
            Some(lifetime) => {
                format!("`{}`; or {AGAIN}", client_change::session_lifetime(client, lifetime))
            }
            None => AGAIN.to_owned(),
        }
    };
    match limit {
        SessionLimit::Client => found.client.map_or_else(|| AGAIN.to_owned(), |c| longer(c.id.as_str())),
        SessionLimit::Principal => found.text("sub").and_then(fit).map_or_else(|| AGAIN.to_owned(), longer),
        SessionLimit::SubjectToken => match found.issuer {
            Some(known) => format!("`{}`; or {AGAIN}", issuer_change::outlives_subject(&known.issuer)),
            None => AGAIN.to_owned(),
        },
        SessionLimit::Actor => {
            "the client has to obtain a new actor token with its own credential".to_owned()
        }
        SessionLimit::Subject => {
            format!("{AGAIN}; a longer --session-lifetime of the client counts for later sessions only")
        }
    }
}
