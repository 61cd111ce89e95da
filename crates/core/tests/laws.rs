//! Checks that no sequence of requests breaks the invariants of delegation, over random histories.

use proptest::prelude::*;
use tokenberg_core::Presented;
use tokenberg_testkit::history::EVENT_LENGTH;
use tokenberg_testkit::{Event, History};

fn event() -> impl Strategy<Value = Event> {
    any::<[u8; EVENT_LENGTH]>().prop_map(|bytes| Event::read(&bytes))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_violates_a_law_of_delegation(events in proptest::collection::vec(event(), 1..60)) {
        let mut history = History::new();
        for event in &events {
            history.play(event);
        }
    }

    #[test]
    fn no_history_violates_a_law_where_a_hook_decides(events in proptest::collection::vec(event(), 1..60)) {
        let mut history = History::with_hook();
        for event in &events {
            history.play(event);
        }
    }

    #[test]
    fn reading_never_panics_and_a_parsed_request_prints_and_reads_the_same(
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
        use tokenberg_core::client::ClientAuthentication;
        use tokenberg_core::request::{AssertionKind, TokenExchangeRequest};
        use tokenberg_core::token::TypedToken;
        use tokenberg_core::{Secret, Target, TokenRequest, TokenType};
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
