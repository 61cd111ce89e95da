//! Signing keys in an HSM, with SoftHSM: conformance KS-10.

use crate::support::{Place, Said, Server, get, post, within_a_second};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokenberg_testkit::SoftHsm;

const ROOT: (&str, &str) = ("root", "first-secret-of-root");

/// A place with a token, and the options and variables that name it.
struct Site {
    place: Place,
    hsm: SoftHsm,
    options: Vec<String>,
}

impl Site {
    fn new() -> Option<Self> {
        let place = Place::new();
        let hsm = SoftHsm::at(&place.path("hsm"))?;
        let pin = place.file("pin", &format!("{}\n", SoftHsm::PIN));
        fs::set_permissions(&pin, Permissions::from_mode(0o600)).unwrap();
        let module = hsm.module.display().to_string();
        let options =
            ["--pkcs11-module", &module, "--pkcs11-token", SoftHsm::TOKEN, "--pkcs11-pin-file", &pin];
        let options = options.map(str::to_owned).to_vec();
        Some(Self { place, hsm, options })
    }

    fn options(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let configuration = self.hsm.configuration.display().to_string();
        let arguments = [arguments, &self.options()].concat();
        self.place.run_with(&arguments, "", &[(SoftHsm::VARIABLE, &configuration)])
    }

    fn serve(&self, more: &[&str]) -> Server {
        let configuration = self.hsm.configuration.display().to_string();
        let bootstrap = ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root");
        let arguments = [&self.options(), more].concat();
        self.place.serve_with(&arguments, &[bootstrap, (SoftHsm::VARIABLE, &configuration)])
    }

    fn keys(&self) -> Value {
        self.place.run(&["key", "list", "--json"]).done().json()
    }

    fn signing(&self) -> Value {
        let keys = self.keys();
        keys.as_array().unwrap().iter().find(|key| key["state"] == "signing").unwrap().clone()
    }
}

fn in_device(key: &Value) -> bool {
    key["device"]
        .as_str()
        .is_some_and(|uri| uri.starts_with("pkcs11:token=test%20token;object=tokenberg;id=%"))
}

#[test]
fn ks_10_a_server_signs_in_the_device_and_one_without_it_says_so_and_does_not_sign() {
    let Some(site) = Site::new() else { return };
    let server = site.serve(&[]);
    let token = server.ask(ROOT.0, ROOT.1).token();
    let verify = ["verify", "-", "--issuer", &server.url];
    site.place.run_with(&verify, &token, &[]).done();
    let first = site.signing();
    assert!(in_device(&first) && first["alg"] == "ES256", "{first}");
    assert!(site.place.run(&["key", "list"]).done().out.contains("pkcs11:token=test%20token"));
    assert_eq!(server.renew(&token).status, 200);

    // On the same store, a server without the device verifies and does not sign.
    let other = site.place.serve(&["--issuer", &server.url, "--ops-listen", "127.0.0.1:0"]);
    let operations = other.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let refused = other.ask(ROOT.0, ROOT.1);
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")), "{refused:?}");
    let form = format!("token={token}&client_id={}&client_secret={}", ROOT.0, ROOT.1);
    assert_eq!(post(&format!("{}/v1/oauth/introspect", other.url), None, &form).body["active"], true);
    let ready = get(&format!("{operations}/readyz"));
    assert_eq!(ready.status, 503);
    for text in [ready.body.to_string(), other.log()] {
        assert!(text.contains(first["kid"].as_str().unwrap()) && text.contains("--pkcs11-module"), "{text}");
    }
    let checked = site.place.run(&["check"]);
    assert!(checked.code == 1 && checked.out.contains("--pkcs11-module"), "{}", checked.out);
    assert!(site.run(&["check"]).out.contains("the PKCS#11 token accepts the PIN"));
    drop(other);

    // A store without any key in the device, as the audit shows, is another one.
    let rotated = site.run(&["key", "rotate", "--now", "--pkcs11", "--alg", "RS256", "--json"]).done().json();
    assert!(in_device(&rotated) && rotated["alg"] == "RS256", "{rotated}");
    within_a_second("tokens of the new key", || {
        site.place.run_with(&["inspect", "--json"], &server.ask(ROOT.0, ROOT.1).token(), &[]).json()["header"]
            ["alg"]
            == "RS256"
    });
    let revoked = site.run(&["key", "revoke", rotated["kid"].as_str().unwrap(), "--yes"]).done();
    assert!(!revoked.err.contains("in the store"), "{}", revoked.err);
    let spare = site.signing();
    assert!(in_device(&spare) && spare["alg"] == "RS256" && spare["kid"] != rotated["kid"], "{spare}");
    within_a_second("tokens of the spare key", || server.ask(ROOT.0, ROOT.1).status == 200);

    // Out of the device only with a warning.
    let said = site.place.run(&["key", "rotate", "--now"]).done();
    assert!(said.err.contains("with --pkcs11, it is made in the device"), "{}", said.err);
    within_a_second("the store's key signs", || site.signing()["device"].is_null());
    within_a_second("tokens of the store's key", || {
        site.place.run_with(&["inspect", "--json"], &server.ask(ROOT.0, ROOT.1).token(), &[]).json()["header"]
            ["alg"]
            == "ES256"
    });
    site.place.run(&["audit", "verify"]).done();
    assert!(site.place.run(&["audit"]).done().out.contains("\"device\":\"pkcs11:token=test%20token;"));
}

#[test]
fn ks_10_a_key_of_the_device_is_imported_by_name_and_options_that_are_missing_are_named() {
    let Some(site) = Site::new() else { return };
    let rsa = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jose/tests/fixtures/rsa-2048-test-only.pem");
    site.hsm.import(&rsa, "signing", "a1", &[]);
    let imported =
        site.run(&["key", "import", "--pkcs11", "pkcs11:object=signing", "--now", "--json"]).done();
    // SoftHSM's tool imports keys that may be exported again.
    let json = imported.json();
    assert_eq!(json["device"], "pkcs11:token=test%20token;object=signing;id=%a1");
    let server = site.serve(&[]);
    assert!(server.log().contains("no client is registered"), "{}", server.log());
    let secret = site.place.add("c1", &[]);
    within_a_second("the client is followed", || server.ask("c1", &secret).status == 200);

    let missing = site.place.run(&["key", "rotate", "--pkcs11"]);
    assert!(missing.code == 2 && missing.err.contains("--pkcs11-module"), "{}", missing.err);
    let no_pin = site.place.run(&["serve", "--pkcs11-module", "x.so", "--pkcs11-token", "t"]);
    assert!(no_pin.code == 2 && no_pin.err.contains("--pkcs11-pin-file"), "{}", no_pin.err);
    site.place.file("pin", "0000-wrong");
    let wrong = site.run(&["key", "rotate", "--pkcs11", "--now"]).refused();
    assert!(wrong.err.contains("refuses the PIN") && !wrong.err.contains("0000-wrong"), "{}", wrong.err);
}
