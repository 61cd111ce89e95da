//! Tries forgeries at every endpoint that accepts foreign signatures, and genuine credentials that were tampered with.

use crate::clients::{client_with, federated_client, signing_client};
use crate::{Ask, ForeignKey, ISSUER, NOW, World, alice, certificate, changed, trusted};
use serde_json::{Value, json};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::registration::{CertificateName, UserPattern};
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{AuthMethod, GrantType, TokenType, TrustedIssuer};

const IDP: &str = "https://idp.test";
const DOMAIN: &str = "spiffe://td.test";
const WORKLOAD: &str = "spiffe://td.test/spark";

/// A way to present a credential that was made elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its credential")]
pub enum Door {
    IdToken,
    Jwt,
    AccessToken,
    Assertion,
    ClientAssertion,
    WorkloadIdentity,
    Proof,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::IdToken,
        Self::Jwt,
        Self::AccessToken,
        Self::Assertion,
        Self::ClientAssertion,
        Self::WorkloadIdentity,
        Self::Proof,
    ];
}

/// A world in which one key signs for an issuer, for a client, for a workload and for the holder of a bound token.
pub struct Doors {
    world: World,
    key: ForeignKey,
    stranger: ForeignKey,
    bound: String,
    actor: String,
    made: u32,
}

impl Doors {
    /// The world, and a token that is bound to the key.
    ///
    /// # Panics
    /// If the genuine request is refused.
    #[must_use]
    pub fn new() -> Self {
        let (mut world, key) = (World::new(), ForeignKey::new(Some("k1")));
        let accept = AcceptedAs::ALL.to_vec();
        world.issuers = [IDP, DOMAIN].iter().map(|issuer| trusted(issuer, &key)).collect();
        world
            .issuers
            .iter_mut()
            .for_each(|issuer: &mut TrustedIssuer| issuer.trust.accept.clone_from(&accept));
        let scope = "catalog ns:read";
        world.register(signing_client("cj", scope, key.jwks()));
        world.register(federated_client("wl", scope, &[(DOMAIN, WORKLOAD)]));
        world.register(client_with("cm", scope, |rights| {
            rights.auth_method = AuthMethod::TlsClientAuth;
            rights.certificate = Some(CertificateName::Subject("CN=cm,O=Test".into()));
        }));
        world.change("c1", |c1| {
            c1.rights_mut().grants = GrantType::ALL.to_vec();
            c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
            c1.rights_mut().may_assert_users = vec!["user-*".parse::<UserPattern>().unwrap()];
        });
        let proof = key.proof(world.now, "first", &json!({}));
        let bound = world.check(by_c1(Ask::credentials()).dpop(&proof)).token();
        let actor = world.token("c1", "s1-Z7", "catalog ns:read");
        Self { world, key, stranger: ForeignKey::new(Some("k1")), bound, actor, made: 0 }
    }

