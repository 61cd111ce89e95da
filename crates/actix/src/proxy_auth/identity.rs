//! Writes who a token is for into response headers that a proxy passes on.

use actix_web::http::header::{HeaderName, HeaderValue};
use tokenberg_core::AccessTokenClaims;
use tokenberg_core::token::{Actor, UNSECURED};

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-request-subject");
const ISSUER: HeaderName = HeaderName::from_static("x-auth-request-issuer");
const CLIENT: HeaderName = HeaderName::from_static("x-auth-request-client");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-request-scope");
const ACTORS: HeaderName = HeaderName::from_static("x-auth-request-actors");

/// The headers of a valid token. All of them are always there, because proxies replace a header that the client sent only if the
/// response has it.
pub(super) fn headers(claims: &AccessTokenClaims) -> [(HeaderName, HeaderValue); 5] {
    let actors = claims.actor.iter().flat_map(Actor::chain).map(actor);
    [
        (SUBJECT, value(encoded(claims.subject.as_str()))),
        (ISSUER, value(issuer(claims))),
        (CLIENT, value(encoded(claims.client_id.as_str()))),
        // Its grammar is that of RFC 6749 §3.3, which a header can hold.
        (SCOPE, value(claims.scope.as_str().to_owned())),
        (ACTORS, value(actors.collect::<Vec<_>>().join(", "))),
    ]
}

/// The issuer that the subject is a subject of. No issuer knows an unsecured subject; only the client states its name.
fn issuer(claims: &AccessTokenClaims) -> String {
    if claims.session.unsecured {
        return UNSECURED.to_owned();
    }
    encoded(claims.subject_issuer().as_str())
}

/// An actor: a client of ours by its identifier, a subject of another issuer with that before it and a space between.
fn actor(actor: &Actor) -> String {
    let subject = encoded(actor.subject.as_str());
    match &actor.issuer {
        Some(issuer) => format!("{} {subject}", encoded(issuer.as_str())),
        None => subject,
    }
}

/// Percent-encodes (RFC 3986 §2.1) what a header or a list in a header cannot hold, and `%` itself, so that decoding gives the name.
fn encoded(name: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && !b"%,\"\\".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The text consists of visible ASCII and spaces.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ht_16_every_name_is_a_header_value_that_decodes_to_it_and_to_nothing_else() {
        for plain in ["alice", "a.b@c.example", "spiffe://td.test/ns/a", "auth0|5f7c", "okta:alice", "a=b;c"]
        {
            assert_eq!(encoded(plain), plain);
        }
        for (name, text) in [
            ("c 3+%", "c%203+%25"),
            ("Zo\u{eb}", "Zo%C3%AB"),
            ("a,b", "a%2Cb"),
            ("\"\\", "%22%5C"),
            ("%2C", "%252C"),
            ("a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"),
        ] {
            assert_eq!((encoded(name).as_str(), decoded(text).as_str()), (text, name));
        }
        // Every character of the first plane and the next, with others around it.
        for code in 0..0x2_0000 {
            let Some(c) = char::from_u32(code) else { continue };
            let name = format!("{c}a{c}%");
            let text = encoded(&name);
            assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b','), "{text:?}");
            assert_eq!(decoded(&text), name);
            assert_eq!(value(text.clone()).as_bytes(), text.as_bytes());
        }
    }
}
