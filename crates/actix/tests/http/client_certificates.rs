//! Client certificates over real TLS: MT items, CA-11 and WL-05 of the conformance list.

use crate::certificates::{Authority, Certified, TlsServer, cm, named, self_signed, server};
use crate::check::*;
use crate::wire::Wire;
use crate::world::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use tokenberg_actix::tls::{Tls, TlsFault};

struct Fixture {
    authority: Authority,
    tls: Tls,
    server: TlsServer,
    _wire: Wire,
    folder: tempfile::TempDir,
}

fn fixture_of(world: &Arc<World>) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority");
    let (tls, certificate) = server(folder.path(), &authority);
    let wire = Wire::with(world.builder().client_certificates().build(), |builder| {
        builder.tls(tls.config().unwrap()).client_authorities(tls.client_authorities().unwrap())
    });
    let server = TlsServer { address: wire.address, certificate };
    Fixture { authority, tls, server, _wire: wire, folder }
}

fn fixture() -> Fixture {
    fixture_of(&World::new())
}

fn by_cm() -> Ask {
    form(format!("{CC}&client_id=cm"))
}

fn thumbprint(certified: &Certified) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &certified.chain[0]))
}

/// Certificates that are each invalid for one reason.
fn certificates(authority: &Authority) -> Vec<(&'static str, Certified, bool)> {
    let changed = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = cm();
        change(&mut params);
        authority.certify(&params)
    };
    let usage = |usage: ExtendedKeyUsagePurpose| {
        changed(&move |params| params.extended_key_usages = vec![usage.clone()])
    };
    let mut two_names = cm();
    two_names.subject_alt_names = vec![SanType::DnsName("cm".try_into().unwrap())];
    two_names.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "1");
    vec![
        ("as it should be", changed(&|_| {}), true),
        ("for client authentication", usage(ExtendedKeyUsagePurpose::ClientAuth), true),
        ("for servers only", usage(ExtendedKeyUsagePurpose::ServerAuth), false),
        ("over", changed(&|params| params.not_after = date_time_ymd(2020, 1, 1)), false),
        ("not yet", changed(&|params| params.not_before = date_time_ymd(2090, 1, 1)), false),
        (
            "an authority itself",
            changed(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            false,
        ),
        ("of another authority", Authority::new("authority").certify(&cm()), false),
        ("self-signed", self_signed(&cm()), false),
        ("another subject", authority.certify(&named(&[(DnType::CommonName, "cm2")])), false),
        ("part of the subject", authority.certify(&named(&[(DnType::CommonName, "cm")])), false),
        (
            "the other way round",
            authority.certify(&named(&[(DnType::CommonName, "cm"), (DnType::OrganizationName, "Test")])),
            false,
        ),
        ("more than the subject", authority.certify(&two_names), false),
        ("the subject as one value", authority.certify(&named(&[(DnType::CommonName, CM_SUBJECT)])), false),
        ("no subject", authority.certify(&named(&[])), false),
    ]
}

#[test]
fn mt_01_mt_04_mt_06_a_certificate_authenticates_its_client_and_binds_the_token() {
    let fixture = fixture();
    for (what, certified, is_good) in certificates(&fixture.authority) {
        let expected = if is_good { Expected::Ok } else { E(401, "invalid_client") };
        let answer = fixture.server.ask(Some(&certified), &by_cm());
        check_answer(&answer, expected, what);
        if is_good {
            let cnf = &claims(&answer.token())["cnf"];
            assert_eq!(*cnf, serde_json::json!({"x5t#S256": thumbprint(&certified)}));
        }
    }
}

#[test]
fn mt_07_ca_11_a_certificate_that_is_not_needed_is_neither_an_error_nor_a_credential() {
    let fixture = fixture();
    for (what, certified, _) in certificates(&fixture.authority) {
        let by_secret = fixture.server.ask(Some(&certified), &form(CC).basic(C1));
        check_answer(&by_secret, Expected::Ok, what);
        assert!(
            claims(&by_secret.token()).get("cnf").is_none(),
            "{what}: its certificate does not bind the token"
        );
        // It does not help a client with a wrong secret, or none.
        for ask in [
            form(CC).basic(("c1", "wrong")),
            form(CC).basic(("cm", "wrong")),
            form(format!("{CC}&client_id=cm&client_secret=wrong")),
            form(format!("{CC}&client_id=c1")),
            form(CC),
        ] {
            check_answer(&fixture.server.ask(Some(&certified), &ask), E(401, "invalid_client"), what);
        }
    }
}

