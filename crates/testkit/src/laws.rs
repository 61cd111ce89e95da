//! What holds of every token, whatever was asked before? The laws of delegation, as docs/delegation.md has them.

use crate::history::Issued;
use crate::{Answer, World};
use std::collections::BTreeSet;
use tokenberg_core::{
    AccessTokenClaims, Answers, GrantType, Revocation, SubjectProof, Thumbprint, Timestamp,
};

/// The world as it was when the request was made, and which key was proven with it.
pub(crate) struct Before<'a> {
    pub(crate) world: &'a World,
    pub(crate) held: Option<Thumbprint>,
    /// The one issuer that is trusted.
    pub(crate) issuer: &'a str,
}

/// What holds of a token that a client got for itself.
pub(crate) fn begun(before: &Before<'_>, answer: &Answer) {
    let Answer::Ok(granted) = answer else { return };
    assert!(granted.claims.is_clients_own() && granted.claims.session.start == before.world.now);
    check_everybody(before, &granted.claims);
    check_binding(before, &granted.claims, None);
}

/// What holds of a token for a user of the trusted issuer, whose own token ended at `end`.
pub(crate) fn foreign(
    before: &Before<'_>,
    answer: &Answer,
    user: &str,
    actor: Option<&Issued>,
    end: Timestamp,
) {
    let Answer::Ok(granted) = answer else { return };
    let claims = &granted.claims;
    let issuer = claims.session.subject_issuer.as_ref().map(|issuer| issuer.as_str());
    assert_eq!((claims.subject.as_str(), issuer), (user, Some(before.issuer)), "another subject");
    assert!(!claims.is_clients_own() && !claims.session.asserted, "a user passes for a client");
    assert!(
        scope_of(claims).iter().all(|s| s == "catalog" || s == "ns:read"),
        "more than its issuer's subjects"
    );
    assert!(claims.session.end <= end && claims.expires_at <= end, "outlived what it was got with");
    assert!(matches!(granted.decision.subject_proof, SubjectProof::Issuer(_)));
    check_named(claims);
    started(before, claims, actor);
}

/// What holds of a token for a user whom nobody has seen.
pub(crate) fn asserted(before: &Before<'_>, answer: &Answer, user: &str, actor: &Issued) {
    let Answer::Ok(granted) = answer else { return };
    let claims = &granted.claims;
    assert_eq!(claims.client_id.as_str(), "c2", "asserted by somebody who may not");
    assert_eq!(claims.subject.as_str(), user);
    assert!(user.parse().ok().and_then(|id| before.world.client(&id)).is_none(), "a client was asserted");
    assert!(claims.session.asserted && claims.to_json().contains_key("amr"), "the marker is gone");
    assert!(scope_of(claims).is_subset(&actor.scope), "more than the actor");
    let longest = before.world.client(&claims.client_id).map(|client| client.rights.session_lifetime);
    assert_eq!(Some(claims.session.end), longest.map(|longest| before.world.now.plus(longest)));
    check_named(claims);
    started(before, claims, Some(actor));
}

/// What holds of everything that begins with somebody from elsewhere.
fn started(before: &Before<'_>, claims: &AccessTokenClaims, actor: Option<&Issued>) {
    assert_eq!((claims.session.start, &claims.session.id), (before.world.now, &claims.token_id));
    if let Some(actor) = actor {
        assert!(scope_of(claims).is_subset(&actor.scope), "more than the actor");
        assert!(audience_of(claims).is_subset(&actor.audience), "elsewhere than the actor");
        let may_outlive = claims.session.asserted;
        assert!(may_outlive || claims.session.end <= actor.session_end, "outlived its actor's session");
        assert!(actor.claims.is_clients_own() && actor.claims.client_id == claims.client_id);
        check_possession(before, &actor.claims);
    }
    check_everybody(before, claims);
    check_binding(before, claims, None);
}

/// Nobody in a history may impersonate a user, so the client that acts is named, and the only one.
fn check_named(claims: &AccessTokenClaims) {
    assert_eq!(chain(claims), [claims.client_id.as_str()], "acted without being named");
}

/// Everybody who takes part is enabled now: the client, and the subject in whichever realm he is.
fn check_everybody(before: &Before<'_>, claims: &AccessTokenClaims) {
    let is_enabled =
        |id: &str| id.parse().ok().and_then(|id| before.world.client(&id)).is_some_and(|c| c.enabled);
    assert!(is_enabled(claims.client_id.as_str()), "a disabled client took part");
    let issuer = claims.session.subject_issuer.as_ref();
    if issuer.is_none() && !claims.session.asserted {
        assert!(is_enabled(claims.subject.as_str()), "a disabled subject took part");
        return;
    }
    assert!(
        !before.world.subject(issuer, claims.issuer_subject().as_str(), claims.subject.as_str()).disabled,
        "a disabled subject took part"
    );
    if let Some(issuer) = issuer {
        let trusted = before.world.issuer(issuer.as_str());
        assert!(trusted.is_some_and(|trusted| trusted.enabled), "an issuer that is not trusted took part");
    }
}

