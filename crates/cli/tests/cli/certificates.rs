//! Certificates are followed on disk, and reported before they end: HT-20, by real servers and real TLS.

use crate::support::{Place, Server, get, pipe, within_a_second};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

pub(crate) const TLS: [&str; 4] = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];

/// A certificate for a host, valid between these days from now on, and its key, as PEM.
fn pair(host: &str, days: [i64; 2]) -> (String, String) {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let at = |days: i64| {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        date_time_ymd(1970, 1, 1) + Duration::from_secs(today.saturating_add_signed(days * 86_400))
    };
    (params.not_before, params.not_after) = (at(days[0]), at(days[1]));
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Writes a new pair, as a program that does not write both at once. Returns the certificate.
pub(crate) fn write(place: &Place, host: &str, days: [i64; 2]) -> String {
    let (certificate, key) = pair(host, days);
    place.file("key.pem", &key);
    place.file("cert.pem", &certificate);
    certificate
}

/// A client that trusts this certificate only.
fn trusting(certificate: &str) -> ureq::Agent {
    let roots = [Certificate::from_pem(certificate.as_bytes()).unwrap()];
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
    let config = ureq::Agent::config_builder().proxy(None).tls_config(tls).http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(30))).build().new_agent()
}

/// Whether a new connection is served with this certificate.
fn has(server: &Server, certificate: &str) -> bool {
    trusting(certificate).get(format!("{}/.well-known/jwks.json", server.url)).call().is_ok()
}

/// Sends a token request over TLS.
pub(crate) fn post(server: &Server, certificate: &str, form: &str) {
    let request = trusting(certificate).post(server.endpoint());
    request.content_type("application/x-www-form-urlencoded").send(form).unwrap();
}

fn operations(server: &Server) -> String {
    server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned()
}

fn ready(operations: &str) -> String {
    let answer = get(&format!("{operations}/readyz"));
    assert_eq!(answer.status, 200, "a certificate takes no node out of the balancer");
    answer.body.as_str().unwrap().to_owned()
}

fn warnings(server: &Server, text: &str) -> usize {
    server.log().lines().filter(|line| line.contains("WARN") && line.contains(text)).count()
}

#[test]
fn ht_20_files_are_followed_without_a_signal_as_kubernetes_replaces_them() {
    let place = Place::new();
    // A volume of Kubernetes: names that lead to a directory, which is replaced as a whole.
    let mount = |version: &str| {
        let (certificate, key) = pair("127.0.0.1", [-1, 90]);
        fs::create_dir(place.path(version)).unwrap();
        place.file(&format!("{version}/cert.pem"), &certificate);
        place.file(&format!("{version}/key.pem"), &key);
        symlink(version, place.path("data.new")).unwrap();
        fs::rename(place.path("data.new"), place.path("data")).unwrap();
        certificate
    };
    let first = mount("one");
    for name in ["cert.pem", "key.pem"] {
        symlink(format!("data/{name}"), place.path(name)).unwrap();
    }
    let server = place.serve(&[&TLS[..], &["--ops-listen", "127.0.0.1:0"]].concat());
    let operations = operations(&server);
    assert!(has(&server, &first), "{}", server.log());
    let second = mount("two");
    within_a_second("the new certificate is used", || has(&server, &second));
    assert!(!has(&server, &first));
    assert_eq!(warnings(&server, "TLS certificate"), 0, "{}", server.log());

    // A key without its certificate, for as long as it takes.
    place.file("two/key.pem", &pair("127.0.0.1", [-1, 90]).1);
    let note = "the files of the TLS certificate have changed and are not usable";
    within_a_second("it is reported", || warnings(&server, note) == 1 && ready(&operations).contains(note));
    assert!(has(&server, &second), "the previous pair stays in use");
    // Also while a pipe is there, which would wait for a writer, or nothing. The reason is another one.
    pipe(&place.path("two/pipe"));
    fs::rename(place.path("two/pipe"), place.path("two/cert.pem")).unwrap();
    within_a_second("it is reported", || warnings(&server, note) == 2);
    assert!(ready(&operations).contains("not a regular file any more"), "{}", ready(&operations));
    fs::remove_file(place.path("two/cert.pem")).unwrap();
    assert!(has(&server, &second));
    let third = mount("three");
    within_a_second("the complete pair is used", || has(&server, &third));
    within_a_second("the note is gone", || !ready(&operations).contains(note));
    assert_eq!(warnings(&server, note), 2, "{}", server.log());
}

#[test]
fn ht_20_certificates_that_end_or_do_not_fit_are_reported_by_log_readyz_check_and_a_figure() {
    let place = Place::new();
    let issuer = ["--issuer", "https://tokens.example"];
    write(&place, "tokens.example", [-1, 15]);
    place.file("authorities.pem", &pair("an authority", [-1, 400]).0);
    let tls = [&TLS[..], &["--tls-client-ca", "authorities.pem"], &issuer].concat();
    let server = place.serve(&[&tls[..], &["--ops-listen", "127.0.0.1:0"]].concat());
    let operations = operations(&server);
    let check = || place.run(&[&["check"][..], &tls].concat());
    let day = |days: i64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        i64::try_from(now).unwrap() + days * 86_400
    };
    let end_of = |certificate: &str| {
        let text = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
        let name = format!("tokenberg_certificate_end_timestamp_seconds{{certificate=\"{certificate}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse::<i64>().unwrap()
    };
    let is_near = |end: i64, days: i64| (end - day(days)).abs() < 3600;
    assert!(is_near(end_of("server"), 15) && is_near(end_of("client_ca"), 400));
    for text in ["certificate", "does not name"] {
        assert!(!ready(&operations).contains(text) && warnings(&server, text) == 0, "{}", server.log());
    }
    assert!(!check().done().out.contains("tls: the"), "{}", check().out);
    for (host, days, text, state) in [
        ("tokens.example", [-1, 13], "cert.pem ends at ", "note"),
        ("tokens.example", [-9, -1], "cert.pem expired at ", "problem"),
        ("tokens.example", [1, 90], "cert.pem is not valid before ", "problem"),
        ("other.example", [-1, 90], "cert.pem does not name tokens.example", "note"),
        // What comes again is reported again.
        ("tokens.example", [-1, 12], "cert.pem ends at ", "note"),
    ] {
        let before = warnings(&server, text);
        write(&place, host, days);
        within_a_second(text, || warnings(&server, text) == before + 1 && ready(&operations).contains(text));
        let said = check();
        assert_eq!(said.code, i32::from(state == "problem"), "{}", said.out);
        let is_it =
            |line: &str| line.starts_with(state) && line.contains(" tls: the ") && line.contains(text);
        assert!(said.out.lines().any(is_it), "{text}: {}", said.out);
        assert!(is_near(end_of("server"), days[1]), "{text}");
    }
    place.file("authorities.pem", &pair("an authority", [-1, 3]).0);
    let text = "the CA certificate \"CN=rcgen self signed cert\" in authorities.pem ends at ";
    within_a_second("the authority is reported", || ready(&operations).contains(text));
    assert!(is_near(end_of("client_ca"), 3) && check().out.contains(text), "{}", check().out);
    // Behind a proxy that speaks TLS to the server, the name is one that clients do not see.
    write(&place, "inside.example", [-1, 90]);
    let said = place.run(&[&["check", "--trusted-proxy", "10.0.0.0/8"][..], &tls].concat()).done();
    assert!(!said.out.contains("does not name"), "{}", said.out);
}
