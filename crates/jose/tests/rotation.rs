//! Every live token verifies at every instant, with the current keys and with those of a cache: KS-04, KS-05, OP-11.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the functions that the tests share are tests too")]

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tokenberg_core::jws::{Algorithm, KeyId, KeyMaterial};
use tokenberg_core::key_schedule::{Successor, introduce, is_rotation_due, revoke, signer};
use tokenberg_core::policy::LONGEST_TOKEN_LIFETIME;
use tokenberg_core::{AccessTokenClaims, CompactJws, Keys, Lifetime, Timestamp};
use tokenberg_jose::{Keyring, PublicKeys, generate};

/// `Cache-Control` of the key set.
const MAX_AGE: i64 = 300;
const LONGEST: i64 = 7 * 24 * 3600;
const DAY: i64 = 24 * 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

/// The keys of the store, changed by the rules of the core alone.
#[derive(Default)]
struct Stored(Vec<KeyMaterial>);

impl Stored {
    fn times(&self) -> Vec<tokenberg_core::key_schedule::KeyTimes<'_>> {
        self.0.iter().map(KeyMaterial::times).collect()
    }

    fn introduce(&mut self, now: Timestamp, at_once: bool) {
        let succession = introduce(&self.times(), now, at_once).unwrap();
        let key = generate(Algorithm::EdDSA, now, succession.signs_from).unwrap();
        self.0.retain(|key| !succession.dropped.contains(&key.id));
        for key in self.0.iter_mut().filter(|key| succession.ending.contains(&key.id)) {
            key.verifies_until = Some(succession.end);
        }
        self.0.push(key);
    }

    fn revoke(&mut self, id: &KeyId, now: Timestamp) {
        let successor = revoke(&self.times(), id, now);
        self.0.retain(|key| key.id != *id);
        match successor {
            Successor::Unchanged { goes_on } => {
                for key in self.0.iter_mut().filter(|key| Some(&key.id) == goes_on.as_ref()) {
                    key.verifies_until = None;
                }
            }
            Successor::Published { id, signs_from } => {
                self.0.iter_mut().find(|key| key.id == id).unwrap().signs_from = signs_from;
            }
            Successor::New { signs_from } => {
                self.0.push(generate(Algorithm::EdDSA, now, signs_from).unwrap())
            }
        }
    }
}

