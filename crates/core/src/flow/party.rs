//! Verifies each token of an exchange and identifies its subject, whatever its issuer; RFC 8693 §2.1.

use super::check_status::{CheckStatus, CheckSubjectStatus};
use super::find_client::FindClient;
use super::find_issuer::FindIssuer;
use super::keys_of::KeysOf;
use super::question::{Asks, ask};
use super::read_token::ReadToken;
use super::verify_token::VerifyToken;
use super::who::Who;
use crate::issuer::AcceptedAs;
use crate::policy::party::{self, ProvenForeign, UnsecuredUser};
use crate::policy::proof::{ProvenToken, ValidToken};
use crate::policy::signed_token::TokenReading;
use crate::policy::{Policy, access_token, foreign_token};
use crate::refusal::{Refusal, TokenFault};
use crate::types::confirmation::Possession;
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{AccessTokenClaims, ClientId, CompactJws, Issuer, Secret, Subject, Timestamp};
use std::sync::Arc;

/// What every token of a request is checked under.
#[derive(Clone)]
pub(crate) struct Checking {
    pub(crate) policy: Arc<Policy>,
    pub(crate) now: Timestamp,
    pub(crate) possession: Possession,
}

/// Continues with a valid token, or with what is wrong with it.
pub(crate) trait Then<S, P>:
    FnOnce(Result<P, TokenFault>) -> Result<S, Refusal> + Send + 'static
{
}

impl<S, P, F: FnOnce(Result<P, TokenFault>) -> Result<S, Refusal> + Send + 'static> Then<S, P> for F {}

/// The rule that decides which expired tokens are accepted.
pub(crate) trait Times: FnOnce(&AccessTokenClaims) -> Result<(), TokenFault> + Send + 'static {}

impl<F: FnOnce(&AccessTokenClaims) -> Result<(), TokenFault> + Send + 'static> Times for F {}

/// What a presented token turned out to be.
pub(crate) enum Presented<P> {
    /// A good token of ours.
    Ours(P),
    /// A token that another issuer may have made.
    Foreign(CompactJws),
}

/// Verifies a token that may be ours, and that possession of every key that it is bound to is proven.
pub(crate) fn own<S: Asks + 'static>(
    checking: &Checking,
    token: Secret,
    times: impl Times,
    then: impl Then<S, Presented<ProvenToken>>,
) -> S {
    let Checking { policy, now, possession } = checking.clone();
    valid_token(policy, now, token, times, move |token| {
        then(token.and_then(|token| {
            Ok(match token {
                Presented::Ours(token) => Presented::Ours(access_token::possessed(token, &possession)?),
                Presented::Foreign(token) => Presented::Foreign(token),
            })
        }))
    })
}

/// The same, without proof of possession of the keys that the token is bound to.
pub(crate) fn valid_token<S: Asks + 'static>(
    policy: Arc<Policy>,
    now: Timestamp,
    token: Secret,
    times: impl Times,
    then: impl Then<S, Presented<ValidToken>>,
) -> S {
    let leeway = policy.clock_leeway;
    ask(ReadToken::new(token, policy, now, move |reading| {
        let token = match reading {
            TokenReading::Ours(token) => token,
            TokenReading::Foreign(token) => return then(Ok(Presented::Foreign(token))),
            TokenReading::Bad(fault) => return then(Err(fault)),
        };
        let claims = token.begun(now, leeway).cloned();
        match claims.and_then(|claims| times(&claims).map(|()| claims)) {
            Err(fault) => then(Err(fault)),
            Ok(claims) => Ok(ask(CheckStatus::new(claims, move |claims, status| {
                let token = access_token::valid(claims, status).and_then(access_token::at_home);
                then(token.map(Presented::Ours))
            }))),
        }
    }))
}

/// Verifies a token of another issuer, after checking that the issuer is trusted.
pub(crate) fn foreign<S: Asks + 'static>(
    checking: &Checking,
    token: CompactJws,
    issuer: &str,
    used_as: AcceptedAs,
    client: ClientId,
    then: impl Then<S, ProvenForeign>,
) -> S {
    let Checking { policy, now, possession } = checking.clone();
    ask(FindIssuer::new(issuer, move |trusted| {
        let issuer = match trusted {
            Ok(issuer) => issuer,
            Err(fault) => return then(Err(fault)),
        };
        if let Err(fault) = foreign_token::check_accepted(&issuer, used_as) {
            return then(Err(fault));
        }
        let keys = KeysOf::Issuer(Arc::clone(&issuer));
        Ok(ask(VerifyToken::new(token, keys, now, move |token, verified| {
            let claims = foreign_token::claims(&policy, &token, verified, &issuer, used_as, &client, now);
            match claims {
                Err(fault) => then(Err(fault)),
                Ok(claims) => {
                    let names = (claims.subject.clone(), claims.sub.clone());
                    Ok(ask(CheckSubjectStatus::of_subject(issuer.issuer.clone(), names, move |status| {
                        then(ProvenForeign::of(claims, status, &possession))
                    })))
                }
            }
        })))
    }))
}

/// Checks an unsecured user: the name must not be that of a client of ours, and the user must not be disabled.
pub(crate) fn unsecured<S: Asks + 'static>(
    checking: &Checking,
    text: &str,
    may_assert: impl FnOnce(&Subject) -> Result<(), TokenFault>,
    then: impl Then<S, UnsecuredUser>,
) -> Result<S, Refusal> {
    let (policy, now) = (&checking.policy, checking.now);
    let name = UnsecuredJwt::parse(text)
        .map_err(TokenFault::from)
        .and_then(|token| party::unsecured_name(&token, now, policy.clock_leeway))
        .and_then(|name| may_assert(&name).map(|()| name));
    let name = match name {
        Ok(name) => name,
        Err(fault) => return then(Err(fault)),
    };
    match name.as_str().parse() {
        // No client can be registered under such a name.
        Err(_) => Ok(ask_about(policy.issuer.clone(), name, false, now, then)),
        Ok(id) => {
            let own = policy.issuer.clone();
            Ok(ask(FindClient::new(Who::Id(id), move |client| {
                Ok(ask_about(own, name, client.is_some(), now, then))
            })))
        }
    }
}

fn ask_about<S: Asks + 'static>(
    own: Issuer,
    name: Subject,
    is_client: bool,
    now: Timestamp,
    then: impl Then<S, UnsecuredUser>,
) -> S {
    ask(CheckSubjectStatus::of_user(own, name.clone(), move |status| {
        then(UnsecuredUser::of(name, is_client, status, now))
    }))
}
