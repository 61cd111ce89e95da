//! Decides as if the operator followed an advice, so that an advice contains all the steps to a token, not only the first one.

use super::command::fit;
use super::findings::Findings;
use super::verdict::{Explanation, Verdict};
use crate::answers::SubjectStatus;
use crate::backends::{KeysUnavailable, NotWritten};
use crate::refusal::IssuerRule;
use crate::token::SingleUseId;
use crate::{
    AccessTokenClaims, Answers, Blocking, Client, ClientId, CompactJws, Issuer, Keys, Refusal, Revocation,
    Rights, Secret, SecretDigest, SignatureFault, Timestamp, TokenFault, TrustedIssuer, Verified,
};
use std::sync::Arc;

/// The answers, with registrations as they would be.
pub(super) struct Supposed<'a, A: ?Sized> {
    answers: &'a A,
    clients: Vec<Arc<Client>>,
    issuers: Vec<Supposition>,
}

/// An issuer as it would be registered.
struct Supposition {
    trusted: Arc<TrustedIssuer>,
    /// The one that is registered now: it has the keys, and its users are known.
    present: Arc<TrustedIssuer>,
}

/// Fetches the keys of the issuer as it is registered now, even if the advice supposes another registration.
pub(super) struct WithKeys<'a, A: ?Sized, B: ?Sized> {
    pub(super) supposed: &'a Supposed<'a, A>,
    pub(super) blocking: &'a B,
}

impl<'a, A: Answers + ?Sized> Supposed<'a, A> {
    pub(super) fn new(answers: &'a A) -> Self {
        Self { answers, clients: Vec::new(), issuers: Vec::new() }
    }

    /// Supposes that what an explanation advises is done, where that is one change of a client or an issuer which may lead to another
    /// refusal. Returns whether anything changes.
    pub(super) fn follow(&mut self, explanation: &Explanation) -> bool {
        let Verdict::Refused(refusing) = &explanation.verdict else { return false };
        if let Refusal::SubjectToken(fault)
        | Refusal::ActorToken(fault)
        | Refusal::Assertion(fault)
        | Refusal::ClientAssertion(fault) = &refusing.refusal
        {
            return self.follow_fault(fault, &Findings::of(&explanation.rules)).is_some();
        }
        if let Refusal::GrantNotAllowed { client, grant, .. } = &refusing.refusal {
            return self.change(client, |rights| rights.grants.push(*grant)).is_some();
        }
        let Refusal::MayNotActFor { client, subject, issuer: Some(issuer), .. } = &refusing.refusal else {
            return false;
        };
        let pattern = fit(subject).and_then(|subject| format!("{issuer}|{subject}").parse().ok());
        pattern.and_then(|pattern| self.change(client, |rights| rights.may_act_for.push(pattern))).is_some()
    }

    fn follow_fault(&mut self, fault: &TokenFault, found: &Findings<'_>) -> Option<()> {
        if let TokenFault::NotAcceptedAs(fault) = fault {
            let present = self.issuer(fault.issuer.as_str())?;
            let mut trusted = (*present).clone();
            trusted.trust.accept.push(fault.used_as);
            self.trust(trusted, &present);
            return Some(());
        }
        let TokenFault::Issuer { rule: IssuerRule::Trusted, .. } = fault else { return None };
        let searched = found.searched?;
        let (issuer, near) = (Issuer::foreign(searched.issuer).ok()?, searched.near?);
        if issuer.is_plain_http() && !near.trust.insecure_http {
            return None;
        }
        self.trust(TrustedIssuer { issuer, enabled: true, trust: near.trust.clone() }, near);
        Some(())
    }

    fn trust(&mut self, trusted: TrustedIssuer, present: &TrustedIssuer) {
        // What is supposed of one that is supposed already has the keys of the same one.
        let known = self.issuers.iter().find(|known| known.trusted.issuer == present.issuer);
        let present = known.map_or_else(|| Arc::new(present.clone()), |known| Arc::clone(&known.present));
        self.issuers.retain(|known| known.trusted.issuer != trusted.issuer);
        self.issuers.push(Supposition { trusted: Arc::new(trusted), present });
    }

    fn change(&mut self, id: &ClientId, change: impl FnOnce(&mut Rights)) -> Option<()> {
        let mut client = self.client(id)?;
        change(Arc::make_mut(&mut Arc::make_mut(&mut client).rights));
        self.clients.retain(|known| known.id != *id);
        self.clients.push(client);
        Some(())
    }

    fn supposed(&self, issuer: &str) -> Option<&Supposition> {
        self.issuers.iter().find(|known| known.trusted.issuer.as_str() == issuer)
    }
}

impl<A: Answers + ?Sized> Answers for Supposed<'_, A> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        let supposed = self.clients.iter().find(|known| known.id == *id).cloned();
        supposed.or_else(|| self.answers.client(id))
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        self.answers.digest(client_id, secret)
    }

    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool {
        self.answers.is_costly(client_id, secret)
    }

    fn may_be_guessed(&self, secret: &Secret) -> bool {
        self.answers.may_be_guessed(secret)
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.answers.revoked(token)
    }

    fn keys(&self) -> &dyn Keys {
        self.answers.keys()
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        let supposed = self.supposed(issuer).map(|known| Arc::clone(&known.trusted));
        supposed.or_else(|| self.answers.issuer(issuer))
    }

    fn similar_issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.answers.similar_issuer(issuer)
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        let client = self.answers.federated(issuer, subject)?;
        self.client(&client.id)
    }

    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        let present = issuer.and_then(|issuer| self.supposed(issuer.as_str()));
        let issuer = present.map(|known| &known.present.issuer).or(issuer);
        self.answers.subject(issuer, subject, sub)
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        self.answers.nonce(now)
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.answers.accepts_nonce(nonce, now)
    }
}

impl<A: Answers + ?Sized, B: Blocking + ?Sized> Blocking for WithKeys<'_, A, B> {
    fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten> {
        self.blocking.use_once(once)
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        let present = self.supposed.supposed(issuer.issuer.as_str()).map(|known| &*known.present);
        self.blocking.verify(present.unwrap_or(issuer), token, now)
    }
}