/// What was bound stays bound to the same key, which was proven; what was proven binds what was not.
fn check_binding(before: &Before<'_>, claims: &AccessTokenClaims, subject: Option<&AccessTokenClaims>) {
    if let Some(subject) = subject {
        check_possession(before, subject);
    }
    let key = |claims: &AccessTokenClaims| claims.confirmation.as_ref().and_then(|cnf| cnf.key.clone());
    let inherited = subject.and_then(key);
    assert_eq!(
        key(claims),
        inherited.or_else(|| before.held.clone()),
        "a bound token was freed, or bound elsewhere"
    );
}

fn check_possession(before: &Before<'_>, claims: &AccessTokenClaims) {
    if let Some(key) = claims.confirmation.as_ref().and_then(|cnf| cnf.key.as_ref()) {
        assert_eq!(Some(key), before.held.as_ref(), "a bound token was used without its key");
    }
}

/// What holds of a token that was got for another one of ours. Returns when its session has to be over at the latest.
pub(crate) fn exchanged(
    before: &Before<'_>,
    answer: &Answer,
    subject: &Issued,
    actor: Option<&Issued>,
    with_credential: bool,
) -> Option<Timestamp> {
    let Answer::Ok(granted) = answer else { return None };
    let claims = &granted.claims;
    let now = before.world.now;
    assert_eq!(granted.decision.grant, GrantType::TokenExchange);

    assert!(scope_of(claims).is_subset(&subject.scope), "scope widened");
    assert!(audience_of(claims).is_subset(&subject.audience), "audience widened");
    if let Some(actor) = actor {
        assert!(scope_of(claims).is_subset(&actor.scope), "more than the actor");
        assert!(audience_of(claims).is_subset(&actor.audience), "elsewhere than the actor");
        assert!(actor.claims.is_clients_own(), "an actor who is acted for, or impersonated");
        assert_eq!(actor.claims.client_id, claims.client_id, "an actor who did not ask");
    }
    assert_eq!(claims.subject, subject.claims.subject, "another subject");

    let earlier = chain(&subject.claims);
    let after = chain(claims);
    assert!(after.ends_with(&earlier), "an actor was dropped: {earlier:?} became {after:?}");
    assert!(after.len() <= earlier.len() + 1 && after.len() <= 5, "{after:?}");
    if after.len() > earlier.len() {
        assert_eq!(after[0], claims.client_id.as_str(), "an actor was forged");
    }
    let impersonates = claims.client_id.as_str() == "c3" && claims.subject.as_str() == "c2";
    if claims.subject.as_str() != claims.client_id.as_str() && !impersonates {
        assert_eq!(
            after.first().map(String::as_str),
            Some(claims.client_id.as_str()),
            "acted without being named"
        );
    }

    let is_new_session = claims.session.start == now && claims.session.id == claims.token_id;
    let mut session_end = subject.session_end;
    if is_new_session && claims.session.id != subject.claims.session.id {
        assert!(with_credential && subject.claims.is_clients_own(), "a session began without a credential");
        assert_eq!(subject.claims.client_id, claims.client_id);
        session_end = claims.session.end;
    } else {
        assert_eq!(claims.session.id, subject.claims.session.id, "left its family");
        assert_eq!(claims.session.start, subject.claims.session.start, "started later");
    }
    assert!(claims.expires_at <= session_end && claims.session.end <= session_end, "outlived its session");
    assert!(claims.expires_at > now);
    if now >= subject.claims.expires_at {
        let is_its = subject.claims.client_id == claims.client_id;
        assert!(with_credential && is_its && after == earlier, "an expired token was renewed");
        let acts = earlier.first().is_some_and(|actor| actor == claims.client_id.as_str());
        assert!(
            acts || subject.claims.is_clients_own(),
            "an expired token was renewed by another than its actor"
        );
    }
    let is_revoked = |r: &Revocation| *r == Revocation::Session(subject.claims.session.id.clone());
    assert!(!before.world.revoked.iter().any(is_revoked), "a revoked token was exchanged");
    check_everybody(before, claims);
    check_binding(before, claims, Some(&subject.claims));
    if let Some(actor) = actor {
        check_possession(before, &actor.claims);
    }
    let realm = |c: &AccessTokenClaims| (c.session.subject_issuer.clone(), c.session.asserted);
    assert_eq!(realm(claims), realm(&subject.claims), "somebody else of the same name");
    Some(session_end)
}

pub(crate) fn scope_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.scope.tokens().map(str::to_owned).collect()
}

pub(crate) fn audience_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.audience.iter().map(ToString::to_string).collect()
}

fn chain(claims: &AccessTokenClaims) -> Vec<String> {
    claims.actor.iter().flat_map(|a| a.chain()).map(|a| a.subject.to_string()).collect()
}
