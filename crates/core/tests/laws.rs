//! Which laws does no sequence of requests break? The invariants of delegation, over random histories.

use proptest::prelude::*;
use std::collections::BTreeSet;
use tokenberg_core::{AccessTokenClaims, GrantType, Lifetime, Presented, Revocation, Timestamp};
use tokenberg_testkit::{Answer, Ask, ISSUER, World, client};

const CLIENTS: [(&str, &str); 3] = [("c1", "s1-Z7"), ("c2", "s2-Q4"), ("c3", "s3")];
const SCOPES: [&str; 4] = ["", "catalog", "ns:read", "catalog ns:read ns:write"];

/// One event of a history. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    Credentials { client: usize, scope: usize },
    Renew { token: usize, scope: usize },
    Exchange { client: usize, subject: usize, actor: Option<usize>, scope: usize },
    BearerExchange { subject: usize, actor: usize, scope: usize },
    Pass { seconds: u32 },
    Revoke { token: usize },
    Disable { client: usize, enabled: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let (client, token, scope) = (0..CLIENTS.len(), 0..64usize, 0..SCOPES.len());
    prop_oneof![
        3 => (client.clone(), scope.clone()).prop_map(|(client, scope)| Event::Credentials { client, scope }),
        4 => (token.clone(), scope.clone()).prop_map(|(token, scope)| Event::Renew { token, scope }),
        5 => (client.clone(), token.clone(), proptest::option::of(token.clone()), scope.clone())
            .prop_map(|(client, subject, actor, scope)| Event::Exchange { client, subject, actor, scope }),
        4 => (token.clone(), token.clone(), scope)
            .prop_map(|(subject, actor, scope)| Event::BearerExchange { subject, actor, scope }),
        3 => (1..5000u32).prop_map(|seconds| Event::Pass { seconds }),
        1 => token.prop_map(|token| Event::Revoke { token }),
        1 => (client, any::<bool>()).prop_map(|(client, enabled)| Event::Disable { client, enabled }),
    ]
}

/// A token that was issued, and what its history entitles it to at most.
#[derive(Clone)]
struct Issued {
    text: String,
    claims: AccessTokenClaims,
    scope: BTreeSet<String>,
    audience: BTreeSet<String>,
    session_end: Timestamp,
}

struct History {
    world: World,
    issued: Vec<Issued>,
}

impl History {
    fn new() -> Self {
        let mut world = World::new();
        world.register(client("c3", "s3", "catalog ns:read"));
        let everybody = format!("{ISSUER}|*");
        for (id, _) in CLIENTS {
            world.change(id, |c| {
                c.rights.may_act_for = vec![everybody.parse().unwrap()];
                c.rights.session_lifetime = Lifetime::from_hours(if id == "c2" { 2 } else { 4 });
                c.rights.audiences = vec!["https://cat.test".into(), format!("https://{id}.test").into()];
            });
        }
        Self { world, issued: Vec::new() }
    }

