//! Observes the answers of a request: for an audit, or to explain a decision.

use super::keys_of::KeysOf;
use super::who::Who;
use crate::answers::SubjectStatus;
use crate::jws::DpopProof;
use crate::policy::signed_token::TokenReading;
use crate::policy::token_status::TokenStatus;
use crate::{
    AccessTokenClaims, Client, CompactJws, Issuer, Secret, SecretDigest, SignatureFault, Subject, Timestamp,
    TrustedIssuer, Verified,
};

/// Receives the answer to each question of a request, before the flow decides about it.
///
/// It changes no decision. A listener implements the methods it needs; the default of each does nothing, and `()` ignores everything. An
/// argument of a method has not been authenticated unless the method says so.
///
/// ```
/// use tokenberg_core::{Client, Listener};
/// use tokenberg_core::flow::Who;
///
/// /// Remembers which client a request turned out to be of, for a log.
/// #[derive(Default)]
/// struct Named(Option<String>);
///
/// impl Listener for Named {
///     fn client_found(&mut self, _who: &Who, client: Option<&Client>) {
///         self.0 = client.map(|client| client.id.to_string());
///     }
/// }
/// ```
pub trait Listener {
    /// Which client is registered under what the request named.
    fn client_found(&mut self, _who: &Who, _client: Option<&Client>) {}

    /// What a presented secret would be stored as; `client_id` is empty if it could not be an identifier.
    fn secret_digested(&mut self, _client_id: &str, _digest: &SecretDigest, _now: Timestamp) {}

    /// Which trusted issuer has the identifier that a token claims.
    fn issuer_found(&mut self, _claimed: &str, _issuer: Option<&TrustedIssuer>) {}

    /// What a token turned out to be that may be one of ours.
    fn token_read(&mut self, _token: &Secret, _reading: &TokenReading) {}

    /// Whose keys are about to verify a token or assertion.
    fn verification_begun(&mut self, _token: &CompactJws, _keys: &KeysOf) {}

    /// Whether its signature is valid; `None` if the keys could not be obtained.
    fn signature_checked(
        &mut self,
        _token: &CompactJws,
        _keys: &KeysOf,
        _answer: Option<&Result<Verified, SignatureFault>>,
    ) {
    }

    /// Whether a DPoP proof was signed by its own key, and whether its nonce, if it has one, is one of ours.
    fn proof_checked(
        &mut self,
        _proof: &DpopProof,
        _answer: &Result<Verified, SignatureFault>,
        _nonce_is_ours: Option<bool>,
    ) {
    }

    /// What is known now about a token of ours whose signature is valid.
    fn token_recalled(&mut self, _claims: &AccessTokenClaims, _known: &TokenStatus) {}

    /// What the operator decided about the subject of another issuer.
    fn subject_recalled(&mut self, _issuer: Option<&Issuer>, _subject: &Subject, _status: &SubjectStatus) {}
}

impl Listener for () {}
