//! The subject and the actor of an exchange, RFC 8693 §1.1, each verified before, and the rights they pass on.

use super::foreign_times;
use super::foreign_token::{self, ForeignClaims};
use super::proof::ProvenToken;
use crate::answers::SubjectStatus;
use crate::issuer::Namesake;
use crate::refusal::{AgeLimit, Involved, Involvement, NotPossessed, Principal, TokenFault};
use crate::token::{Actor, ClaimFault, Confirmation, Defect, MayAct};
use crate::types::claim_reading::parsed;
use crate::types::confirmation::Possession;
use crate::types::subject::SPACE_AT_AN_END;
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{AccessTokenClaims, Issuer, Lifetime, Scope, Subject, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// A subject for whom a client may request a token.
#[derive(Clone)]
pub(crate) enum ProvenSubject {
    /// By a token of ours.
    Own(ProvenToken),
    /// By a token of an issuer that is trusted.
    Foreign(ProvenForeign),
    /// An unsecured user, named only by the client that acts for it.
    Unsecured(UnsecuredUser),
}

/// A party that acts for the subject.
#[derive(Clone)]
pub(crate) enum ProvenActor {
    /// By a token of ours.
    Own(ProvenToken),
    /// By a token of an issuer that is trusted.
    Foreign(ProvenForeign),
}

/// A foreign token whose signature, claims and times are valid, whose subject the operator has not disabled, and for which possession of
/// every key that it is bound to is proven.
#[derive(Clone)]
pub(crate) struct ProvenForeign {
    claims: Arc<ForeignClaims>,
    namesake: Option<Namesake>,
}

/// An unsecured user that a client named, who is not a client of ours and not disabled. It grants nothing without an actor that may
/// assert it.
#[derive(Clone)]
pub(crate) struct UnsecuredUser {
    name: Subject,
    namesake: Option<Namesake>,
}

/// The identity of a principal: its name and the realm of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) realm: Realm,
    pub(crate) subject: Subject,
}

/// The authority that gave the name. The same name in two realms is two principals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Realm {
    /// We did: it is the identifier of a client.
    Ours,
    /// Another issuer gave the name.
    Of(Issuer),
    /// Only a client states the name, without a signature.
    Unsecured,
}

impl ProvenForeign {
    /// The one way to one.
    pub(crate) fn of(
        claims: ForeignClaims,
        status: SubjectStatus,
        possession: &Possession,
    ) -> Result<Self, TokenFault> {
        foreign_token::check_status(&claims.issuer, &claims.subject, claims.times, &status)?;
        // RFC 9700 §2.2.1: what is bound to a key is not exchanged without that key.
        if let Some(bound) = claims.confirmation.as_ref().filter(|bound| !possession.fulfils(bound)) {
            return Err(TokenFault::Bound(NotPossessed::boxed(bound, possession)));
        }
        Ok(Self { claims: Arc::new(claims), namesake: status.namesake })
    }

    pub(crate) fn claims(&self) -> &ForeignClaims {
        &self.claims
    }

    pub(crate) fn identity(&self) -> Identity {
        let claims = &self.claims;
        Identity { realm: Realm::Of(claims.issuer.issuer.clone()), subject: claims.subject.clone() }
    }
}

/// The maximum age of an unsecured assertion: the actor makes it when it needs it (conformance TX-67).
const FRESH: Lifetime = Lifetime::from_seconds(300);

/// The user that an unsecured JWT names. All other claims are ignored, because no issuer vouches for them.
pub(crate) fn unsecured_name(
    token: &UnsecuredJwt,
    now: Timestamp,
    leeway: Lifetime,
) -> Result<Subject, TokenFault> {
    let payload = token.unverified_payload();
    let subject = parsed::<Subject>(payload, "sub")?;
    if subject.has_space_at_an_end() {
        return Err(ClaimFault::new("sub", Defect::of_text(payload.get("sub"), SPACE_AT_AN_END)).into());
    }
    let issued = foreign_times::numeric_date(payload, "iat")?.ok_or_else(|| ClaimFault::missing("iat"))?;
    if issued > now.plus(leeway) {
        return Err(TokenFault::NotYetValid { claim: "iat", from: issued, now, leeway });
    }
    if now > issued.plus(FRESH) {
        return Err(TokenFault::TooOld { issued, now, most: FRESH, limit: AgeLimit::Unsecured });
    }
    let Some(exp) = payload.get("exp") else { return Ok(subject) };
    // An `exp` beyond all times is as good as none; one in the past is meant.
    match exp.as_f64() {
        None => Err(ClaimFault::new("exp", Defect::of(Some(exp), Value::is_number, "a number")).into()),
        Some(end) if (now.as_seconds() as f64) < end => Ok(subject),
        Some(end) => {
            let expired = Timestamp::from_seconds(end.max(0.0) as i64).unwrap_or(now);
            Err(TokenFault::Expired { expired, now, leeway: Lifetime::ZERO })
        }
    }
}

