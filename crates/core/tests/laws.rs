//! Which laws does no sequence of requests break? The invariants of delegation, over random histories.

use proptest::prelude::*;
use tokenberg_core::Presented;
use tokenberg_testkit::{Event, HISTORY_CLIENTS, HISTORY_SCOPES, HISTORY_USERS, History};

fn event() -> impl Strategy<Value = Event> {
    let user = 0..HISTORY_USERS.len();
    let (client, token, scope) = (0..HISTORY_CLIENTS.len(), 0..64usize, 0..HISTORY_SCOPES.len());
    prop_oneof![
        3 => (client.clone(), scope.clone()).prop_map(|(client, scope)| Event::Credentials { client, scope }),
        4 => (token.clone(), scope.clone()).prop_map(|(token, scope)| Event::Renew { token, scope }),
        5 => (client.clone(), token.clone(), proptest::option::of(token.clone()), scope.clone())
            .prop_map(|(client, subject, actor, scope)| Event::Exchange { client, subject, actor, scope }),
        4 => (token.clone(), token.clone(), scope.clone())
            .prop_map(|(subject, actor, scope)| Event::BearerExchange { subject, actor, scope }),
        3 => (1..5000u32).prop_map(|seconds| Event::Pass { seconds }),
        1 => token.clone().prop_map(|token| Event::Revoke { token }),
        4 => (client.clone(), user.clone(), proptest::option::of(token.clone()), scope.clone(), 1..9000u32)
            .prop_map(|(client, user, actor, scope, seconds)| Event::Foreign { client, user, actor, scope, seconds }),
        2 => (user.clone(), token, scope).prop_map(|(user, actor, scope)| Event::Assert { user, actor, scope }),
        2 => proptest::option::of(0..2usize).prop_map(|key| Event::Hold { key }),
        4 => (user, proptest::bool::weighted(0.3), any::<bool>())
            .prop_map(|(user, asserted, disabled)| Event::ShutOut { user, asserted, disabled }),
        1 => proptest::bool::weighted(0.8).prop_map(|enabled| Event::Trust { enabled }),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, enabled)| Event::Disable { client, enabled }),
        1 => (client, 1..20_000u32).prop_map(|(client, seconds)| Event::Shorten { client, seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_widens_outlives_drops_forges_or_frees(events in proptest::collection::vec(event(), 1..40)) {
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
        use tokenberg_core::{AssertionKind, ClientAuthentication, Secret, Target, TokenExchangeRequest, TokenRequest, TokenType, TypedToken};
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
            ClientAuthentication::Body { client_id: Some(client_id.clone()), client_secret: client_secret.clone() },
            ClientAuthentication::Assertion {
                client_id: Some(client_id), kind: AssertionKind::JwtSpiffe, assertion: client_secret,
            },
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
