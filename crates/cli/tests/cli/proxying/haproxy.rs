//! HAProxy, which verifies tokens itself, with the configuration of `docs/proxies.md`.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Starts HAProxy with the block of the documentation and this public key.
fn start(site: &mut Site, address: &str, pem: &str) {
    let configuration = format!(
        "defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n\n{}\n",
        site.sample("haproxy", address).replace("/etc/haproxy/tokenberg.pem", pem)
    );
    let file = site.place.file("haproxy.cfg", &configuration);
    site.start(address, "haproxy", &["-f", &file]);
}

#[test]
fn ri_04_haproxy_verifies_tokens_itself() {
    if !is_installed("haproxy") {
        return;
    }
    let (mut site, address) = (Site::new(&["--issuer", "https://tokens.example"]), free_address());
    let keys = site.place.run(&["key", "list", "--json"]).done().json();
    let kid = keys[0]["kid"].as_str().unwrap_or_else(|| panic!("{keys}")).to_owned();
    let pem = site.place.run(&["key", "show", &kid, "--pem"]).done().out;
    let pem = site.place.file("tokenberg.pem", &pem);
    start(&mut site, &address, &pem);
    let name = "a%20etl%2C%25";
    site.check(&[("Subject", name), ("Issuer", ""), ("Client", name), ("Scope", ""), ("Actors", "")]);
}

/// The public key as a SubjectPublicKeyInfo of P-256 (RFC 5480 §2).
fn pem(key: &ForeignKey) -> String {
    let jwk = key.jwk();
    let point = ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()).concat();
    let info = format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{}", STANDARD.encode(point));
    format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &info[..64], &info[64..])
}

#[test]
fn ri_04_haproxy_refuses_tokens_with_any_confirmation_as_plain_bearer_tokens() {
    if !is_installed("haproxy") {
        return;
    }
    let (mut site, address) = (Site::new(&["--issuer", "https://tokens.example"]), free_address());
    let key = ForeignKey::new(None);
    let file = site.place.file("tokenberg.pem", &pem(&key));
    start(&mut site, &address, &file);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let sign = |more: &str| {
        let end = now + 600;
        let payload = format!(
            r#"{{"iss":"https://tokens.example","aud":"warehouse","sub":"etl","client_id":"etl","iat":{now},"exp":{end},"scope":"catalog"{more}}}"#
        );
        key.sign_raw(r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload)
    };
    // RFC 7800 §3, RFC 8705 §3.1, RFC 9449 §6.1, and members that are not defined yet.
    let thumbprint = "A".repeat(43);
    for confirmation in [
        format!(r#"{{"x5t#S256":"{thumbprint}"}}"#),
        format!(r#"{{"jkt":"{thumbprint}"}}"#),
        format!(r#"{{"jkt":"{thumbprint}","x5t#S256":"{thumbprint}"}}"#),
        format!(r#"{{"jwk":{}}}"#, key.jwk()),
        r#"{"kid":"a"}"#.to_owned(),
        r#"{"jku":"https://client.example/keys","kid":"a"}"#.to_owned(),
        r#"{"jwe":"a.b.c.d.e"}"#.to_owned(),
        r#"{"unknown":{"a":[1]}}"#.to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        r#""a""#.to_owned(),
    ] {
        for member in [format!(r#","cnf":{confirmation}"#), format!(",\n \"cnf\" :\t{confirmation}")] {
            let (status, head, _) = site.ask("GET", Some(&sign(&member)), "", "");
            assert_eq!(status, 401, "{member}: {head}");
        }
    }
    // These only look like it.
    for other in ["", r#","name":"cnf""#, r#","name":"\"cnf\":{}""#, r#","cnfs":{"jkt":"a"}"#] {
        let (status, head, _) = site.ask("GET", Some(&sign(other)), "", "");
        assert_eq!(status, 200, "{other}: {head}");
    }
}
