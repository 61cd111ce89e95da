//! The Authorization header: one credential, or a refusal that contains nothing of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenberg_core::request::{Authentication, Credential};
use tokenberg_core::{Policy, Presented};

fuzz_target!(|header: &[u8]| {
    let policy = Policy::new("https://as.test".parse().expect("an issuer"));
    let exchange: &[u8] = b"grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a.b.c";
    for body in [b"grant_type=client_credentials".as_slice(), exchange] {
        match Presented::read(&[header], None, body) {
            Ok(presented) => match presented.authentication() {
                Authentication::Credential(Credential::Secret(secret)) => {
                    assert!((1..=2).contains(&secret.readings.len()));
                    for reading in &secret.readings {
                        assert!(!reading.client_id.is_empty());
                        assert!((1..=1024).contains(&reading.secret.expose().len()));
                    }
                }
                Authentication::Credential(
                    Credential::Assertion(_) | Credential::Certificate(_) | Credential::IdToken(_),
                ) => {
                    panic!("there is neither in this request")
                }
                Authentication::Bearer(bearer) => assert_eq!(bearer.token.expose(), "a.b.c"),
            },
            Err(refusal) => {
                let error = policy.error_for(&refusal);
                assert!(matches!(error.status(), 400 | 401));
                assert_eq!(error.status() == 401, error.challenge.is_some());
            }
        }
        // One header is read alike whether or not it is alone; two never are.
        assert!(Presented::read(&[header, header], None, body).is_err());
    }
});
