//! Verifies a token with a decoy key if no key fits, so that timing does not show whether one exists; conformance CJ-17.

use crate::public_keys::PublicKeys;
use crate::verifying_key::VerifyingKey;
use std::sync::{Arc, LazyLock};
use tokenberg_core::flow::DECOY_JWKS;
use tokenberg_core::jws::{Algorithm, Algorithms};
use tokenberg_core::{CompactJws, SignatureFault, Verified};

/// The decoy key: a point whose private key is unknown.
pub(crate) static DECOY_KEY: LazyLock<Option<Arc<VerifyingKey>>> =
    LazyLock::new(|| PublicKeys::from_jwks(DECOY_JWKS).ok()?.only());

/// Verifies the token with its key, or with the decoy if no key fits, so that both take equally long. Only tests use the second
/// outcome.
pub(crate) fn verify_in_any_case(
    keys: &PublicKeys,
    accepted: Algorithms,
    decoy: Option<&VerifyingKey>,
    token: &CompactJws,
) -> (Result<Verified, SignatureFault>, Option<Result<Verified, SignatureFault>>) {
    let outcome = keys.verify_among(accepted, token);
    let pretended = match &outcome {
        Ok(_) | Err(SignatureFault::Signature { .. }) => None,
        Err(
            SignatureFault::NoKey(_)
            | SignatureFault::NoKeys
            | SignatureFault::Several(_)
            | SignatureFault::Unusable { .. }
            | SignatureFault::Algorithm(_)
            | SignatureFault::NotAccepted(_)
            | SignatureFault::Retired { .. }
            | SignatureFault::Carried(_)
            | SignatureFault::OtherKey(_),
        ) => decoy.map(|decoy| decoy.verify(Algorithm::ES256, token.signing_input(), token.signature())),
    };
    (outcome, pretended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keyring, generate};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::digest::{SHA256, digest};
    use serde_json::{Value, json};
    use tokenberg_core::{AccessTokenClaims, Keys, Timestamp};

    fn point(jwk: &Value) -> Vec<u8> {
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        [vec![4], member("x"), member("y")].concat()
    }

    #[test]
    fn cj_17_the_decoy_key_is_a_hash_and_on_the_curve() {
        let set: Value = serde_json::from_str(DECOY_JWKS).unwrap();
        let x = digest(&SHA256, b"nobody has the private key of this point");
        assert_eq!(set["keys"][0]["x"], URL_SAFE_NO_PAD.encode(x));
        let decoy = DECOY_KEY.as_deref().unwrap();
        assert_eq!(decoy.possible_algorithms(), Algorithm::ES256.into());
        // It is on the curve: ring performs a key agreement only with such points.
        let agreed =
            ring::agreement::UnparsedPublicKey::new(&ring::agreement::ECDH_P256, point(&set["keys"][0]));
        let mine = ring::agreement::EphemeralPrivateKey::generate(
            &ring::agreement::ECDH_P256,
            &ring::rand::SystemRandom::new(),
        );
        assert!(ring::agreement::agree_ephemeral(mine.unwrap(), &agreed, |_| ()).is_ok());
    }

    #[test]
    fn cj_17_a_token_without_a_key_is_verified_with_the_decoy() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let ring = Keyring::read(&[generate(Algorithm::ES256, at(0), at(0)).unwrap()], at(0)).unwrap();
        let payload = json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,
            "jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
        let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
        let token = CompactJws::parse(ring.sign(&claims, at(0)).unwrap().expose()).ok().unwrap();
        let any = Algorithms::default();
        // As the decoy, a key that has in fact signed the token.
        let own = PublicKeys::from_jwks(&ring.jwks()).unwrap();
        let decoy = own.only().unwrap();
        let other_alg = ring.jwks().replace("ES256", "ES384").replace("P-256", "P-384");
        for none in ["{\"keys\":[]}", DECOY_JWKS, &other_alg] {
            let none = PublicKeys::from_jwks(none).unwrap();
            let (outcome, pretended) = verify_in_any_case(&none, any, Some(&decoy), &token);
            assert!(matches!(outcome, Err(SignatureFault::NoKey(_) | SignatureFault::Unusable { .. })));
            assert!(pretended.unwrap().is_ok());
        }
        // If the token's own key is found, by content or by name, the decoy is not used.
        assert!(matches!(verify_in_any_case(&own, any, Some(&decoy), &token), (Ok(_), None)));
        let no_key = |usable| Err(SignatureFault::no_key(token.header(), usable));
        assert_eq!(ring.verify_with(DECOY_JWKS, any, &token), no_key(1));
        assert!(ring.verify_with(&ring.jwks(), any, &token).is_ok());
        assert_eq!(ring.verify_with("no set", any, &token), no_key(0));
        // An algorithm that is not accepted takes as long, too.
        let (outcome, pretended) = verify_in_any_case(&own, Algorithm::RS256.into(), Some(&decoy), &token);
        assert_eq!(outcome, Err(SignatureFault::NotAccepted(Algorithm::ES256)));
        assert!(pretended.unwrap().is_ok());
    }
}
