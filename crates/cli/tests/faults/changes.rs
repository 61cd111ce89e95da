//! Keys, secrets, certificates and configuration change under load: no request fails; conformance OP-11, OP-13, CA-21.

use crate::facts::Facts;
use crate::load::{Asking, Load};
use crate::site::{ROOT, Site};
use crate::support::{Server, within_a_second};
use crate::tally::{Tally, count, rounds};
use std::time::Duration;

fn certificate(site: &Site) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    site.place.file("key.pem", &made.signing_key.serialize_pem());
    site.place.file("cert.pem", &made.cert.pem());
}

fn reload(server: &Server, line: &str) {
    let before = server.log().matches(line).count();
    server.signal("HUP");
    within_a_second(line, || server.log().matches(line).count() > before);
}

#[test]
fn op_11_op_13_ca_21_changes_under_load_fail_no_request() {
    let site = Site::on(None);
    certificate(&site);
    let good = "tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nlog = \"info\"\n";
    let config = site.place.file("t.toml", good);
    let server = site.serve_with(&["--config", &config], &[]);
    let (tally, facts) = (Tally::default(), Facts::default());
    let load = Load::of(&site, &server.url, &tally, &facts);
    let mut secret = ROOT.1.to_owned();
    load.during(3, || {
        for round in 0..rounds(4, 10) {
            // A key that signs immediately, and one that waits and is revoked.
            site.run(&["key", "rotate", "--now", "--alg", ["ES256", "EdDSA"][round as usize % 2]]).done();
            // Of two rotations that begin in the same second, the second waits until the next.
            std::thread::sleep(Duration::from_millis(1100));
            let waiting = site.run(&["key", "rotate", "--json"]).done().json();
            site.run(&["key", "revoke", waiting["kid"].as_str().unwrap()]).done();
            // A secret is added and used, and the previous one ends a little later.
            let record = site.run(&["client", "show", "root", "--json"]).done().json();
            let live =
                record["secrets"].as_array().unwrap().iter().find(|secret| secret["live"] == true).unwrap();
            let added = site.run(&["client", "secret", "add", "root", "--json"]).done().json();
            secret = added["client_secret"].as_str().unwrap().to_owned();
            let probe = Tally::default();
            let probing = Asking::new(&probe);
            within_a_second("the new secret works", || {
                probing.token(&server.url, (ROOT.0, &secret)).is_some()
            });
            *load.credential.lock().unwrap() = (ROOT.0.to_owned(), secret.clone());
            std::thread::sleep(Duration::from_millis(200));
            let old = live["secret_id"].as_str().unwrap();
            site.run(&["client", "secret", "expire", "root", old]).done();
            // Valid and invalid certificates and configuration.
            certificate(&site);
            reload(&server, "reloaded the configuration");
            site.place.file("cert.pem", "nonsense");
            reload(&server, "the old one stays");
            certificate(&site);
            site.place.file("t.toml", "unknown = 1\n");
            reload(&server, "the old one stays");
            site.place.file("t.toml", &format!("{good}rotate-keys-every = \"90d\"\n"));
            reload(&server, "reloaded the configuration");
            site.place.file("t.toml", good);
        }
    });
    let asking = Asking::new(&tally);
    let token = asking.token(&server.url, (ROOT.0, &secret)).unwrap();
    asking.about(&server.url, "introspect", &token, (ROOT.0, &secret), Some(true));
    assert_eq!((count(&tally.lost), count(&tally.unavailable)), (0, 0), "{}", server.log());
    site.assert_whole();
    tally.print("keys, secrets, certificates and configuration change", "");
}
