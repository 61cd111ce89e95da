//! Gathers the present status of a token from what is in memory.

use super::Answers;
use crate::answers::SubjectStatus;
use crate::policy::token_status::{ParticipantsStatus, TokenStatus};
use crate::refusal::Principal;
use crate::token::{Origin, Participant};
use crate::{AccessTokenClaims, AuthMethod, Client, Issuer};

impl TokenStatus {
    /// Collects everything that has to be recalled about the token.
    #[must_use]
    pub fn of(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> Self {
        let client = answers.client(&token.client_id);
        let foreign = token.session.subject_issuer.as_ref();
        let is_ours = foreign.is_none() && !token.session.unsecured;
        let principal = if !is_ours {
            None
        } else if token.client_id == *token.subject.as_str() {
            client.clone()
        } else {
            token.subject.as_str().parse().ok().and_then(|id| answers.client(&id))
        };
        let subject = if is_ours {
            SubjectStatus::default()
        } else {
            answers.subject(foreign, token.issuer_subject().as_str(), token.subject.as_str())
        };
        let issuer = foreign.and_then(|issuer| answers.issuer(issuer.as_str()));
        let is_vouched_for = client.as_ref().is_none_or(|client| is_vouched_for(answers, token, client));
        let participants = participants_status(answers, token);
        Self {
            revocation: answers.revoked(token),
            client,
            principal,
            subject,
            issuer,
            is_vouched_for,
            participants,
        }
    }
}

fn participants_status(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> ParticipantsStatus {
    use ParticipantsStatus::{Disabled, Gone, NotVouchedFor};
    for Participant { issuer, subject, .. } in token.other_participants() {
        match issuer {
            // The client of the token itself is recalled anyway.
            None if token.client_id == *subject => {}
            None => match subject.parse().ok().and_then(|id| answers.client(&id)) {
                None => return Gone(Principal::Client(subject.into())),
                Some(client) if !client.enabled => return Disabled(Principal::Client(subject.into())),
                Some(client) if !is_vouched_for(answers, token, &client) => {
                    return NotVouchedFor(client.id.clone());
                }
                Some(_) => {}
            },
            Some(issuer) => match answers.issuer(issuer.as_str()) {
                None => return Gone(Principal::Issuer(issuer.clone())),
                Some(trusted) if !trusted.enabled => return Disabled(Principal::Issuer(issuer.clone())),
                Some(trusted) => {
                    if answers.subject(Some(issuer), subject, &trusted.trust.sub_of(subject)).disabled {
                        return Disabled(Principal::User(Some(issuer.clone()), subject.into()));
                    }
                }
            },
        }
    }
    identities_status(answers, token)
}

/// Whether the identities by which clients authenticated are still registered for them. Their issuers and subjects are participants.
fn identities_status(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> ParticipantsStatus {
    use ParticipantsStatus::{Disabled, Gone, NotFederated};
    for origin in token.origins() {
        let Origin::Identity { issuer, subject, client: id, .. } = origin else { continue };
        let Some(client) = answers.client(id) else { return Gone(Principal::Client(id.as_str().into())) };
        if !client.enabled {
            return Disabled(Principal::Client(id.as_str().into()));
        }
        if !client.rights.federations.iter().any(|registered| registered.is_of(issuer, subject.as_str())) {
            return NotFederated(id.clone(), issuer.clone(), subject.clone());
        }
    }
    ParticipantsStatus::Good
}

/// Whether the token names the identity by which the client authenticated, the client has its own credential, or an issuer that vouches
/// for it is still trusted. Tokens of earlier builds do not name the identity.
fn is_vouched_for(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims, client: &Client) -> bool {
    let is_of_client =
        |origin: &Origin| matches!(origin, Origin::Identity { client: id, .. } if *id == client.id);
    let is_trusted = |issuer: &Issuer| answers.issuer(issuer.as_str()).is_some_and(|issuer| issuer.enabled);
    client.rights.auth_method != AuthMethod::Federated
        || token.origins().any(is_of_client)
        || client.rights.federations.iter().any(|federation| is_trusted(&federation.issuer))
}
