//! The response to each outcome as HTTP: status, header fields and body.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::{KeysUnavailable, NotWritten};
use tokenberg_core::error::Challenge;
use tokenberg_core::jws::KeyId;
use tokenberg_core::reply::Reply;
use tokenberg_core::{
    Entropy, ErrorCode, Lifetime, NotGranted, OAuthError, Policy, Presented, Timestamp, TokenEndpoint, drive,
};
use tokenberg_testkit::{NOW, World};

fn policy() -> Policy {
    Policy::new("https://as.test".parse().unwrap())
}

fn ask(form: &[u8]) -> Reply {
    let (world, endpoint) = (World::new(), TokenEndpoint::new(policy()));
    let (now, entropy) = (Timestamp::from_seconds(NOW).unwrap(), Entropy::from_bits([7; 16]));
    let presented = Presented::read(&[], None, form).unwrap();
    let outcome = endpoint.start(presented, now, entropy).map_err(NotGranted::from);
    match outcome.and_then(|step| drive(step, &world, &world)) {
        Ok(granted) => Reply::granted(&granted.response, None),
        Err(reason) => Reply::not_granted(&policy(), &reason, Some("unused")),
    }
}

#[test]
fn every_reply_is_private_and_has_what_its_status_demands() {
    let granted = ask(b"grant_type=client_credentials&client_id=c1&client_secret=s1-Z7");
    let refused = ask(b"grant_type=client_credentials&client_id=c1&client_secret=x");
    let unsigned = SigningFault::Key { key: KeyId::new("k1") };
    let unsigned = Reply::not_granted(&policy(), &unsigned.into(), None);
    let keyless = Reply::not_granted(&policy(), &SigningFault::NoKey.into(), None);
    let away = SigningFault::Unavailable { key: KeyId::new("k1"), reason: "a reason for the log".to_owned() };
    let away = Reply::not_granted(&policy(), &away.into(), None);
    let unwritten = NotWritten { reason: "a reason for the log".to_owned() };
    let unwritten = Reply::not_granted(&policy(), &unwritten.into(), None);
    let keys = KeysUnavailable::new(&"https://idp.test".parse().unwrap(), "a reason for the log");
    let keys = KeysUnavailable { retry_after: Lifetime::from_seconds(42), ..keys };
    let keys = Reply::not_granted(&policy(), &keys.into(), None);
    for (reply, status, code, retry_after) in [
        (&granted, 200, None, None),
        (&refused, 401, Some("invalid_client"), None),
        (&unsigned, 500, Some("server_error"), None),
        (&keyless, 503, Some("temporarily_unavailable"), Some("1")),
        (&away, 503, Some("temporarily_unavailable"), Some("1")),
        (&unwritten, 503, Some("temporarily_unavailable"), Some("1")),
        (&keys, 503, Some("temporarily_unavailable"), Some("42")),
        (&Reply::revoked(), 200, None, None),
    ] {
        assert_eq!(reply.status, status);
        for (name, value) in Reply::PRIVATE {
            assert_eq!(reply.header(name), Some(value));
        }
        let body: serde_json::Value = serde_json::from_str(reply.body.expose()).unwrap();
        assert_eq!(body["error"].as_str(), code);
        assert!(!reply.body.expose().contains("for the log"));
        assert_eq!(reply.header("Retry-After"), retry_after);
        assert_eq!(reply.header("WWW-Authenticate").is_some(), status == 401);
        assert_eq!(reply.header("DPoP-Nonce"), None);
    }
    assert!(granted.body.expose().contains("access_token"));
    assert!(!format!("{granted:?}").contains("eyJ"), "a token is not displayed");
}

#[test]
fn a_nonce_is_sent_where_a_proof_needs_one() {
    let needs = OAuthError::new(ErrorCode::UseDpopNonce, "").challenged(Challenge::Basic);
    assert_eq!(Reply::refused(&needs, Some("n1")).header("DPoP-Nonce"), Some("n1"));
    assert_eq!(Reply::refused(&needs, Some("n1")).status, 400);
}
