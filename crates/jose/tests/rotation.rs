//! Does every live token verify at every instant, with the keys as they are and as a cache still has them? KS-04, KS-05, OP-11.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the functions that the tests share are tests too")]

use serde_json::json;
use std::collections::HashMap;
use tokenberg_core::{
    AccessTokenClaims, Algorithm, CompactJws, KeyId, KeyMaterial, Keys, LONGEST_TOKEN_LIFETIME, Lifetime,
    Successor, Timestamp, introduced, is_rotation_due, signing, taken_away,
};
use tokenberg_jose::{Keyring, PublicKeys, generate};

const STEP: i64 = 150;
/// `Cache-Control` of the key set.
const MAX_AGE: i64 = 300;
const LONGEST: i64 = 7 * 24 * 3600;
const DAY: i64 = 24 * 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

/// The keys as the store has them, changed by the rules of the core alone.
#[derive(Default)]
struct Stored(Vec<KeyMaterial>);

impl Stored {
    fn times(&self) -> Vec<tokenberg_core::KeyTimes<'_>> {
        self.0.iter().map(KeyMaterial::times).collect()
    }

    fn introduce(&mut self, now: Timestamp, at_once: bool) {
        let succession = introduced(&self.times(), now, at_once).unwrap();
        let key = generate(Algorithm::EdDSA, now, succession.signs_from).unwrap();
        self.0.retain(|key| !succession.dropped.contains(&key.id));
        for key in self.0.iter_mut().filter(|key| succession.ending.contains(&key.id)) {
            key.verifies_until = Some(succession.end);
        }
        self.0.push(key);
    }

    fn take_away(&mut self, id: &KeyId, now: Timestamp) {
        let successor = taken_away(&self.times(), id, now);
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

/// Forty days: a new key every day and by command, keys that are taken away, and the keeping of order after them.
#[test]
fn ks_04_ks_05_every_live_token_verifies_now_and_with_the_keys_of_max_age_ago() {
    assert_eq!(i64::from(LONGEST_TOKEN_LIFETIME.as_seconds()), LONGEST);
    let mut stored = Stored::default();
    stored.introduce(at(0), false);
    let mut ring = Keyring::read(&stored.0, at(0)).unwrap();
    // What the key set was, each time with when it was that last.
    let mut published: Vec<(i64, PublicKeys, std::sync::Arc<str>)> = Vec::new();
    // Of each key that signed: a token of it, and the end of the last one.
    let mut live: HashMap<KeyId, (CompactJws, i64)> = HashMap::new();
    let (mut unknown_until, mut signers, mut most) = (0, Vec::new(), 0);
    for now in (0..40 * DAY).step_by(STEP as usize) {
        let present = at(now);
        if is_rotation_due(&stored.times(), present, Lifetime::from_seconds(DAY as u32)) {
            stored.introduce(present, false);
        }
        // Every few days something is urgent: the key that signs, one that waits, one that is retired, or a rotation.
        let urgent = if now % (3 * DAY) == 2 * DAY + 12 * STEP { now / (3 * DAY) % 5 } else { -1 };
        let signer = signing(stored.times(), present).unwrap().id.clone();
        let waiting = stored.0.iter().find(|key| key.signs_from > present).map(|key| key.id.clone());
        let retired = stored.0.iter().find(|key| key.signs_from <= present && key.id != signer);
        let lost = match urgent {
            0 | 4 => Some(signer),
            1 => waiting,
            2 => retired.map(|key| key.id.clone()),
            3 => {
                stored.introduce(present, true);
                unknown_until = now + MAX_AGE;
                None
            }
            _ => None,
        };
        if let Some(lost) = lost {
            stored.take_away(&lost, present);
            live.remove(&lost);
            unknown_until = now + MAX_AGE;
        }
        stored
            .0
            .retain(|key| key.verifies_until.is_none_or(|end| present < end.plus(Lifetime::from_hours(2))));
        ring = ring.updated(&stored.0, present).unwrap();

        let jwks = ring.jwks();
        match published.last_mut().filter(|(_, _, last)| *last == jwks) {
            Some(last) => last.0 = now,
            None => published.push((now, PublicKeys::from_jwks(&jwks).unwrap(), jwks)),
        }
        published.retain(|(last, _, _)| *last >= now - MAX_AGE);
        let signer = signing(stored.times(), present).unwrap().id.clone();
        if signers.last() != Some(&signer) {
            signers.push(signer.clone());
        }
        // One token of each key stands for all of them; the last one ends as late as any.
        let (sample, _) = live.remove(&signer).unwrap_or_else(|| (token(&ring, present), 0));
        live.insert(signer, (sample, now + LONGEST));
        live.retain(|_, (_, end)| now < *end);
        most = most.max(live.len());
        let has_changed = published.len() > 1;
        if !has_changed && now % 3600 != 0 {
            // As at the instant before: the same keys, and an hour is shorter than any margin.
            continue;
        }
        for (key, (token, _)) in &live {
            assert!(ring.verify(token, present).is_ok(), "{key} at {now}");
            for (last, keys, _) in &published {
                // What nobody could know is not known: that is the price of urgency.
                if *last == now || now >= unknown_until {
                    assert!(keys.verify(token).is_ok(), "{key} at {now} with the keys of {last}");
                }
            }
        }
    }
    assert!(signers.len() > 35 && most >= 7, "{} {most}", signers.len());
}

#[test]
fn op_11_ten_thousand_tokens_are_made_and_verified_while_keys_change() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    let mut stored = Stored::default();
    stored.introduce(at(0), false);
    // What a server has: one moment, replaced as a whole.
    let present = Mutex::new((at(0), Arc::new(Keyring::read(&stored.0, at(0)).unwrap())));
    let (made, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
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
                    // Those who verify have the next moment already, or the same.
                    let (later, ring) = moment();
                    assert!(ring.verify(&token, later).is_ok());
                    // Reading a set anew is slow, and what it says does not depend on who reads it.
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
}