    /// The genuine credential of this door, valid once.
    fn claims(&mut self, door: Door) -> Value {
        self.made += 1;
        let changes = json!({"jti": format!("made-{}", self.made)});
        match door {
            Door::IdToken => alice(&changes),
            Door::Jwt | Door::AccessToken => changed(alice(&changes), &json!({"aud": ISSUER})),
            Door::Assertion => changed(alice(&changes), &json!({"aud": ISSUER, "exp": NOW + 200})),
            Door::ClientAssertion => changed(
                json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60}),
                &changes,
            ),
            Door::WorkloadIdentity => {
                changed(json!({"sub": WORKLOAD, "aud": ISSUER, "iat": NOW, "exp": NOW + 600}), &changes)
            }
            Door::Proof => changed(
                json!({"htm": "POST", "htu": format!("{ISSUER}/v1/oauth/tokens"), "iat": NOW}),
                &changes,
            ),
        }
    }

    fn header(&self, door: Door) -> Value {
        match door {
            Door::Proof => json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.jwk()}),
            Door::IdToken
            | Door::Jwt
            | Door::AccessToken
            | Door::Assertion
            | Door::ClientAssertion
            | Door::WorkloadIdentity => json!({"typ": "JWT", "alg": "ES256", "kid": "k1"}),
        }
    }

    fn ask(&self, door: Door, text: &str) -> Ask {
        match door {
            Door::IdToken => by_c1(Ask::exchange_of(text, TokenType::IdToken)),
            Door::Jwt => by_c1(Ask::exchange_of(text, TokenType::Jwt)),
            Door::AccessToken => by_c1(Ask::exchange(text)),
            Door::Assertion => by_c1(Ask::jwt_bearer(text)),
            Door::ClientAssertion => Ask::credentials().assertion(text),
            Door::WorkloadIdentity => Ask::credentials()
                .with("client_assertion_type", AssertionKind::JwtSpiffe.as_parameter())
                .with("client_assertion", text),
            // A bound token is useless without its key.
            Door::Proof => by_c1(Ask::exchange(&self.bound)).dpop(text),
        }
    }

    /// Tries, at a door that the first byte names, a variation of a genuine credential by the other bytes: the text itself
    /// tampered with; other claims or another header with a stranger's signature; an unsecured name; a certificate.
    ///
    /// # Panics
    /// If it is accepted, or uses up the genuine one.
    pub fn attack(&mut self, bytes: &[u8]) {
        let [which, rest @ ..] = bytes else { return };
        let door = Door::ALL[usize::from(*which) % Door::ALL.len()];
        match which / 7 % 5 {
            0 | 1 => self.tampered(door, rest),
            2 => self.signed_by_a_stranger(door, rest),
            3 => self.unsecured(rest),
            _ => self.certificate(rest),
        }
    }

    fn tampered(&mut self, door: Door, script: &[u8]) {
        let (claims, header) = (self.claims(door), self.header(door));
        let genuine = self.key.sign_raw(&header.to_string(), &claims.to_string());
        let Some(text) = tamper(genuine.clone().into_bytes(), script) else { return };
        if text != genuine {
            self.refused(door, &text);
        }
        self.still_good(door, &genuine);
    }

    /// The stranger knows everything except the key.
    fn signed_by_a_stranger(&mut self, door: Door, script: &[u8]) {
        let (claims, header) = (self.claims(door), self.header(door));
        let half = script.len() / 2;
        let Some(header_text) = tamper(header.to_string().into_bytes(), &script[..half]) else { return };
        let Some(claims_text) = tamper(claims.to_string().into_bytes(), &script[half..]) else { return };
        self.refused(door, &self.stranger.sign_raw(&header_text, &claims_text));
        // The stranger's own key in the header does not help.
        let with_key = changed(header.clone(), &json!({"jwk": self.stranger.jwk()}));
        self.refused(door, &self.stranger.sign_raw(&with_key.to_string(), &claims_text));
        self.still_good(door, &self.key.sign_raw(&header.to_string(), &claims.to_string()));
    }

    fn refused(&mut self, door: Door, text: &str) {
        let before = self.world.minted();
        let answer = self.world.check(self.ask(door, text));
        assert_ne!(answer.code(), "200", "{door:?} accepts a forgery: {text}");
        assert_eq!(self.world.minted(), before);
    }

    /// The genuine one is valid, whatever was tried before; and only once, if it is single-use.
    fn still_good(&mut self, door: Door, genuine: &str) {
        let ask = self.ask(door, genuine);
        assert_eq!(
            self.world.check(ask.clone()).code(),
            "200",
            "{door:?}: a forgery used up the genuine one"
        );
        let again = self.world.check(ask).code();
        match door {
            Door::Assertion | Door::ClientAssertion | Door::Proof => {
                assert_ne!(again, "200", "{door:?} twice")
            }
            Door::IdToken | Door::Jwt | Door::AccessToken | Door::WorkloadIdentity => {
                assert_eq!(again, "200")
            }
        }
    }

    /// Of an unsecured JWT only the name counts, and only one that the client may assert.
    fn unsecured(&mut self, script: &[u8]) {
        let claims = json!({"sub": "user-a", "iat": NOW}).to_string();
        let (Some(claims), Some(tail)) =
            (tamper(claims.into_bytes(), script), script.last().map(|byte| byte % 8))
        else {
            return;
        };
        let encode = |text: &str| {
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
        };
        let end = if tail == 0 { ".c2ln" } else { "." };
        let token = format!("{}.{}{end}", encode(r#"{"alg":"none"}"#), encode(&claims));
        let ask = by_c1(Ask::exchange_of(&token, TokenType::Jwt));
        assert_ne!(self.world.check(ask.clone()).code(), "200", "a name without an actor");
        let answer = self.world.check(ask.actor(&self.actor));
        if answer.code() == "200" {
            let claims = answer.claims();
            assert!(tail != 0 && claims.session.unsecured, "{token}");
            assert!(claims.subject.as_str().starts_with("user-"));
            assert_eq!(claims.actor.as_ref().map(|actor| actor.subject.as_str()), Some("c1"));
            assert!(claims.scope.tokens().all(|token| matches!(token, "catalog" | "ns:read")));
        }
    }

    fn certificate(&mut self, script: &[u8]) {
        let name = "CN=cm,O=Test";
        let Some(subject) = tamper(name.as_bytes().to_vec(), script.get(1..).unwrap_or_default()) else {
            return;
        };
        let flags = script.first().copied().unwrap_or_default();
        let mut presented = certificate(&subject, flags);
        presented.fault = (flags % 2 == 1).then(|| "of an unknown authority".into());
        presented.common_names = usize::from(flags / 2 % 3);
        presented.names = vec![CertificateName::Dns(name.into()), CertificateName::Uri(name.into())];
        let is_its = presented.is_trusted() && presented.common_names <= 1 && subject == name;
        let answer = self.world.check(Ask::credentials().with("client_id", "cm").certificate(presented));
        assert_eq!(answer.code() == "200", is_its, "{subject} {flags}");
    }
}

impl Default for Doors {
    fn default() -> Self {
        Self::new()
    }
}

fn by_c1(ask: Ask) -> Ask {
    ask.basic("c1", "s1-Z7")
}

/// The text with up to sixteen changes, each of four bytes: the kind, two positions, and a byte. `None` if it is not text.
fn tamper(mut text: Vec<u8>, script: &[u8]) -> Option<String> {
    for change in script.chunks_exact(4).take(16) {
        let place = usize::from(u16::from_be_bytes([change[1], change[2]]));
        let at = if text.is_empty() { 0 } else { place % text.len() };
        match change[0] % 6 {
            0 if !text.is_empty() => text[at] = change[3],
            1 => text.insert(at, change[3]),
            2 if !text.is_empty() => drop(text.remove(at)),
            3 if !text.is_empty() => text[at] ^= 1 << (change[3] % 8),
            4 => text.truncate(at),
            _ if !text.is_empty() => {
                let end = (at + usize::from(change[3])).min(text.len());
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
            _ => {}
        }
    }
    String::from_utf8(text).ok()
}
