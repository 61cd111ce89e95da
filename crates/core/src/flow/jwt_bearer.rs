//! The steps that verify an assertion before it is a grant: RFC 7523 §2.1 and §3.

use super::known::{Known, Possessed, conclude};
use super::party::{self, Checking};
use super::question::ask;
use super::sign::Decision;
use super::step::Step;
use super::use_once::UseOnce;
use crate::issuer::AcceptedAs;
use crate::policy::exchange;
use crate::policy::foreign_token;
use crate::policy::parties::Parties;
use crate::policy::party::{ProvenForeign, ProvenSubject};
use crate::policy::proof::Authenticated;
use crate::refusal::{Refusal, TokenFault, WithoutRight};
use crate::request::token_request::JwtBearerRequest;
use crate::token::SingleUseId;
use crate::{CompactJws, Excerpt};
use std::sync::Arc;

pub(super) fn begin(
    known: Known,
    client: Authenticated,
    request: JwtBearerRequest,
    possessed: Possessed,
) -> Result<Step, Refusal> {
    let used_as = AcceptedAs::JwtBearer;
    let token =
        CompactJws::parse(request.assertion.expose()).map_err(|fault| Refusal::Assertion(fault.into()))?;
    let issuer = foreign_token::issuer_of(&token, used_as).map_err(Refusal::Assertion)?;
    let checking = Checking {
        policy: Arc::clone(&known.policy),
        now: known.now,
        possession: possessed.possession.clone(),
    };
    let id = client.id().clone();
    let then = move |subject: Result<_, _>| {
        granted(known, &client, &request, possessed, subject.map_err(Refusal::Assertion)?)
    };
    Ok(party::foreign(&checking, token, &issuer, used_as, id, then))
}

/// As for a subject that is exchanged without an actor: the same policy decides, whatever the grant is called (conformance GB-04).
fn granted(
    known: Known,
    client: &Authenticated,
    request: &JwtBearerRequest,
    possessed: Possessed,
    subject: ProvenForeign,
) -> Result<Step, Refusal> {
    let once = once(&subject);
    let subject = ProvenSubject::Foreign(subject);
    let parties = Parties { client, subject: &subject, actor: None, possession: &possessed.possession };
    let requested = (&request.scope, &request.targets[..]);
    let claims = exchange::grant(&known.policy, &parties, requested, known.now, known.id.clone());
    // RFC 7523 §3.1: an assertion that is not valid here is an invalid grant.
    let claims = claims.map_err(|refusal| {
        if let Refusal::SubjectToken(fault) = refusal {
            Refusal::Assertion(fault)
        } else if let Refusal::MayNotActFor { client, subject, issuer, .. } = refusal {
            Refusal::Assertion(TokenFault::MayNotActFor(WithoutRight::boxed(&client, issuer, &subject)))
        } else {
            refusal
        }
    })?;
    let decision = Decision::jwt_bearer(known.method, request.scope.clone(), &subject).of_client(client);
    let claims = known.decided(claims, &decision)?;
    let limits = known.explains(|| exchange::limits(&known.policy, &parties));
    match once {
        None => conclude(&known, claims, decision, limits, possessed.once),
        Some(once) => Ok(ask(UseOnce::new(
            once,
            |once| Refusal::AssertionReplayed(Excerpt::of_claim(&once.id)),
            move || conclude(&known, claims, decision, limits, possessed.once),
        ))),
    }
}

/// RFC 7523 §3: `jti` is optional; an assertion that has one is single-use.
fn once(subject: &ProvenForeign) -> Option<SingleUseId> {
    let claims = subject.claims();
    let id = claims.token_id.clone()?;
    let namespace = format!("jwt_bearer {}", claims.issuer.issuer).into();
    let until = claims.times.expires_at.plus(claims.issuer.trust.leeway);
    Some(SingleUseId { namespace, id, issued_at: claims.times.issued_at, until })
}