impl UnsecuredUser {
    /// The one way to one: the name is not that of a client of ours (conformance TX-66), and the operator has not disabled it.
    pub(crate) fn of(
        name: Subject,
        is_client: bool,
        status: SubjectStatus,
        now: Timestamp,
    ) -> Result<Self, TokenFault> {
        if is_client {
            return Err(TokenFault::AssertsClient(name));
        }
        if status.disabled {
            let user = Principal::User(None, name.as_str().into());
            return Err(TokenFault::Disabled(Involved::boxed(Involvement::Subject, user)));
        }
        match status.revoked_before {
            Some(before) if now < before => {
                Err(TokenFault::Revoked(Box::new(crate::Revocation::Subject { before })))
            }
            Some(_) | None => Ok(Self { name, namesake: status.namesake }),
        }
    }
}

impl ProvenSubject {
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Self::Own(token) => identity_of(token.claims()),
            Self::Foreign(token) => token.identity(),
            Self::Unsecured(user) => Identity { realm: Realm::Unsecured, subject: user.name.clone() },
        }
    }

    /// The `sub` of our tokens for this subject.
    pub(crate) fn sub(&self) -> &Subject {
        match self {
            Self::Own(token) => &token.claims().subject,
            Self::Foreign(token) => &token.claims().sub,
            Self::Unsecured(user) => &user.name,
        }
    }

    /// The other principal that catalogs would confuse it with. For a token of ours, [`access_token::valid`] has compared that.
    ///
    /// [`access_token::valid`]: super::access_token::valid
    pub(crate) fn namesake(&self) -> Option<&Namesake> {
        match self {
            Self::Own(_) => None,
            Self::Foreign(token) => token.namesake.as_ref(),
            Self::Unsecured(user) => user.namesake.as_ref(),
        }
    }

    /// The prior actors. Those that a foreign token names are history that we do not vouch for (conformance TX-53).
    pub(crate) fn prior(&self) -> Option<&Actor> {
        match self {
            Self::Own(token) => token.claims().actor.as_ref(),
            Self::Foreign(_) | Self::Unsecured(_) => None,
        }
    }

    /// The scope that it may have; `None` if that is the scope of its actor.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Own(token) => Some(&token.claims().scope),
            Self::Foreign(token) => Some(&token.claims().scope),
            Self::Unsecured(_) => None,
        }
    }

    /// Our own token, if it is one.
    pub(crate) fn own(&self) -> Option<&ProvenToken> {
        match self {
            Self::Own(token) => Some(token),
            Self::Foreign(_) | Self::Unsecured(_) => None,
        }
    }

    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Own(token) => token.claims().confirmation.as_ref(),
            Self::Foreign(token) => token.claims().confirmation.as_ref(),
            Self::Unsecured(_) => None,
        }
    }

    /// The only party that its issuer permits to act, for as long as its session lasts.
    pub(crate) fn may_act(&self) -> Option<&MayAct> {
        match self {
            Self::Foreign(token) => token.claims().may_act.as_ref(),
            Self::Own(token) => token.claims().session.provenance.as_ref()?.may_act.as_ref(),
            Self::Unsecured(_) => None,
        }
    }

    /// `jti` of the token.
    pub(crate) fn token_id(&self) -> Option<Box<str>> {
        match self {
            Self::Own(token) => Some(token.claims().token_id.as_str().into()),
            Self::Foreign(token) => token.claims().token_id.clone(),
            Self::Unsecured(_) => None,
        }
    }
}

impl ProvenActor {
    pub(crate) fn token_id(&self) -> Option<Box<str>> {
        match self {
            Self::Own(token) => Some(token.claims().token_id.as_str().into()),
            Self::Foreign(token) => token.claims().token_id.clone(),
        }
    }

    pub(crate) fn scope(&self) -> &Scope {
        match self {
            Self::Own(token) => &token.claims().scope,
            Self::Foreign(token) => &token.claims().scope,
        }
    }

    /// The audience of its own token, if that limits the result.
    pub(crate) fn audience(&self) -> Option<&[Box<str>]> {
        match self {
            Self::Own(token) => Some(&token.claims().audience),
            Self::Foreign(_) => None,
        }
    }

    /// The keys that its token is bound to.
    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Own(token) => token.claims().confirmation.as_ref(),
            Self::Foreign(token) => token.claims().confirmation.as_ref(),
        }
    }

    /// When the last token that was obtained with it has to end.
    pub(crate) fn end(&self) -> Timestamp {
        match self {
            Self::Own(token) => token.claims().session.end,
            Self::Foreign(token) => token.claims().times.expires_at,
        }
    }
}

/// The subject of a token of ours.
pub(crate) fn identity_of(token: &AccessTokenClaims) -> Identity {
    let realm = match (&token.session.subject_issuer, token.session.unsecured) {
        (Some(issuer), _) => Realm::Of(issuer.clone()),
        (None, true) => Realm::Unsecured,
        (None, false) => Realm::Ours,
    };
    Identity { realm, subject: token.issuer_subject().clone() }
}

impl Realm {
    /// The issuer as it is written in `act`. `act` cannot express an unsecured user, who never acts.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Of(issuer) => Some(issuer),
            Self::Ours | Self::Unsecured => None,
        }
    }
}
