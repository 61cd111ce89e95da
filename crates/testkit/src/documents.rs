//! Checks that no document of an issuer costs a good key or lets an attacker in: key sets, metadata and their addresses; KS-06.

use crate::key_reading::{self, KeyEntry};
use crate::{ForeignKey, NOW, alice};
use ring::hmac;
use serde_json::{Map, Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokenberg_core::{CompactJws, Issuer, KeySource, Timestamp, Trust, TrustedIssuer};
use tokenberg_jose::{
    Address, Document, Fetch, FetchEvent, FetchLimits, IssuerKeySets, LARGEST_JWKS, MOST_KEYS, PublicKeys,
};

/// The name of the good key.
const GOOD: &str = "good";
/// The most ignored keys that are listed: a hundred, and the first leak.
const MOST_IGNORED: usize = 101;
/// The longest and the shortest time that a published set can be cached, in seconds.
const FRESHNESS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Documents of an issuer with one good key and any additions, and the keys of a stranger and a thief.
///
/// In a document, `@x` and `@y` are the coordinates of the good key, `@X` and `@Y` those of the stranger. The thief is in no
/// document.
pub struct Documents {
    good: ForeignKey,
    stranger: ForeignKey,
    thief: ForeignKey,
    token: CompactJws,
    pages: Pages,
    keys: IssuerKeySets,
    events: Receiver<FetchEvent>,
}

/// The issuer's responses, in order, and the requested addresses.
#[derive(Clone, Default)]
struct Pages(Arc<Mutex<(Vec<Document>, Vec<String>)>>);

impl Fetch for Pages {
    fn fetch(&self, address: &Address, _: usize, _: Duration) -> Result<Document, String> {
        let (pages, requested) = &mut *self.0.lock().unwrap();
        requested.push(address.as_str().to_owned());
        pages.get(requested.len() - 1).cloned().ok_or_else(|| "no more pages".to_owned())
    }
}

impl Pages {
    fn set(&self, pages: Vec<Document>) {
        *self.0.lock().unwrap() = (pages, Vec::new());
    }

    fn requested(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }
}

fn page(status: u16, body: &str, cache_control: Option<&str>) -> Document {
    Document { status, body: body.as_bytes().to_vec(), cache_control: cache_control.map(str::to_owned) }
}

impl Documents {
    /// New keys.
    ///
    /// # Panics
    /// If none can be made.
    #[must_use]
    pub fn new() -> Self {
        let good = ForeignKey::new(Some(GOOD));
        let token = parsed(&good.sign(&alice(&json!({})))).unwrap();
        let (pages, (sender, events)) = (Pages::default(), channel());
        let keys = key_sets(&pages, sender);
        let [stranger, thief] = [GOOD, GOOD].map(|kid| ForeignKey::new(Some(kid)));
        Self { good, stranger, thief, token, pages, keys, events }
    }

    /// Checks the outcome of a document. Its first line is its kind: `keys`, with a JWK in each further line; `metadata`, with
    /// the number of an issuer and of a status in the second line; or `answer`, with the value of `Cache-Control` in the second
    /// line.
    ///
    /// # Panics
    /// If a good key is lost, a stranger's token verifies, a leak is not reported, a bound is exceeded, or a forbidden address is
    /// fetched.
    pub fn check(&mut self, text: &str) {
        let text = self.filled(text);
        match text.split_once('\n') {
            Some(("keys", lines)) => self.check_lines(lines),
            Some(("metadata", rest)) => self.check_metadata(rest),
            Some(("answer", rest)) => self.check_answer(rest),
            Some(_) | None => drop(PublicKeys::from_jwks(&text)),
        }
    }

    fn filled(&self, text: &str) -> String {
        let (good, stranger) = (self.good.jwk(), self.stranger.jwk());
        let of = |jwk: &Value, name: &str| jwk[name].as_str().unwrap().to_owned();
        text.replace("@x", &of(&good, "x"))
            .replace("@y", &of(&good, "y"))
            .replace("@X", &of(&stranger, "x"))
            .replace("@Y", &of(&stranger, "y"))
    }

    fn good_jwk(&self) -> Value {
        let mut jwk = self.good.jwk();
        jwk["kid"] = GOOD.into();
        jwk
    }

    /// The good key first, in the middle and last among the entries.
    fn check_lines(&self, lines: &str) {
        // In an array, as in a set: an entry that is too deep for a set is no entry.
        let read = |line: &str| serde_json::from_str::<Value>(&format!("{{\"keys\":[{line}]}}")).ok();
        let one =
            |set: Value| set["keys"].as_array().filter(|keys| keys.len() == 1).map(|keys| keys[0].clone());
        let entries: Vec<(&str, Value)> =
            lines.lines().filter_map(|line| Some((line, one(read(line)?)?))).collect();
        let good = self.good_jwk();
        for place in [0, entries.len() / 2, entries.len()] {
            let mut texts: Vec<String> = entries.iter().map(|(line, _)| (*line).to_owned()).collect();
            texts.insert(place, good.to_string());
            let text = format!("{{\"keys\":[{}]}}", texts.join(","));
            if text.len() > LARGEST_JWKS {
                return;
            }
            let mut values: Vec<Value> = entries.iter().map(|(_, value)| value.clone()).collect();
            values.insert(place, good.clone());
            let keys = PublicKeys::from_jwks(&text).expect("a JWK Set");
            check_bounds(&keys, &values);
            self.check_good(&keys, &values, place);
            if place == 0 {
                self.check_strangers(&keys, &values);
            }
        }
    }

    /// The good key is usable, unless another one has its name or its private half is public.
    fn check_good(&self, keys: &PublicKeys, entries: &[Value], place: usize) {
        let is_good = keys.verify(&self.token).is_ok();
        let is_of_good = |entry: &&Value| KeyEntry::of(entry).is_of(&self.good.jwk());
        if entries.len() <= MOST_KEYS
            && entries.iter().filter(is_of_good).any(|entry| KeyEntry::of(entry).has_private_value())
        {
            assert!(!is_good, "a key whose private half is public verifies");
            return;
        }
        let is_rival = |entry: &Value| {
            let alone = PublicKeys::from_jwks(&json!({"keys": [entry]}).to_string()).unwrap();
            entry["kid"] == GOOD && !alone.is_empty() && alone.verify(&self.token).is_err()
        };
        if place < MOST_KEYS && !entries.iter().any(is_rival) {
            assert!(is_good, "a good key is lost among {entries:?}: {:?}", keys.ignored());
        }
    }

    /// The thief's token never verifies, whatever names it; the stranger's only by a public key of the stranger for signatures.
    fn check_strangers(&self, keys: &PublicKeys, entries: &[Value]) {
        let kids = entries.iter().filter_map(|entry| entry["kid"].as_str()).take(4).map(Some);
        for kid in kids.chain([Some(GOOD), None]) {
            let header = match kid {
                Some(kid) => json!({"alg": "ES256", "kid": kid}),
                None => json!({"alg": "ES256"}),
            };
            let signed = |key: &ForeignKey| parsed(&key.sign_raw(&header.to_string(), "{}"));
            let (Some(thiefs), Some(strangers)) = (signed(&self.thief), signed(&self.stranger)) else {
                continue;
            };
            assert!(
                keys.verify(&thiefs).is_err(),
                "{kid:?} verifies a token that it did not sign: {entries:?}"
            );
            if keys.verify(&strangers).is_ok() {
                let thumbprint = self.stranger.thumbprint();
                let named = |key: &KeyEntry<'_>| {
                    kid.is_none_or(|kid| kid == key.kid().unwrap_or(thumbprint.as_str()))
                };
                let is_its = |entry: &Value| {
                    let key = KeyEntry::of(entry);
                    key.is_of(&self.stranger.jwk()) && key.may_verify_es256() && named(&key)
                };
                assert!(entries.iter().any(is_its), "{kid:?} verifies by no key of the set: {entries:?}");
            }
        }
        for entry in entries.iter().filter(|entry| entry["kty"] == "oct").take(2) {
            for alg in ["HS256", "ES256"] {
                let mut header = json!({"alg": alg});
                if !entry["kid"].is_null() {
                    header["kid"] = entry["kid"].clone();
                }
                let secret = key_reading::bytes(&entry["k"]).unwrap_or_default();
                if let Some(token) = parsed(&by_hmac(&secret, &header)) {
                    assert!(keys.verify(&token).is_err(), "a symmetric key verifies: {entry}");
                }
            }
        }
    }

    /// Metadata of another issuer are refused, and keys are fetched only from allowed addresses of this one.
    fn check_metadata(&self, rest: &str) {
        let (numbers, body) = rest.split_once('\n').unwrap_or((rest, ""));
        let number =
            |at: usize| usize::from(numbers.as_bytes().get(at).copied().unwrap_or(b'0').wrapping_sub(b'0'));
        let (issuer, insecure_http) = [
            ("https://idp.test", false),
            ("https://idp.test/a/", true),
            ("http://127.0.0.1:9/a", false),
            ("http://keycloak:8080/realms/x", true),
            ("http://keycloak:8080/realms/x", false),
        ][number(0) % 5];
        let status = [200, 404, 500, 302][number(1) % 4];
        let trusted = trusted(issuer, KeySource::Discovery, insecure_http);
        let keys = json!({"keys": [self.good_jwk()]}).to_string();
        let fetched = |metadata: &str| {
            let places = if status == 404 { vec![status, 200] } else { vec![status] };
            let places = places.into_iter().map(|status| page(status, metadata, None));
            self.pages.set(places.chain([page(200, &keys, None)]).collect());
            let found = self.keys.fetched_once(&trusted);
            (found.is_ok_and(|keys| keys.verify(&self.token).is_ok()), self.pages.requested())
        };
        let (is_usable, requested) = fetched(body);
        let may_begin = insecure_http || !trusted.issuer.is_plain_http();
        let places = if !may_begin {
            0
        } else if status == 404 {
            2
        } else {
            1
        };
        assert!(
            (places..=places + usize::from(may_begin)).contains(&requested.len()),
            "{issuer}: {requested:?}"
        );
        let (wells, rest) = requested.split_at(places);
        let own = |url: &String| url.starts_with(trusted.issuer.origin()) && url.contains("/.well-known/");
        assert!(wells.iter().all(own), "{issuer}: {requested:?}");
        assert_eq!(is_usable, !rest.is_empty(), "{issuer}: {requested:?}");
        if let [uri] = rest {
            // Members besides these two may be of a form that serde_json refuses.
            if let Ok(metadata) = serde_json::from_str::<Value>(body) {
                assert_eq!(
                    (&metadata["issuer"], &metadata["jwks_uri"]),
                    (&json!(issuer), &json!(uri)),
                    "{issuer}"
                );
            }
            assert!(matches!(status, 200 | 404), "{status}");
            assert!(may_be_fetched(uri, issuer, insecure_http), "{issuer}: {uri}");
        }
        // Metadata of this issuer with an address of keys are good, whatever their other members.
        if let Ok(mut metadata) = serde_json::from_str::<Map<String, Value>>(body)
            && may_begin
            && matches!(status, 200 | 404)
        {
            let uri = format!("{}/keys?a=b", trusted.issuer.origin());
            metadata.insert("issuer".to_owned(), issuer.into());
            metadata.insert("jwks_uri".to_owned(), uri.as_str().into());
            let (is_usable, requested) = fetched(&Value::Object(metadata).to_string());
            assert!(is_usable && requested.last() == Some(&uri), "{issuer}: {requested:?}: {body}");
        }
    }

    /// A fetched set is used for a bounded time, and has the same keys as a configured one.
    fn check_answer(&mut self, rest: &str) {
        let (cache_control, body) = rest.split_once('\n').unwrap_or((rest, ""));
        let issuer = if cache_control.len() % 2 == 0 { "https://idp.test" } else { "spiffe://td.test" };
        let trusted = trusted(issuer, KeySource::JwksUri("https://idp.test/keys".into()), false);
        let (sender, events) = channel();
        self.pages.set(vec![page(200, body, Some(cache_control))]);
        (self.keys, self.events) = (key_sets(&self.pages, sender), events);
        let now = Timestamp::from_seconds(NOW).unwrap();
        let checked = self.keys.verify_blocking(&trusted, &self.token, now);
        let event = self.events.recv_timeout(Duration::from_secs(60)).expect("the fetch ends");
        match (PublicKeys::from_jwks(body), event) {
            (Ok(given), FetchEvent::Fetched { keys, ignored, left_out, fresh_for, .. }) => {
                assert_eq!((keys, left_out), (given.len(), given.left_out()));
                assert_eq!(ignored, given.ignored());
                assert!(FRESHNESS.contains(&fresh_for.as_seconds()), "{cache_control:?}: {fresh_for:?}");
                match checked {
                    Ok(verified) => assert_eq!(verified.is_ok(), given.verify(&self.token).is_ok()),
                    Err(outage) => assert!(given.verify(&self.token).is_err(), "{outage}"),
                }
            }
            (Err(_), FetchEvent::Failed { stale, .. }) => assert!(!stale && checked.is_err()),
            (given, event) => panic!("{event:?} of {given:?}"),
        }
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}

fn key_sets(pages: &Pages, events: Sender<FetchEvent>) -> IssuerKeySets {
    let events = Mutex::new(events);
    let sent = move |event| drop(events.lock().unwrap().send(event));
    IssuerKeySets::new(pages.clone(), FetchLimits::default(), sent)
}

fn trusted(issuer: &str, keys: KeySource, insecure_http: bool) -> TrustedIssuer {
    let mut trust = Trust::new(keys);
    trust.insecure_http = insecure_http;
    TrustedIssuer { issuer: Issuer::foreign(issuer).unwrap(), enabled: true, trust }
}

fn parsed(token: &str) -> Option<CompactJws> {
    CompactJws::parse(token).ok()
}

/// The report about a set is bounded, and lists every private key.
fn check_bounds(keys: &PublicKeys, entries: &[Value]) {
    let ignored = keys.ignored();
    assert!(keys.len() <= MOST_KEYS && ignored.len() <= MOST_IGNORED);
    assert!(keys.len() + ignored.len() + keys.left_out() <= entries.len(), "more keys than entries");
    assert!(ignored.is_sorted_by(|one, next| one.position < next.position), "{ignored:?}");
    assert!(ignored.iter().all(|key| key.position < entries.len()));
    let mut leaks = 0;
    for (position, entry) in entries.iter().enumerate() {
        if KeyEntry::of(entry).has_private_value() {
            leaks += 1;
            let is_reported = ignored.iter().any(|key| key.position == position && key.reason.is_leak());
            assert!(is_reported || keys.left_out() > 0, "{entry} is not reported: {ignored:?}");
        }
    }
    assert_eq!(leaks > 0, ignored.iter().any(|key| key.reason.is_leak()), "{ignored:?}");
}

/// Whether metadata of this issuer may name this address of keys. Written independently of the code that it checks.
fn may_be_fetched(uri: &str, issuer: &str, insecure_http: bool) -> bool {
    if uri.len() > 2048 || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    if uri.starts_with("https://") {
        return true;
    }
    let authority = |url: &str| {
        url.strip_prefix("http://").map(|rest| rest.split(['/', '?']).next().unwrap_or_default().to_owned())
    };
    let is_local = |authority: &str| {
        let host =
            authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map_or(authority, |(h, _)| h);
        matches!(host, "localhost" | "[::1]") || host.starts_with("127.") && host.split('.').count() == 4
    };
    let (Some(requested), Some(own)) = (authority(uri), authority(issuer)) else { return false };
    is_local(&requested) && is_local(&own) || insecure_http && requested == own
}

/// A token that is signed with a secret, as if that were a key of the set.
fn by_hmac(secret: &[u8], header: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    let input = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode("{}"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{input}.{}", BASE64URL.encode(hmac::sign(&key, input.as_bytes())))
}