#[test]
fn mt_02_mt_08_a_certificate_is_optional() {
    let fixture = fixture();
    let good = fixture.authority.certify(&cm());
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let ask = |certificate, ask: &Ask| fixture.server.ask_by(versions, certificate, ask);
        check_answer(&ask(None, &form(CC).basic(C1)), Expected::Ok, "by a secret");
        check_answer(&ask(None, &by_cm()), E(401, "invalid_client"), "without a certificate");
        check_answer(&ask(Some(&good), &form(CC)), E(401, "invalid_client"), "without client_id");
        check_answer(&ask(Some(&good), &by_cm()), Expected::Ok, "with both");
    }
}

#[test]
fn mt_05_a_certificate_in_a_header_is_ignored() {
    let fixture = fixture();
    let good = fixture.authority.certify(&cm());
    let der = STANDARD.encode(&good.chain[0]);
    let pem = encoded(&format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"));
    let plain = Wire::of(service());
    for (name, value) in [
        ("Client-Cert", format!(":{der}:")),
        ("X-Forwarded-Client-Cert", format!("Hash=x;Cert=\"{pem}\";Subject=\"{CM_SUBJECT}\"")),
        ("X-SSL-Client-Cert", pem.clone()),
        ("SSL_CLIENT_CERT", pem.clone()),
        ("X-SSL-Client-S-DN", CM_SUBJECT.to_owned()),
        ("X-SSL-Client-Verify", "SUCCESS".to_owned()),
        ("Client-Cert", "garbage, no DER".to_owned()),
    ] {
        let sent = by_cm().header(name, &value).header("Forwarded", "for=127.0.0.1;proto=https");
        check_answer(&plain.ask(&sent), E(401, "invalid_client"), name);
        check_answer(&fixture.server.ask(None, &sent), E(401, "invalid_client"), name);
        check_answer(&plain.ask(&sent.header(name, &value)), E(401, "invalid_client"), name);
        let secret = form(CC).basic(C1).header(name, &value);
        let token = plain.ask(&secret).token();
        assert!(claims(&token).get("cnf").is_none(), "{name}");
    }
}

#[test]
fn mt_06_authorities_are_exchanged_while_the_server_runs() {
    let fixture = fixture();
    let old = fixture.authority.certify(&cm());
    let next = Authority::new("next");
    let new = next.certify(&cm());
    let answers = |good: &Certified, bad: &Certified, when: &str| {
        check_answer(&fixture.server.ask(Some(good), &by_cm()), Expected::Ok, when);
        check_answer(&fixture.server.ask(Some(bad), &by_cm()), E(401, "invalid_client"), when);
    };
    answers(&old, &new, "before");
    let file = fixture.folder.path().join("ca.pem");
    std::fs::write(&file, &next.pem).unwrap();
    answers(&old, &new, "before it is read");
    fixture.tls.reload().unwrap();
    answers(&new, &old, "after");
    // Without a reload, the file is followed.
    std::fs::write(&file, &fixture.authority.pem).unwrap();
    assert!(matches!([fixture.tls.follow(), fixture.tls.follow()], [Ok(true), Ok(false)]));
    answers(&old, &new, "after it was followed");
    let of_authorities = fixture.tls.client_authorities().unwrap().certificates();
    assert_eq!(of_authorities.iter().map(|one| &*one.subject).collect::<Vec<_>>(), ["CN=authority"]);
    std::fs::write(&file, &next.pem).unwrap();
    fixture.tls.reload().unwrap();
    // An invalid file changes nothing, including the other files of the same reload.
    for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, bad).unwrap();
        assert!(fixture.tls.reload().is_err(), "{bad:?}");
        answers(&new, &old, "after a bad file");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(fixture.tls.reload(), Err(TlsFault::Authorities { .. })));
}

#[test]
fn mt_06_a_resumed_connection_is_verified_again() {
    let fixture = fixture();
    let good = fixture.authority.certify(&cm());
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let client = fixture.server.client(versions, Some(&good));
        let ask = || fixture.server.ask_as(&client, &by_cm());
        let outcomes = [ask(), ask()].map(|(answer, resumed)| (answer.status, resumed));
        assert_eq!(outcomes, [(200, false), (200, true)], "{versions:?}");
        let file = fixture.folder.path().join("ca.pem");
        std::fs::write(&file, Authority::new("next").pem).unwrap();
        fixture.tls.reload().unwrap();
        let (answer, resumed) = ask();
        assert_eq!((answer.status, resumed), (401, true), "{versions:?}");
        std::fs::write(&file, &fixture.authority.pem).unwrap();
        fixture.tls.reload().unwrap();
    }
}

/// More clients than a server remembers by default (rustls: 256 sessions).
#[test]
fn ht_20_every_client_of_hundreds_resumes() {
    let fixture = fixture();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let clients: Vec<_> = (0..300).map(|_| fixture.server.client(versions, None)).collect();
        for expected in [false, true] {
            let resumed = clients.iter().filter(|client| fixture.server.ask_as(client, &by_cm()).1);
            assert_eq!(resumed.count(), if expected { 300 } else { 0 }, "{versions:?}");
        }
    }
}

