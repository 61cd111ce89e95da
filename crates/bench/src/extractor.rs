//! What does a catalog pay for a request? The extractor of `tokenberg-actix`, as a handler calls it.

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
    /// The tokens have to be such as these answers find good.
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

    /// Who calls?
    ///
    /// # Panics
    /// If the token is refused.
    #[must_use]
    pub fn extract(&self) -> Bearer {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.requests.len());
        // Nothing is waited for: no proof has to be remembered.
        let found = Bearer::from_request(&self.requests[turn], &mut Payload::None).now_or_never();
        found.expect("an answer at once").expect("a good token")
    }
}
