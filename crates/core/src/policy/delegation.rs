//! The chain of actors of an exchange's result: RFC 8693 §1.1, §4.1 and §4.4.

use super::Policy;
use super::parties::Parties;
use super::party::{Identity, ProvenActor, ProvenSubject, Realm, identity_of};
use super::proof::Authenticated;
use crate::refusal::{DelegatedActor, MayNotAct, Refusal, TokenFault, WithoutRight};
use crate::registration::SubjectPattern;
use crate::token::Actor;
use crate::{Client, Issuer, Subject};

/// The actors of the result, and the right by which they act.
pub(crate) struct Delegation {
    /// The present actor and the prior ones; `None` if the subject has no actor.
    pub(crate) chain: Option<Actor>,
    /// Whether the present actor is another one than that of the subject token.
    pub(crate) is_extended: bool,
    /// The audience as whose resource server the client obtained the token.
    pub(crate) served: Option<Box<str>>,
}

/// The chain of the result: that of the subject, with the present actor before it where there is a new one.
///
/// Laws, each with a test: an actor of the subject is never lost; the present actor is one that was authenticated; the chain never has
/// more than [`Policy::deepest_chain`] actors; a party that acts for itself adds no actor; only the parties that the subject's issuer
/// permits may act, for as long as the session lasts.
pub(crate) fn of(policy: &Policy, parties: &Parties<'_>) -> Result<Delegation, Refusal> {
    let Parties { client, subject, actor, .. } = *parties;
    let named = actor.map(|actor| identity_of_actor(policy, client, actor)).transpose()?;
    check_may_act(policy, client, subject, named.as_ref())?;
    let served = served(client, subject);
    // Only a client's own token needs no right: a token obtained for another subject is renewed as long as the client may act for it.
    let is_its_own = subject
        .own()
        .is_some_and(|token| token.claims().client_id == *client.id() && token.claims().is_clients_own());
    let present = if is_its_own {
        named
    } else {
        match permission(policy, client, subject, served)? {
            Permission::Impersonate => named,
            Permission::ActFor => Some(named.unwrap_or_else(|| identity_of_client(client))),
        }
    };
    let (chain, is_extended) = extend(policy, subject, present)?;
    Ok(Delegation { chain, is_extended, served: served.map(Into::into) })
}

/// The permission by which a client may obtain a token for another subject.
enum Permission {
    ActFor,
    Impersonate,
}

/// RFC 8693 §2.1 leaves to the deployment who may exchange what; here it is registered, or the token was sent to a
/// resource server to be exchanged onwards.
fn permission(
    policy: &Policy,
    client: &Authenticated,
    subject: &ProvenSubject,
    served: Option<&str>,
) -> Result<Permission, Refusal> {
    let rights = &client.client().rights;
    let identity = subject.identity();
    if matches(policy, &rights.may_impersonate, &identity) {
        return Ok(Permission::Impersonate);
    }
    let is_public = client.is_public();
    let may_assert = identity.realm == Realm::Unsecured && may_assert(client.client(), &identity.subject);
    if !is_public && (matches(policy, &rights.may_act_for, &identity) || may_assert || served.is_some()) {
        return Ok(Permission::ActFor);
    }
    let of = subject.own().map(|token| token.claims().client_id.clone());
    let issuer = issuer_of(policy, &identity.realm).cloned();
    let (client, subject) = (client.id().clone(), identity.subject.as_str().into());
    Err(Refusal::MayNotActFor { client, of, subject, issuer })
}

/// The audience that the client serves, if the token was sent to it there: so it may have it exchanged onwards. What it obtained
/// itself was not sent to it; it goes on with what it obtained as the resource server of an audience that it still serves.
pub(crate) fn served<'a>(client: &'a Authenticated, subject: &ProvenSubject) -> Option<&'a str> {
    let token = subject.own().filter(|_| !client.is_public())?.claims();
    let mut served = client.client().rights.serves.iter().map(AsRef::as_ref);
    if token.client_id == *client.id() {
        let known = token.session.served()?;
        return served.find(|audience| *audience == known);
    }
    served.find(|audience| token.audience.iter().any(|aud| **aud == **audience))
}

/// A pattern names an issuer, so it never matches an unsecured user, whose name only a client states.
fn matches(policy: &Policy, patterns: &[SubjectPattern], identity: &Identity) -> bool {
    let Some(issuer) = issuer_of(policy, &identity.realm) else { return false };
    patterns.iter().any(|pattern| pattern.matches(issuer, identity.subject.as_str()))
}

