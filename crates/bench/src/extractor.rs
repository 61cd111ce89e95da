//! Measures a catalog's cost of a request: the extractor of `tokenberg-actix`, called as by a handler.

use crate::answers::{FixedAnswers, ISSUER};
use crate::parts::Parts;
use actix_web::dev::Payload;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt;
use std::cell::Cell;
use tokenberg_actix::{Bearer, BearerConfig, Fixed, TokenService};
use tokenberg_core::Policy;

/// Requests with tokens for a catalog in the same process, which take turns.
pub struct Extractor {
    requests: Vec<HttpRequest>,
    turn: Cell<usize>,
}

impl Extractor {
    /// The tokens have to verify with these answers.
    ///
    /// # Panics
    /// If the world of the benchmark cannot be made.
    #[must_use]
    pub fn new(answers: FixedAnswers, tokens: &[&str]) -> Self {
        let policy = Policy::new(ISSUER.parse().expect("an issuer"));
        let service = TokenService::builder(policy, Fixed::new(answers))
            .audiences(["https://catalog.example"])
            .clock(Parts::now)
            .build();
        let config = BearerConfig::of(&service);
        let request = |token: &&str| {
            TestRequest::get()
                .uri("/v1/namespaces")
                .insert_header(("Authorization", format!("Bearer {token}")))
                .app_data(config.clone())
                .to_http_request()
        };
        Self { requests: tokens.iter().map(request).collect(), turn: Cell::new(0) }
    }

    /// Extracts the token of the next request.
    ///
    /// # Panics
    /// If the token is refused.
    #[must_use]
    pub fn extract(&self) -> Bearer {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.requests.len());
        // It never waits, because no proof has to be stored.
        let found = Bearer::from_request(&self.requests[turn], &mut Payload::None).now_or_never();
        found.expect("an answer at once").expect("a good token")
    }
}