fn token(ring: &Keyring, now: Timestamp) -> CompactJws {
    let payload = json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1","iat":1,"exp":2,
        "jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
    let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
    CompactJws::parse(ring.sign(&claims, now).unwrap().expose()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The instants around a change, and around the expiry of the previous key set in caches.
fn edges(change: i64) -> impl Iterator<Item = i64> {
    [0, MAX_AGE].into_iter().flat_map(move |later| (-1..=1).map(move |beside| change + later + beside))
}

/// Forty days: a new key every day and by command, revoked keys, and a rotation after each. Every two hours, and the second
/// before, at and after every change, with the current keys and with those that a cache still has.
#[test]
fn ks_04_ks_05_every_live_token_verifies_now_and_with_the_keys_of_max_age_ago() {
    assert_eq!(i64::from(LONGEST_TOKEN_LIFETIME.as_seconds()), LONGEST);
    let mut stored = Stored::default();
    stored.introduce(at(0), false);
    let mut ring = Keyring::read(&stored.0, at(0)).unwrap();
    // Each past key set, with the time when it ended, and the tokens that it verifies, which depends on no time.
    let mut published: Vec<(i64, PublicKeys, std::sync::Arc<str>, HashSet<KeyId>)> = Vec::new();
    // For each key that signed: one of its tokens, and the expiry of the last one.
    let mut live: HashMap<KeyId, (CompactJws, i64)> = HashMap::new();
    let (mut unknown_until, mut signers, mut most, mut built_of) = (0, Vec::new(), 0, Vec::new());
    // Every few days something is urgent.
    let urgent: BTreeMap<i64, i64> = (0..13).map(|n| ((3 * n + 2) * DAY + 1800, n % 5)).collect();
    let mut instants: BTreeSet<i64> =
        (0..40 * DAY).step_by(7200).chain(urgent.keys().copied().flat_map(edges)).collect();
    while let Some(now) = instants.pop_first().filter(|now| *now < 40 * DAY) {
        let present = at(now);
        if is_rotation_due(&stored.times(), present, Lifetime::from_seconds(DAY as u32)) {
            stored.introduce(present, false);
        }
        let signing = signer(stored.times(), present).unwrap().id.clone();
        let waiting = stored.0.iter().find(|key| key.signs_from > present).map(|key| key.id.clone());
        let retired = stored.0.iter().find(|key| key.signs_from <= present && key.id != signing);
        // The key that signs, one that waits, one that is retired, or a rotation.
        let lost = match urgent.get(&now) {
            Some(0 | 4) => Some(signing),
            Some(1) => waiting,
            Some(2) => retired.map(|key| key.id.clone()),
            Some(_) => {
                stored.introduce(present, true);
                unknown_until = now + MAX_AGE;
                None
            }
            None => None,
        };
        if let Some(lost) = lost {
            stored.revoke(&lost, present);
            live.remove(&lost);
            unknown_until = now + MAX_AGE;
        }
        let kept = Lifetime::from_hours(2);
        stored.0.retain(|key| key.verifies_until.is_none_or(|end| present < end.plus(kept)));
        // As a server does: the keyring is built again when keys have changed, and ages until then.
        let kept_now: Vec<_> =
            stored.0.iter().map(|k| (k.id.clone(), k.signs_from, k.verifies_until)).collect();
        if built_of != kept_now {
            ring = ring.updated(&stored.0, present).unwrap();
            built_of = kept_now;
        }

        let jwks = ring.jwks();
        match published.last_mut().filter(|(_, _, last, _)| *last == jwks) {
            Some(last) => last.0 = now,
            None => published.push((now, PublicKeys::from_jwks(&jwks).unwrap(), jwks, HashSet::new())),
        }
        published.retain(|(last, ..)| *last >= now - MAX_AGE);
        let signing = signer(stored.times(), present).unwrap().id.clone();
        if signers.last() != Some(&signing) {
            signers.push(signing.clone());
        }
        // One token stands for all of its key; the last one expires as late as any.
        let (sample, _) = live.remove(&signing).unwrap_or_else(|| (token(&ring, present), 0));
        live.insert(signing.clone(), (sample, now + LONGEST));
        live.retain(|_, (_, end)| now < *end);
        most = most.max(live.len());
        for (key, (token, _)) in &live {
            assert!(ring.verify(token, present).is_ok(), "{key} at {now}");
            for (last, keys, _, verified) in &mut published {
                // A verifier cannot know a key that is too new: that is the price of urgency.
                if (*last == now || now >= unknown_until) && verified.insert(key.clone()) {
                    assert!(keys.verify(token).is_ok(), "{key} at {now} with the keys of {last}");
                }
            }
        }
        let of_keys = stored.0.iter().flat_map(|key| {
            let ends = key.verifies_until.map(|end| [end, end.plus(kept)]).into_iter().flatten();
            [key.signs_from, key.signs_from.plus(Lifetime::from_hours(24))].into_iter().chain(ends)
        });
        // The last token of a key that still signs is not made yet.
        let of_tokens = live.iter().filter(|(key, _)| **key != signing).map(|(_, (_, end))| *end);
        let changes = of_keys.map(Timestamp::as_seconds).chain(of_tokens);
        instants.extend(changes.flat_map(edges).filter(|instant| *instant > now));
    }
    assert!(signers.len() > 35 && most >= 7, "{} {most}", signers.len());
}

#[test]
fn op_11_ten_thousand_tokens_are_made_and_verified_while_keys_change() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    let mut stored = Stored::default();
    stored.introduce(at(0), false);
    // As in a server: one moment, replaced as a whole.
    let present = Mutex::new((at(0), Arc::new(Keyring::read(&stored.0, at(0)).unwrap())));
    let (made, verified, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let moment = || present.lock().unwrap().clone();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = made.fetch_add(1, Ordering::Relaxed);
                    if number >= 10_000 {
                        break;
                    }
                    let (now, ring) = moment();
                    let token = token(&ring, now);
                    // Verifiers have the same moment or the next one.
                    let (later, ring) = moment();
                    // A thread may be kept waiting for longer than any token lives: a week passes in 56 ms here.
                    if later.as_seconds() - now.as_seconds() > 7 * 24 * 3600 {
                        continue;
                    }
                    verified.fetch_add(1, Ordering::Relaxed);
                    assert!(ring.verify(&token, later).is_ok());
                    // Reading a set again is slow, and its result does not depend on the reader.
                    if number % 50 == 0 {
                        assert!(PublicKeys::from_jwks(&ring.jwks()).unwrap().verify(&token).is_ok());
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
        }
        let mut now = 0;
        while !is_over.load(Ordering::Relaxed) {
            now += 6 * 3600;
            stored.introduce(at(now), now % 3 == 0);
            stored.0.retain(|key| key.verifies_until.is_none_or(|end| at(now) < end));
            let ring = Arc::new(moment().1.updated(&stored.0, at(now)).unwrap());
            *present.lock().unwrap() = (at(now), ring);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(stored.0.len() > 10);
    });
    assert!(verified.into_inner() > 5000);
}