/// The issuer of the name; an unsecured name has none.
fn issuer_of<'a>(policy: &'a Policy, realm: &'a Realm) -> Option<&'a Issuer> {
    match realm {
        Realm::Ours => Some(&policy.issuer),
        Realm::Of(issuer) => Some(issuer),
        Realm::Unsecured => None,
    }
}

/// Whether the client may name this user without a proof (conformance TX-61, TX-66).
pub(crate) fn may_assert(client: &Client, user: &Subject) -> bool {
    client.rights.may_assert_users.iter().any(|pattern| pattern.matches(user.as_str()))
}

/// RFC 8693 §4.4: who "is authorized to become the actor". It is checked in every exchange, for as long as the session lasts. If no actor
/// is named, the client is the actor.
fn check_may_act(
    policy: &Policy,
    client: &Authenticated,
    subject: &ProvenSubject,
    named: Option<&Identity>,
) -> Result<(), Refusal> {
    let Some(may_act) = subject.may_act() else { return Ok(()) };
    let client = identity_of_client(client);
    let acting = named.unwrap_or(&client);
    let is_its_issuer = match &may_act.issuer {
        // RFC 8693 §4.4: "the combination of the two claims "iss" and "sub" are sometimes necessary to uniquely identify". Without an
        // issuer, it names a client of ours or another subject of its own issuer, not a subject of a third issuer with the same name.
        None => acting.realm == Realm::Ours || acting.realm == subject.identity().realm,
        Some(issuer) => acting.realm.issuer().unwrap_or(&policy.issuer) == issuer,
    };
    if is_its_issuer && acting.subject == may_act.subject {
        return Ok(());
    }
    let actor_issuer = acting.realm.issuer().cloned();
    let fault = MayNotAct { may_act: may_act.clone(), actor_issuer, actor: acting.subject.clone() };
    Err(Refusal::SubjectToken(TokenFault::MayNotAct(Box::new(fault))))
}

fn identity_of_client(client: &Authenticated) -> Identity {
    Identity { realm: Realm::Ours, subject: Subject::from(client.id()) }
}

/// An actor token of ours has to be issued to the requesting client and be about the client itself: a subject with an actor cannot be an
/// actor (conformance D24), and neither can a subject that the client impersonates. A foreign actor has to be a subject for whom the
/// client may act.
fn identity_of_actor(
    policy: &Policy,
    client: &Authenticated,
    actor: &ProvenActor,
) -> Result<Identity, Refusal> {
    let token = match actor {
        ProvenActor::Own(token) => token.claims(),
        ProvenActor::Foreign(token) => {
            let identity = token.identity();
            let rights = &client.client().rights;
            let may = [&rights.may_act_for, &rights.may_impersonate];
            if client.is_public() || !may.iter().any(|patterns| matches(policy, patterns, &identity)) {
                let issuer = identity.realm.issuer().cloned();
                let fault = WithoutRight::boxed(client.id(), issuer, identity.subject.as_str());
                return Err(Refusal::ActorToken(TokenFault::NotThisActor(fault)));
            }
            return Ok(identity);
        }
    };
    if token.client_id != *client.id() {
        return Err(Refusal::ActorOfAnotherClient {
            client: client.id().clone(),
            of: token.client_id.clone(),
        });
    }
    if !token.is_clients_own() {
        return Err(Refusal::ActorIsDelegated(DelegatedActor::About(token.subject.clone())));
    }
    Ok(identity_of(token))
}

fn extend(
    policy: &Policy,
    subject: &ProvenSubject,
    present: Option<Identity>,
) -> Result<(Option<Actor>, bool), Refusal> {
    let prior = subject.prior();
    let is_outermost = |identity: &Identity| {
        prior.is_some_and(|a| a.issuer.as_ref() == identity.realm.issuer() && a.subject == identity.subject)
    };
    let added = present.filter(|present| *present != subject.identity() && !is_outermost(present));
    let is_extended = added.is_some();
    let chain = match added {
        Some(present) => Some(Actor {
            issuer: present.realm.issuer().cloned(),
            subject: present.subject,
            prior: prior.cloned().map(Box::new),
        }),
        None => prior.cloned(),
    };
    let depth = chain.as_ref().map_or(0, |outermost| outermost.chain().count());
    if depth > policy.deepest_chain {
        return Err(Refusal::ChainTooDeep { depth, deepest: policy.deepest_chain });
    }
    Ok((chain, is_extended))
}
