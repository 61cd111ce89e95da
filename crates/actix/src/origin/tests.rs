//! Origins of requests behind proxies, as tables; conformance HT-19, HT-22.

use super::*;
use actix_web::http::header::HeaderValue;

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

#[test]
fn ht_22_networks() {
    for (text, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("0.0.0.0/0", "203.0.113.9", "::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::/0", "::1", "10.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
    ] {
        assert!(network(text).contains(inside.parse().unwrap()), "{text} {inside}");
        assert!(!network(text).contains(outside.parse().unwrap()), "{text} {outside}");
        assert_eq!(network(&network(text).to_string()), network(text));
    }
    for wrong in
        ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::/129", "proxy.example", "10.0.0.0/8 "]
    {
        assert_eq!(wrong.parse::<Network>(), Err(NetworkFault::Malformed), "{wrong}");
    }
    assert_eq!("10.0.0.7/8".parse::<Network>(), Err(NetworkFault::BitsBeyond));
}

#[test]
fn ht_22_ht_19_the_right_most_untrusted_hop_of_trusted_proxies_only() {
    let proxies: TrustedProxies = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(network).into_iter().collect();
    let cases: &[Case<'_>] = &[
        // The headers of an untrusted peer are ignored.
        (
            "192.0.2.1:9",
            &[(XFF, "203.0.113.5"), (XFP, "http"), (FWD, "for=203.0.113.5;proto=http")],
            "192.0.2.1:9",
            false,
        ),
        ("10.0.0.1:9", &[], "10.0.0.1:9", false),
        ("10.0.0.1:9", &[(XFF, "203.0.113.5")], "203.0.113.5", false),
        ("[::ffff:10.0.0.1]:9", &[(XFF, "203.0.113.5")], "203.0.113.5", false),
        // The client invented the first.
        ("10.0.0.1:9", &[(XFF, "1.2.3.4, 203.0.113.5")], "203.0.113.5", false),
        ("10.0.0.1:9", &[(XFF, "1.2.3.4"), (XFF, "203.0.113.5, 10.0.0.2")], "203.0.113.5", false),
        ("10.0.0.1:9", &[(XFF, "1.2.3.4, 203.0.113.5:1234")], "203.0.113.5", false),
        ("10.0.0.1:9", &[(XFF, "[2001:db8::7]:1234")], "2001:db8::7", false),
        ("10.0.0.1:9", &[(XFF, "2001:db8::7")], "2001:db8::7", false),
        ("10.0.0.1:9", &[(XFF, "::ffff:203.0.113.5")], "203.0.113.5", false),
        // An unreadable value ends the search.
        ("10.0.0.1:9", &[(XFF, "203.0.113.5, unknown")], "10.0.0.1:9", false),
        ("10.0.0.1:9", &[(XFF, "203.0.113.5, junk, 10.0.0.2")], "10.0.0.2", false),
        ("10.0.0.1:9", &[(XFF, "")], "10.0.0.1:9", false),
        ("10.0.0.1:9", &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3", false),
        (
            "10.0.0.1:9",
            &[(FWD, "for=1.2.3.4, for=203.0.113.5;proto=https;by=10.0.0.1")],
            "203.0.113.5",
            false,
        ),
        ("10.0.0.1:9", &[(FWD, "For=\"[2001:db8::7]:4711\"")], "2001:db8::7", false),
        ("10.0.0.1:9", &[(FWD, "for=_hidden")], "10.0.0.1:9", false),
        ("10.0.0.1:9", &[(FWD, "for=203.0.113.5;ext=\"a,b;for=1.2.3.4\"")], "203.0.113.5", false),
        // Both, and they differ: one of the two is not the proxy's.
        ("10.0.0.1:9", &[(FWD, "for=1.2.3.4"), (XFF, "203.0.113.5")], "10.0.0.1:9", false),
        ("10.0.0.1:9", &[(FWD, "for=203.0.113.5"), (XFF, "203.0.113.5")], "203.0.113.5", false),
    ];
    check(&proxies, cases);
    assert_eq!(proxies.of(None, &HeaderMap::new()), Origin { address: None, is_plain: false });
}

/// Plain HTTP is that of the client's own hop, not that of a hop between proxies.
#[test]
fn ht_19_the_scheme_of_the_client_is_the_first_of_a_list() {
    let proxies: TrustedProxies = [network("10.0.0.0/8")].into_iter().collect();
    for (proto, is_plain) in [
        (&["http"][..], true),
        (&[" HTTP "], true),
        (&["https"], false),
        (&["HTTPS,HTTP"], false),
        (&["https,http"], false),
        (&["https, http, http"], false),
        (&["https\t,\thttp"], false),
        (&["https", "http"], false),
        (&["", " ,", ", https ,http"], false),
        (&["http,https"], true),
        (&["http", "https"], true),
        (&["", ", ,http", "https"], true),
        // Neither of the two, and not a part of one.
        (&["wss,http"], false),
        (&["httpx"], false),
        (&[""], false),
    ] {
        let headers: Vec<_> = proto.iter().map(|value| (XFP, *value)).collect();
        check(&proxies, &[("10.0.0.1:9", &headers, "10.0.0.1:9", is_plain)]);
        let all = [&headers[..], &[(XFF, "203.0.113.5, 10.0.0.2")]].concat();
        check(
            &proxies,
            &[("10.0.0.1:9", &all, "203.0.113.5", is_plain), ("192.0.2.1:9", &all, "192.0.2.1:9", false)],
        );
    }
    for (forwarded, address, is_plain) in [
        (&["for=203.0.113.5;proto=http"][..], "203.0.113.5", true),
        (&["for=203.0.113.5;Proto=\"HTTP\""], "203.0.113.5", true),
        (&["for=203.0.113.5;proto=https, for=10.0.0.2;proto=http"], "203.0.113.5", false),
        (&["for=203.0.113.5;proto=https", "for=10.0.0.2;proto=http"], "203.0.113.5", false),
        (&["for=203.0.113.5;proto=http, for=10.0.0.2;proto=https"], "203.0.113.5", true),
        // The client invented the first element.
        (&["for=1.2.3.4;proto=https, for=203.0.113.5;proto=http"], "203.0.113.5", true),
        // Nodes without an address (RFC 7239 §6), and proxies only.
        (&["proto=http"], "10.0.0.1:9", true),
        (&["for=_hidden;proto=http"], "10.0.0.1:9", true),
        (&["for=unknown;proto=https, for=10.0.0.2;proto=http"], "10.0.0.2", false),
        (&["for=unknown;proto=http, for=10.0.0.2;proto=https"], "10.0.0.2", true),
        (&["for=10.0.0.3;proto=https, for=10.0.0.2;proto=http"], "10.0.0.3", false),
        (&["by=10.0.0.1, proto=http"], "10.0.0.1:9", true),
    ] {
        let headers: Vec<_> = forwarded.iter().map(|value| (FWD, *value)).collect();
        check(&proxies, &[("10.0.0.1:9", &headers, address, is_plain)]);
    }
}

/// RFC 7239 §4, RFC 9110 §5.6.4: a quote that is open, closed twice or followed by more is no quoted-string.
#[test]
fn ht_22_ht_19_a_malformed_element_names_no_address_and_counts_as_plain() {
    let proxies: TrustedProxies = [network("10.0.0.0/8")].into_iter().collect();
    for malformed in [
        "for=203.0.113.5;x=\"",
        "for=\"203.0.113.5",
        "for=203.0.113.5\"",
        "for=\"203.0.113.5\"x",
        "for=\"203.0.113.5\\\"",
        "for=203.0.113.5;x=\"a\"b\"c\"",
        "for=203.0.113.5;\"x\"=a",
        "for=203.0.113.5;for=1.2.3.4",
        "for=203.0.113.5;proto=https;Proto=https",
    ] {
        check(&proxies, &[("10.0.0.1:9", &[(FWD, malformed)], "10.0.0.1:9", true)]);
    }
    for (whole, address) in [
        ("for=\"203.0.113.5\";x=\"a\\\"b\\\\\"", "203.0.113.5"),
        ("for=203.0.113.5;x=\";for=1.2.3.4,\"", "203.0.113.5"),
        ("for=203.0.113.5;;x;", "203.0.113.5"),
        ("for=203.0.113.5, ,", "203.0.113.5"),
    ] {
        check(&proxies, &[("10.0.0.1:9", &[(FWD, whole)], address, false)]);
    }
}

/// Every text of up to four of these parts, by a client, before what the proxy appends in the same line or in one of its own.
#[test]
fn ht_22_ht_19_nothing_that_a_client_sends_changes_what_the_proxy_appends() {
    const PARTS: [&str; 8] = ["\"", "\\", ",", ";", "for=6.6.6.6", "x=", "proto=https", "10.0.0.2"];
    let proxies: TrustedProxies = [network("10.0.0.0/8")].into_iter().collect();
    let appended = [
        (FWD, "for=9.9.9.9;proto=http", "9.9.9.9", true),
        (FWD, "for=\"9.9.9.9:1\";by=\"_a,\\\";b\"", "9.9.9.9", false),
        (FWD, "for=_hidden;proto=http", "10.0.0.1:9", true),
        (FWD, "for=9.9.9.9;proto=http, for=10.0.0.3", "9.9.9.9", true),
        (XFF, "9.9.9.9", "9.9.9.9", false),
        (XFF, "unknown", "10.0.0.1:9", false),
    ];
    let mut prefixes = vec![String::new()];
    let mut begin = 0;
    for _ in 0..4 {
        let end = prefixes.len();
        for at in begin..end {
            prefixes.extend(PARTS.map(|part| format!("{}{part}", prefixes[at])));
        }
        begin = end;
    }
    for prefix in &prefixes {
        for (name, own, address, is_plain) in appended {
            let line = format!("{prefix}, {own}");
            check(
                &proxies,
                &[
                    ("10.0.0.1:9", &[(name, &line)], address, is_plain),
                    ("10.0.0.1:9", &[(name, prefix), (name, own)], address, is_plain),
                ],
            );
        }
    }
}

const XFF: &str = "X-Forwarded-For";
const XFP: &str = "X-Forwarded-Proto";
const FWD: &str = "Forwarded";
/// The peer, its headers, and the resulting origin.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, bool);

fn check(proxies: &TrustedProxies, cases: &[Case<'_>]) {
    for (peer, headers, address, is_plain) in cases {
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            map.append(name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let origin = proxies.of(peer.parse().ok(), &map);
        assert_eq!(origin.address.unwrap().to_string(), *address, "{peer} {headers:?}");
        assert_eq!(origin.is_plain, *is_plain, "{peer} {headers:?}");
    }
}
