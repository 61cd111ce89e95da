//! Mutates requests: in ways that do not change the outcome, and in ways with which no request may be granted.

use crate::wire::Sent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenberg_testkit::SeededBytes;

const TOKENS: [&str; 4] = ["subject_token", "actor_token", "assertion", "client_assertion"];
const NEEDED: [&str; 5] =
    ["grant_type", "subject_token", "subject_token_type", "actor_token_type", "client_assertion_type"];

type Mutation = (&'static str, fn(&mut Sent, &mut SeededBytes) -> bool);

/// Mutations after which any request has to be refused. Each returns whether it was applicable.
const HARMFUL: [Mutation; 24] = [
    ("a signature is another", |sent, chance| {
        change_token(sent, chance, |parts, at| flip(&mut parts[2], at))
    }),
    ("a payload is another", |sent, chance| change_token(sent, chance, |parts, at| flip(&mut parts[1], at))),
    ("a signature is cut", |sent, chance| change_token(sent, chance, |parts, _| parts[2].truncate(80))),
    ("a signature is gone", |sent, chance| change_token(sent, chance, |parts, _| parts[2].clear())),
    ("a token of four parts", |sent, chance| change_token(sent, chance, |parts, _| parts[2] += ".x")),
    ("a type that is not read", |sent, _| replace(sent, "subject_token_type", |_| urn("saml2"))),
    ("a refresh token", |sent, _| replace(sent, "subject_token_type", |_| urn("refresh_token"))),
    ("a type is asked for that is not issued", |sent, _| {
        let is_exchange = sent.form.iter().any(|(name, _)| name == "subject_token");
        is_exchange && push(sent, "requested_token_type", &urn("id_token"))
    }),
    ("another secret", |sent, _| basic(sent, |pair| pair.push(b'x'))),
    ("no secret", |sent, _| basic(sent, |pair| pair.truncate(pair.len().min(5)))),
    ("no credential", |sent, _| {
        sent.headers.retain(|(name, _)| name != "Authorization");
        sent.form.retain(|(name, _)| !name.starts_with("client_"));
        true
    }),
    ("two ways of authenticating", |sent, _| {
        let has =
            sent.headers.iter().any(|(name, value)| name == "Authorization" && value.starts_with(b"Basic "));
        has && push(sent, "client_secret", "x")
    }),
    ("two headers", |sent, _| {
        let header = sent.headers.iter().find(|(name, _)| name == "Authorization").cloned();
        header.map(|header| sent.headers.push(header)).is_some()
    }),
    ("a parameter twice", |sent, chance| {
        let pair = sent.form[chance.below(sent.form.len())].clone();
        let may_repeat = matches!(pair.0.as_str(), "audience" | "resource") || pair.1.is_empty();
        !may_repeat && push(sent, &pair.0, &pair.1)
    }),
    ("a parameter is missing", |sent, chance| {
        let name = NEEDED[chance.below(NEEDED.len())];
        let before = sent.form.len();
        sent.form.retain(|(known, _)| known != name);
        sent.form.len() < before
    }),
    ("no form", |sent, chance| {
        let kinds = ["application/json", "text/plain", "multipart/form-data; boundary=x", ""];
        let kind = kinds[chance.below(kinds.len())];
        sent.headers.retain(|(name, _)| name != "Content-Type");
        if !kind.is_empty() {
            sent.header("Content-Type", kind);
        }
        true
    }),
    ("no POST", |sent, chance| {
        sent.method = ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"][chance.below(6)];
        true
    }),
    ("a scope that is not registered", |sent, _| push_or_extend(sent, "scope", "ns%3Anever")),
    ("an audience that is not registered", |sent, _| push(sent, "audience", "https%3A%2F%2Fnowhere.test")),
    ("a relative resource", |sent, _| push(sent, "resource", "catalog")),
    ("half a percent", |sent, _| replace(sent, "grant_type", |value| format!("{value}%z"))),
    ("a NUL", |sent, _| replace(sent, "grant_type", |value| format!("{value}%00"))),
    ("parameters in the address", |sent, _| {
        sent.path += "?scope=catalog";
        true
    }),
    ("no proof", |sent, _| {
        sent.headers.retain(|(name, _)| name != "DPoP");
        sent.header("DPoP", "eyJhbGciOiJub25lIn0.e30.");
        true
    }),
];

/// Mutates the request so that it has to be refused.
pub fn harmful(sent: &Sent, chance: &mut SeededBytes) -> (&'static str, Sent) {
    loop {
        let (name, mutation) = HARMFUL[chance.below(HARMFUL.len())];
        let mut mutated = sent.clone();
        if mutation(&mut mutated, chance) {
            return (name, mutated);
        }
    }
}

/// Mutates the request without changing its meaning.
pub fn harmless(sent: &mut Sent, chance: &mut SeededBytes) {
    match chance.below(7) {
        0 => {
            let at = chance.below(sent.form.len());
            sent.form.rotate_left(at);
        }
        1 => {
            push(sent, "foo", "1");
            push(sent, "foo", "2");
        }
        2 => {
            push(sent, "resource", "");
        }
        3 => {
            sent.headers.retain(|(name, _)| name != "Content-Type");
            sent.header("content-type", "Application/X-WWW-Form-URLEncoded; charset=\"utf-8\"");
        }
        4 => {
            sent.header("X-Iceberg-Access-Delegation", "vended-credentials");
            sent.header("Accept", "text/html");
        }
        5 => sent.path += "/",
        _ => sent.path = format!("/{}", sent.path),
    }
}

/// Bytes that are no valid request, or barely one.
pub fn garbage(chance: &mut SeededBytes) -> Sent {
    let paths = ["/v1/oauth/tokens", "/v1/oauth/introspect", "/v1/oauth/revoke"];
    let mut sent = Sent {
        method: "POST",
        path: paths[chance.below(paths.len())].to_owned(),
        headers: Vec::new(),
        form: Vec::new(),
        raw: None,
        shown: None,
    };
    if chance.below(4) != 0 {
        sent.header("Content-Type", "application/x-www-form-urlencoded");
    }
    let mut text = |most: usize| -> Vec<u8> {
        let alphabet = b"ABCxyz019-_.~%&=+;:/ \t\x7f\xff\x00eyJ";
        (0..chance.below(most)).map(|_| alphabet[chance.below(alphabet.len())]).collect()
    };
    let (raw, header) = (text(200), text(60));
    let header = header.into_iter().filter(|b| *b >= b' ' && *b != 0x7f).collect::<Vec<u8>>();
    sent.raw = Some(raw);
    match chance.below(4) {
        0 => sent.header("Authorization", [b"Basic ", &header[..]].concat()),
        1 => sent.header("Authorization", [b"Bearer ", &header[..]].concat()),
        2 => sent.header("DPoP", header),
        _ => {}
    }
    sent
}

fn urn(name: &str) -> String {
    format!("urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A{name}")
}

fn push(sent: &mut Sent, name: &str, value: &str) -> bool {
    sent.form.push((name.to_owned(), value.to_owned()));
    true
}

fn push_or_extend(sent: &mut Sent, name: &str, value: &str) -> bool {
    replace(sent, name, |known| format!("{known}+{value}")) || push(sent, name, value)
}

fn replace(sent: &mut Sent, name: &str, with: impl Fn(&str) -> String) -> bool {
    match sent.form.iter_mut().find(|(known, _)| known == name) {
        Some((_, value)) => {
            *value = with(value);
            true
        }
        None => false,
    }
}

/// Changes a signed token; an unsecured JWT has no signature to change.
fn change_token(sent: &mut Sent, chance: &mut SeededBytes, change: impl Fn(&mut Vec<String>, usize)) -> bool {
    let at = chance.below(20);
    let is_signed = |(name, value): &&mut (String, String)| {
        TOKENS.contains(&name.as_str()) && value.split('.').nth(2).is_some_and(|part| part.len() > 80)
    };
    let Some((_, value)) = sent.form.iter_mut().find(is_signed) else { return false };
    let mut parts: Vec<String> = value.split('.').map(str::to_owned).collect();
    change(&mut parts, at);
    *value = parts.join(".");
    true
}

fn flip(part: &mut String, at: usize) {
    let at = at + part.len() / 3;
    let other = if part.as_bytes()[at] == b'A' { "B" } else { "A" };
    part.replace_range(at..=at, other);
}

fn basic(sent: &mut Sent, change: impl Fn(&mut Vec<u8>)) -> bool {
    let Some((_, value)) = sent.headers.iter_mut().find(|(name, _)| name == "Authorization") else {
        return false;
    };
    let Some(mut pair) = value.strip_prefix(b"Basic ").and_then(|text| STANDARD.decode(text).ok()) else {
        return false;
    };
    change(&mut pair);
    *value = format!("Basic {}", STANDARD.encode(pair)).into_bytes();
    true
}
