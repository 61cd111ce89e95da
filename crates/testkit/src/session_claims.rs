//! Checks that a token of ours with any `tokenberg_session` yields no more than that session has. Conformance TX-44 and TX-38,
//! D13.

use crate::scenario::{at1, at2, by_c1, by_c2};
use crate::{Ask, ForeignKey, ISSUER, NOW, World, trusted};
use serde_json::{Map, Value, json};
use tokenberg_core::text::is_unsafe_to_display;
use tokenberg_core::token::{Actor, MOST_ORIGINS, Origin, Session};
use tokenberg_core::{AccessTokenClaims, CompactJws, Lifetime, Revocation, Timestamp, TokenId};

/// The most actors of a chain.
const MOST_ACTORS: usize = 16;
/// The lifetime of a client's session.
const LONGEST_SESSION: Lifetime = Lifetime::from_hours(12);

/// A world in which `c1` and `c2` may act for any subject and any user of two issuers, and whose key signs tokens that another
/// version of the service could have issued.
pub struct SessionClaims {
    world: World,
    of_c1: String,
    of_c2: String,
}

impl SessionClaims {
    /// The world, and a token of each client for itself.
    ///
    /// # Panics
    /// If one is refused.
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        let key = ForeignKey::new(Some("p1"));
        world.issuers = ["https://idp.test", "https://q.test"].map(|issuer| trusted(issuer, &key)).into();
        // That of the seeds: a session ends with the prefix that its name has.
        world.issuers[0].trust.subject_prefix = Some("p:".into());
        for id in ["c1", "c2"] {
            let patterns = [ISSUER, "https://idp.test", "https://q.test"];
            let patterns = patterns.map(|issuer| format!("{issuer}|*").parse().unwrap());
            world.change(id, |client| {
                client.rights_mut().may_act_for = patterns.into();
                client.rights_mut().may_assert_users = vec!["*".parse().unwrap()];
                client.rights_mut().session_lifetime = LONGEST_SESSION;
            });
        }
        let (of_c1, of_c2) = (at1(&mut world), at2(&mut world));
        Self { world, of_c1, of_c2 }
    }

    /// Checks a token whose session is the first line, JSON. The second line may be an object with other claims, which replace
    /// those of a token of `c1` for itself. Returns how many tokens it yields.
    ///
    /// # Panics
    /// If the session prints differently than it was read, exceeds a limit, or yields a token that has more.
    pub fn check(&mut self, text: &str) -> usize {
        let (session, others) = text.split_once('\n').unwrap_or((text, "{}"));
        let usual = json!({"iss": ISSUER, "aud": "https://cat.test", "sub": "c1", "client_id": "c1", "iat": NOW,
            "exp": NOW + 3600, "jti": "t1", "scope": "catalog ns:read"});
        let Ok(others) = serde_json::from_str::<Map<String, Value>>(others) else { return 0 };
        let mut members: Map<String, Value> = usual.as_object().unwrap().clone();
        members.extend(others);
        members.remove("tokenberg_session");
        let members = Value::Object(members).to_string();
        // Byte for byte, so that a member may be repeated.
        let payload = format!("{},\"tokenberg_session\":{session}}}", members.strip_suffix('}').unwrap());
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": self.world.kid()}).to_string();
        let token = self.world.sign_raw(&header, &payload);
        let Ok(read) = CompactJws::parse(&token) else { return 0 };
        let payload = read.unverified_payload();
        let claims = AccessTokenClaims::read(payload);
        if let Ok(claims) = &claims {
            check_reading(payload, claims);
            check_revocation(claims);
        }
        self.check_results(&token, claims.ok().as_ref())
    }

    fn check_results(&mut self, token: &str, claims: Option<&AccessTokenClaims>) -> usize {
        let mut granted = 0;
        let as_subject = [
            by_c1(Ask::exchange(token)),
            Ask::exchange(token).bearer(token),
            by_c2(Ask::exchange(token).actor(&self.of_c2)),
        ];
        for ask in as_subject {
            let is_by_credential = ask.authorization[0].starts_with(b"Basic");
            let answer = self.world.check(ask);
            if answer.code() == "200" {
                granted += 1;
                let claims = claims.expect("a token that cannot be read yields another");
                check_result(claims, answer.claims(), is_by_credential);
            }
        }
        let answer = self.world.check(by_c1(Ask::exchange(&self.of_c1).actor(token)));
        if answer.code() == "200" {
            granted += 1;
            let (actor, result) = (claims.expect("a token that cannot be read acts"), answer.claims());
            assert!(result.session.end <= actor.session.end, "{result:?}");
            assert!(actor.confirmation.is_none(), "an actor's bound token without its key");
        }
        granted
    }
}

