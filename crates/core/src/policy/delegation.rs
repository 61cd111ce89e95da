//! Who acts for whom in the result? The chain of actors, RFC 8693 §1.1 and §4.1.

use super::Policy;
use super::proof::{Authenticated, ProvenToken};
use crate::refusal::Refusal;
use crate::{AccessTokenClaims, Actor, Issuer, Subject};

/// The chain of the result: that of the subject, with the present actor before it where there is a new one.
///
/// Laws, each with a test: an actor of the subject is never lost; the present actor is one that was authenticated; the
/// chain never has more than [`Policy::deepest_chain`] actors; who acts for himself adds nobody.
pub(crate) fn chain(
    policy: &Policy,
    client: &Authenticated,
    subject: &ProvenToken,
    actor: Option<&ProvenToken>,
) -> Result<Option<Actor>, Refusal> {
    let named = actor.map(|token| identity_of_actor(client, token)).transpose()?;
    let token = subject.claims();
    // Only a client's own token needs no right: one that it got for somebody else is renewed as long as it may act for him.
    let present = if token.client_id == *client.id() && token.is_clients_own() {
        named
    } else {
        match permission(policy, client, token)? {
            Permission::Impersonate => named,
            Permission::ActFor => Some(named.unwrap_or_else(|| identity_of_client(client))),
        }
    };
    extend(policy, token, present)
}

/// What lets a client have a token for somebody else.
enum Permission {
    ActFor,
    Impersonate,
}

/// RFC 8693 §2.1 leaves to the deployment who may exchange what; here it is registered, or the token was sent to a
/// resource server to be exchanged onwards.
fn permission(
    policy: &Policy,
    client: &Authenticated,
    token: &AccessTokenClaims,
) -> Result<Permission, Refusal> {
    let rights = &client.client().rights;
    let issuer = token.subject_issuer();
    let is_for = |patterns: &[crate::SubjectPattern]| {
        patterns.iter().any(|p| p.matches(issuer, token.subject.as_str()))
    };
    debug_assert_eq!(token.issuer, policy.issuer);
    // What it got as a resource server may since have been narrowed to where it is none.
    let is_its_own = token.client_id == *client.id() && !rights.serves.is_empty();
    let serves_it = is_its_own || rights.serves.iter().any(|served| token.audience.contains(served));
    if is_for(&rights.may_impersonate) {
        Ok(Permission::Impersonate)
    } else if is_for(&rights.may_act_for) || serves_it {
        Ok(Permission::ActFor)
    } else {
        Err(Refusal::MayNotActFor {
            client: client.id().clone(),
            of: token.client_id.clone(),
            subject: token.subject.as_str().into(),
        })
    }
}

/// An issuer and a name of his: who somebody is.
#[derive(Clone, PartialEq, Eq)]
struct Identity {
    issuer: Option<Issuer>,
    subject: Subject,
}

fn identity_of_client(client: &Authenticated) -> Identity {
    Identity { issuer: None, subject: Subject::from(client.id()) }
}

fn identity_of_subject(token: &AccessTokenClaims) -> Identity {
    Identity { issuer: token.session.subject_issuer.clone(), subject: token.subject.clone() }
}

/// The actor token has to be the asking client's, and about the client itself: somebody who is acted for is no actor
/// (conformance D24), and neither is somebody whom the client impersonates.
fn identity_of_actor(client: &Authenticated, actor: &ProvenToken) -> Result<Identity, Refusal> {
    let token = actor.claims();
    if token.client_id != *client.id() {
        return Err(Refusal::ActorOfAnotherClient {
            client: client.id().clone(),
            of: token.client_id.clone(),
        });
    }
    if !token.is_clients_own() {
        return Err(Refusal::ActorIsDelegated);
    }
    Ok(identity_of_subject(token))
}

fn extend(
    policy: &Policy,
    token: &AccessTokenClaims,
    present: Option<Identity>,
) -> Result<Option<Actor>, Refusal> {
    let outermost =
        token.actor.as_ref().map(|a| Identity { issuer: a.issuer.clone(), subject: a.subject.clone() });
    let chain = match present {
        Some(identity) if identity != identity_of_subject(token) && outermost.as_ref() != Some(&identity) => {
            Some(Actor {
                issuer: identity.issuer,
                subject: identity.subject,
                prior: token.actor.clone().map(Box::new),
            })
        }
        Some(_) | None => token.actor.clone(),
    };
    let depth = chain.as_ref().map_or(0, |outermost| outermost.chain().count());
    if depth > policy.deepest_chain {
        return Err(Refusal::ChainTooDeep { depth, deepest: policy.deepest_chain });
    }
    Ok(chain)
}
