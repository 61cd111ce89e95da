//! A compact token, a proof, an identity or a mapping: what is accepted has one spelling, and no forgery is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_core::issuer::ScopeMapping;
use tokenberg_core::jws::DpopProof;
use tokenberg_core::registration::SpiffeId;
use tokenberg_core::{AccessTokenClaims, CompactJws, Issuer, TokenType};
use tokenberg_testkit::{Ask, ForeignKey, World, alice, by_c1, trusted};

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
    static PLAIN: RefCell<(World, ForeignKey)> = RefCell::new((World::new(), ForeignKey::new(Some("p1"))));
}

/// A world that trusts an issuer whose private key is unknown, and in which `c1` may act for all of its users.
fn world() -> World {
    let mut world = World::new();
    world.issuers = vec![trusted("https://idp.test", &ForeignKey::new(Some("p1")))];
    world.change("c1", |c1| {
        c1.rights_mut().may_act_for = vec!["https://idp.test|*".parse().expect("a pattern")];
    });
    world
}

/// Whether it is an `http` URL of a loopback address (RFC 8252 §7.3). Written independently of the code that it checks.
fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let host =
        authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
    host == "localhost"
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.octets()[0] == 127)
}

/// A genuine token of a listed issuer of plain `http` is good only with `insecure_http`.
fn trusted_only_where_said(world: &mut World, key: &ForeignKey, issuer: &str) {
    let Ok(pattern) = format!("{issuer}|*").parse() else { return };
    world.issuers = vec![trusted(issuer, key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![pattern]);
    let token = key.sign(&alice(&serde_json::json!({"iss": issuer})));
    for insecure_http in [false, true] {
        world.issuers[0].trust.insecure_http = insecure_http;
        let code = world.check(by_c1(Ask::exchange_of(&token, TokenType::IdToken))).code();
        assert_eq!(code == "200", insecure_http, "{issuer}: {code}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = CompactJws::parse(text) {
        assert_eq!(token.expose(), text);
        assert!(!token.signature().is_empty());
        assert_eq!(text.split('.').count(), 3);
        assert!(!token.header().alg.eq_ignore_ascii_case("none"));
        if let Ok(claims) = AccessTokenClaims::read(token.unverified_payload()) {
            assert_eq!(AccessTokenClaims::read(&claims.to_json()).as_ref(), Ok(&claims));
        }
    }
    if let Ok(proof) = DpopProof::parse(text) {
        assert_eq!(proof.token().expose(), text);
        assert!(text.len() <= 4096 && proof.token().header().is_type("dpop+jwt"));
    }
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.as_str(), text);
        let domain: SpiffeId = id.trust_domain().parse().expect("a trust domain is an identifier");
        assert!(!domain.has_path() && text.starts_with(domain.as_str()));
        assert_eq!(id.has_path(), Issuer::foreign(text).is_err());
    }
    if let Ok(issuer) = Issuer::foreign(text) {
        assert_eq!(issuer.as_str(), text);
        assert!(text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['?', '#']));
        // In a path it is an ordinary character; before the host it would hide the real host.
        assert!(!text.split('/').nth(2).is_some_and(|authority| authority.contains('@')), "{text}");
        let is_secure = text.starts_with("https://") || issuer.is_spiffe() || is_loopback(text);
        assert_eq!(issuer.is_plain_http(), !is_secure, "{text}");
        if !is_secure {
            PLAIN.with_borrow_mut(|(world, key)| trusted_only_where_said(world, key, text));
        }
    }
    if let Ok(mapping) = text.parse::<ScopeMapping>() {
        let printed = mapping.to_string();
        assert_eq!(printed.parse::<ScopeMapping>().as_ref(), Ok(&mapping), "{printed}");
    }
    WORLD.with_borrow_mut(|world| {
        let exchanges = [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt];
        let mut asks: Vec<Ask> =
            exchanges.into_iter().map(|kind| by_c1(Ask::exchange_of(text, kind))).collect();
        asks.push(Ask::exchange(text).bearer(text));
        asks.push(by_c1(Ask::jwt_bearer(text)));
        asks.push(Ask::credentials().assertion(text));
        for ask in asks {
            assert_ne!(world.check(ask).code(), "200", "a forgery was accepted");
        }
    });
});