#[test]
fn mt_06_an_open_connection_is_verified_by_the_present_authorities() {
    let fixture = fixture();
    let next = Authority::new("next");
    let (old, new) = (fixture.authority.certify(&cm()), next.certify(&cm()));
    let file = fixture.folder.path().join("ca.pem");
    let exchange = || {
        std::fs::write(&file, &next.pem).unwrap();
        fixture.tls.reload().unwrap();
    };
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for (certificate, expected) in [(&old, [200, 401]), (&new, [401, 200])] {
            std::fs::write(&file, &fixture.authority.pem).unwrap();
            fixture.tls.reload().unwrap();
            let client = fixture.server.client(versions, Some(certificate));
            let answers = fixture.server.ask_twice(&client, &by_cm(), exchange);
            assert_eq!(answers.iter().map(|a| a.status).collect::<Vec<_>>(), expected, "{versions:?}");
        }
    }
}

#[test]
fn wl_05_an_x509_svid_has_one_identity_and_is_a_leaf() {
    let fixture = fixture();
    let svid = |uris: &[&str], usages: &[KeyUsagePurpose], is_ca| {
        let mut params = named(&[(DnType::CountryName, "US")]);
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.key_usages = usages.to_vec();
        params.is_ca = is_ca;
        fixture.authority.certify(&params)
    };
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign};
    let (leaf, ca) = (IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained));
    let other = "spiffe://td.test/other";
    for (what, certified, is_good) in [
        ("as it should be", svid(&[WORKLOAD], &[DigitalSignature], leaf), true),
        ("more than signing", svid(&[WORKLOAD], &[DigitalSignature, KeyAgreement], IsCa::NoCa), true),
        ("two identities", svid(&[WORKLOAD, other], &[DigitalSignature], leaf), false),
        ("two names", svid(&[WORKLOAD, "https://x.test"], &[DigitalSignature], leaf), false),
        ("another identity", svid(&[other], &[DigitalSignature], leaf), false),
        ("no use", svid(&[WORKLOAD], &[], leaf), false),
        ("another use", svid(&[WORKLOAD], &[KeyAgreement], leaf), false),
        ("signs certificates", svid(&[WORKLOAD], &[DigitalSignature, KeyCertSign], leaf), false),
        ("signs lists", svid(&[WORKLOAD], &[DigitalSignature, CrlSign], leaf), false),
        ("an authority", svid(&[WORKLOAD], &[DigitalSignature, KeyCertSign], ca), false),
    ] {
        let expected = if is_good { Expected::Ok } else { E(401, "invalid_client") };
        let ask = form(format!("{CC}&client_id=cm-uri"));
        check_answer(&fixture.server.ask(Some(&certified), &ask), expected, what);
    }
}

#[test]
fn md_05_mt_04_by_certificate_at_every_endpoint_and_a_bound_token_only_with_it() {
    let world = World::new();
    let fixture = fixture_of(&world);
    let (good, other) = (fixture.authority.certify(&cm()), fixture.authority.certify(&cm()));
    let metadata = fixture.server.ask(None, &ask("GET", "/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let token = fixture.server.ask(Some(&good), &by_cm()).token();
    let exchange =
        form(format!("{EXCHANGE}&client_id=cm&subject_token={token}&subject_token_type={ACCESS_TOKEN}"));
    let again = fixture.server.ask(Some(&good), &exchange);
    check_answer(&again, Expected::Ok, "with its certificate");
    assert_eq!(claims(&again.token())["cnf"]["x5t#S256"], thumbprint(&good));
    check_answer(
        &fixture.server.ask(Some(&other), &exchange),
        E(400, "invalid_request"),
        "the same client by another certificate",
    );
    let bearer =
        form(format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}")).bearer(&token);
    check_answer(&fixture.server.ask(None, &bearer), E(401, "invalid_client"), "a stolen token");
    for (endpoint, is_active) in [("introspection", true), ("revocation", false)] {
        let listed = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(listed.as_array().unwrap().contains(&"tls_client_auth".into()), "{endpoint}");
        let address = metadata[format!("{endpoint}_endpoint")].as_str().unwrap();
        let ask = form(format!("token={token}&client_id=cm")).at(address.strip_prefix(ISSUER).unwrap());
        assert_eq!(fixture.server.ask(None, &ask).status, 401, "{endpoint}");
        let answer = fixture.server.ask(Some(&good), &ask);
        assert_eq!(answer.status, 200, "{endpoint}");
        let bound_to = answer.json()["cnf"]["x5t#S256"].as_str().map(str::to_owned);
        assert_eq!(bound_to, is_active.then(|| thumbprint(&good)), "{endpoint}");
    }
}