    fn token(&self, index: usize) -> Option<Issued> {
        (!self.issued.is_empty()).then(|| self.issued[index % self.issued.len()].clone())
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Credentials { client, scope } => {
                let (id, secret) = CLIENTS[client];
                let answer =
                    self.world.check(Ask::credentials().basic(id, secret).with("scope", SCOPES[scope]));
                self.begun(&answer);
            }
            Event::Renew { token, scope } => {
                let Some(token) = self.token(token) else { return };
                let ask = Ask::exchange(&token.text).bearer(&token.text).with("scope", SCOPES[scope]);
                let answer = self.world.check(ask);
                self.exchanged(&answer, &token, None, false);
            }
            Event::Exchange { client, subject, actor, scope } => {
                let Some(subject) = self.token(subject) else { return };
                let actor = actor.and_then(|actor| self.token(actor));
                let (id, secret) = CLIENTS[client];
                let mut ask = Ask::exchange(&subject.text).basic(id, secret).with("scope", SCOPES[scope]);
                if let Some(actor) = &actor {
                    ask = ask.actor(&actor.text);
                }
                let answer = self.world.check(ask);
                self.exchanged(&answer, &subject, actor.as_ref(), true);
            }
            Event::BearerExchange { subject, actor, scope } => {
                let (Some(subject), Some(actor)) = (self.token(subject), self.token(actor)) else { return };
                let ask = Ask::exchange(&subject.text).actor(&actor.text).bearer(&actor.text);
                let answer = self.world.check(ask.with("scope", SCOPES[scope]));
                self.exchanged(&answer, &subject, Some(&actor), false);
            }
            Event::Pass { seconds } => self.world.pass(seconds),
            Event::Revoke { token } => {
                if let Some(token) = self.token(token) {
                    self.world.revoked.push(Revocation::Session(token.claims.session.id));
                }
            }
            Event::Disable { client, enabled } => {
                self.world.change(CLIENTS[client].0, |c| c.enabled = enabled);
            }
        }
    }

    fn begun(&mut self, answer: &Answer) {
        let Answer::Ok(granted) = answer else { return };
        let claims = granted.claims.clone();
        let (scope, audience) = (scope_of(&claims), audience_of(&claims));
        let session_end = claims.session.end;
        self.issued.push(Issued { text: answer.token(), claims, scope, audience, session_end });
    }

    fn exchanged(
        &mut self,
        answer: &Answer,
        subject: &Issued,
        actor: Option<&Issued>,
        with_credential: bool,
    ) {
        let Answer::Ok(granted) = answer else { return };
        let claims = granted.claims.clone();
        let now = self.world.now;
        assert_eq!(granted.decision.grant, GrantType::TokenExchange);

        assert!(scope_of(&claims).is_subset(&subject.scope), "scope widened");
        assert!(audience_of(&claims).is_subset(&subject.audience), "audience widened");
        if let Some(actor) = actor {
            assert!(scope_of(&claims).is_subset(&actor.scope), "more than the actor");
            assert!(audience_of(&claims).is_subset(&actor.audience), "elsewhere than the actor");
            assert!(actor.claims.actor.is_none(), "an actor who is acted for");
            assert_eq!(actor.claims.client_id, claims.client_id, "an actor who did not ask");
        }
        assert_eq!(claims.subject, subject.claims.subject, "another subject");

        let before = chain(&subject.claims);
        let after = chain(&claims);
        assert!(after.ends_with(&before), "an actor was dropped: {before:?} became {after:?}");
        assert!(after.len() <= before.len() + 1 && after.len() <= 5, "{after:?}");
        if after.len() > before.len() {
            assert_eq!(after[0], claims.client_id.as_str(), "an actor was forged");
        }
        if claims.client_id != subject.claims.client_id
            && claims.subject.as_str() != claims.client_id.as_str()
        {
            assert_eq!(
                after.first().map(String::as_str),
                Some(claims.client_id.as_str()),
                "acted without being named"
            );
        }

        let is_new_session = claims.session.start == now && claims.session.id == claims.token_id;
        let mut session_end = subject.session_end;
        if is_new_session && claims.session.id != subject.claims.session.id {
            assert!(
                with_credential && subject.claims.is_clients_own(),
                "a session began without a credential"
            );
            assert_eq!(subject.claims.client_id, claims.client_id);
            session_end = claims.session.end;
        } else {
            assert_eq!(claims.session.id, subject.claims.session.id, "left its family");
            assert_eq!(claims.session.start, subject.claims.session.start, "started later");
        }
        assert!(
            claims.expires_at <= session_end && claims.session.end <= session_end,
            "outlived its session"
        );
        assert!(claims.expires_at > now);
        if now >= subject.claims.expires_at {
            assert!(with_credential && subject.claims.is_clients_own(), "an expired token was renewed");
        }
        let is_revoked = |r: &Revocation| *r == Revocation::Session(subject.claims.session.id.clone());
        assert!(!self.world.revoked.iter().any(is_revoked), "a revoked token was exchanged");
        assert!(!self.is_disabled(&claims), "a disabled client took part");

        let (scope, audience) = (scope_of(&claims), audience_of(&claims));
        self.issued.push(Issued { text: answer.token(), claims, scope, audience, session_end });
    }

    fn is_disabled(&self, claims: &AccessTokenClaims) -> bool {
        use tokenberg_core::Answers;
        [claims.client_id.as_str(), claims.subject.as_str()]
            .iter()
            .any(|id| id.parse().ok().and_then(|id| self.world.client(&id)).is_none_or(|c| !c.enabled))
    }
}

fn scope_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.scope.tokens().map(str::to_owned).collect()
}

fn audience_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.audience.iter().map(ToString::to_string).collect()
}

fn chain(claims: &AccessTokenClaims) -> Vec<String> {
    claims.actor.iter().flat_map(|a| a.chain()).map(|a| a.subject.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_widens_outlives_drops_or_forges(events in proptest::collection::vec(event(), 1..40)) {
        let mut history = History::new();
        for event in &events {
            history.play(event);
        }
    }

    #[test]
    fn reading_never_panics_and_a_request_that_was_read_prints_and_reads_the_same(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        header in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
    ) {
        let headers: Vec<&[u8]> = header.iter().map(Vec::as_slice).collect();
        let _ = Presented::read(&headers, None, &body);
    }

    #[test]
    fn requests_print_and_read_the_same(
        scope in "[a-z:]{0,6}( [a-z:]{1,6}){0,3}",
        resources in proptest::collection::vec("https://[a-z]{1,8}\\.test(/[a-z&=%+ ]{0,5}[a-z])?", 0..3),
        token in "[A-Za-z0-9._~+/=-]{1,40}",
        secret in "[ -~]{1,30}",
        id in "[ -~]{1,20}",
    ) {
        use tokenberg_core::{ClientAuthentication, Secret, Target, TokenExchangeRequest, TokenRequest, TokenType, TypedToken};
        let typed = |text: &str| TypedToken { token: Secret::new(text.to_owned()), token_type: TokenType::AccessToken };
        let targets: Vec<Target> = resources.iter().filter_map(|r| Target::resource(r).ok()).collect();
        let request = TokenRequest::TokenExchange(TokenExchangeRequest {
            subject: typed(&token),
            actor: Some(typed(&secret)),
            scope: scope.trim().parse().unwrap(),
            targets,
            requested_token_type: Some(TokenType::Jwt),
        });
        let client_id = id.clone().into_boxed_str();
        let client_secret = Secret::new(secret);
        for authentication in [
            ClientAuthentication::Basic { client_id: client_id.clone(), client_secret: client_secret.clone() },
            ClientAuthentication::Body { client_id: Some(client_id), client_secret },
        ] {
            let sent = request.to_http(&authentication);
            let header = sent.authorization.as_ref().map(|h| h.expose().as_bytes().to_vec());
            let headers: Vec<&[u8]> = header.iter().map(Vec::as_slice).collect();
            let read = Presented::read(&headers, None, sent.form.expose().as_bytes()).unwrap();
            let again = read.request().unwrap().to_http(&ClientAuthentication::None);
            let expected = request.to_http(&ClientAuthentication::None);
            prop_assert_eq!(again.form.expose(), expected.form.expose());
            prop_assert_eq!(read.claimed_client_id().map(|c| c.to_string()), Some(id.clone()));
        }
    }
}
