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
    let present = if token.client_id == *client.id() {
        named
    } else {
        match permission(policy, client, token)? {
            Permission::Impersonate => named,
            Permission::ActFor => Some(named.unwrap_or_else(|| identity_of_client(client))),
        }
    };
    extend(policy, token, present)
}

/// What lets a client exchange a token that was issued to another.
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
    if is_for(&rights.may_impersonate) {
        Ok(Permission::Impersonate)
    } else if is_for(&rights.may_act_for)
        || rights.serves.iter().any(|served| token.audience.contains(served))
    {
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

/// The actor token has to be the asking client's, and his own: somebody who is acted for is no actor (conformance D24).
fn identity_of_actor(client: &Authenticated, actor: &ProvenToken) -> Result<Identity, Refusal> {
    let token = actor.claims();
    if token.client_id != *client.id() {
        return Err(Refusal::ActorOfAnotherClient {
            client: client.id().clone(),
            of: token.client_id.clone(),
        });
    }
    if token.actor.is_some() {
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