impl Default for SessionClaims {
    fn default() -> Self {
        Self::new()
    }
}

/// A session prints as it was read, member for member, within its limits.
fn check_reading(payload: &Map<String, Value>, claims: &AccessTokenClaims) {
    let printed = claims.to_json();
    assert_eq!(AccessTokenClaims::read(&printed).as_ref(), Ok(claims));
    for name in ["tokenberg_session", "act", "cnf", "scope"] {
        assert_eq!(printed.get(name), payload.get(name), "{name} does not print as it was read");
    }
    let session = &claims.session;
    assert!(claims.origins().count() <= MOST_ORIGINS);
    assert!(claims.actor.iter().flat_map(Actor::chain).count() <= MOST_ACTORS);
    assert!((1..=64).contains(&session.id.as_str().len()));
    assert!(!session.unsecured || session.subject_issuer.is_none());
    assert!(session.issuer_subject().is_none() || session.subject_issuer.is_some());
    let names = claims.participants().map(|participant| participant.subject.to_owned());
    let names = names.chain([claims.subject.to_string(), claims.issuer_subject().to_string()]);
    for name in names {
        assert!(name.len() <= 255 && !name.is_empty() && !name.chars().any(is_unsafe_to_display), "{name:?}");
    }
}

/// Whatever ends the session, or something that the token was obtained with, ends the token.
fn check_revocation(claims: &AccessTokenClaims) {
    let of_session = |id: &TokenId| Revocation::Session(id.clone());
    assert!(of_session(&claims.session.id).reason_for(claims).is_some());
    for origin in claims.origins() {
        let revocation = match origin {
            Origin::Session { session, .. } => of_session(session),
            Origin::Foreign { since, .. } | Origin::Identity { since, .. } => {
                Revocation::Subject { before: since.plus(Lifetime::from_seconds(1)) }
            }
        };
        assert!(revocation.reason_for(claims).is_some(), "{origin:?} was revoked");
    }
}

/// The result has no more than the subject's token and its session.
fn check_result(subject: &AccessTokenClaims, result: &AccessTokenClaims, is_by_credential: bool) {
    assert!(subject.confirmation.is_none(), "a bound token without its key");
    assert_eq!(result.subject, subject.subject);
    assert!(result.scope.tokens().all(|token| subject.scope.tokens().any(|held| held == token)));
    assert!(result.audience.iter().all(|one| subject.audience.contains(one)), "{:?}", result.audience);
    let (was, is) = (&subject.session, &result.session);
    if is.id != was.id {
        // Only a client that has authenticated for itself begins a session anew.
        let end = was.end.min(was.start.plus(LONGEST_SESSION));
        assert!(is_by_credential && subject.is_clients_own() && end.as_seconds() <= NOW, "{result:?}");
        return;
    }
    assert!(is.end <= was.end && was.end.as_seconds() > NOW, "{result:?}");
    assert_eq!(
        (is.start, &is.subject_issuer, is.unsecured, is.issuer_subject()),
        (was.start, &was.subject_issuer, was.unsecured, was.issuer_subject())
    );
    // A renewal does not escape a revocation of the client's earlier tokens; another client joins now.
    let now = Timestamp::from_seconds(NOW).unwrap();
    let joined = if result.client_id == subject.client_id { was.joined() } else { now.max(was.start) };
    assert_eq!(is.joined(), joined, "{result:?}");
    let provenance = |session: &Session| session.provenance.clone().unwrap_or_default();
    let (before, after) = (provenance(was), provenance(is));
    assert_eq!(after.may_act, before.may_act);
    assert!(
        before.origins.iter().all(|origin| after.origins.contains(origin)),
        "{before:?} became {after:?}"
    );
    let chain = |claims: &AccessTokenClaims| -> Vec<String> {
        claims
            .actor
            .iter()
            .flat_map(Actor::chain)
            .map(|actor| format!("{:?} {}", actor.issuer, actor.subject))
            .collect()
    };
    assert!(chain(result).ends_with(&chain(subject)), "an actor was dropped: {result:?}");
}
