//! What does a catalog pay for a request? The extractor of `tokenberg-actix`, as a handler calls it.

use crate::answers::{FixedAnswers, ISSUER};
use crate::parts::Parts;
use actix_web::dev::Payload;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, HttpRequest};
use tokenberg_actix::{Bearer, BearerConfig, Fixed, TokenService};
use tokenberg_core::Policy;

/// A request with a token for a catalog in the same process.
pub struct Extractor(HttpRequest);

impl Extractor {
    /// The token has to be one that these answers find good.
    ///
    /// # Panics
    /// If the world of the benchmark cannot be made.
    #[must_use]
    pub fn new(answers: FixedAnswers, token: &str) -> Self {
        let policy = Policy::new(ISSUER.parse().expect("an issuer"));
        let service = TokenService::builder(policy, Fixed::new(answers))
            .audiences(["https://catalog.example"])
            .clock(Parts::now)
            .build();
        let request = TestRequest::get()
            .uri("/v1/namespaces")
            .insert_header(("Authorization", format!("Bearer {token}")))
            .app_data(BearerConfig::of(&service));
        Self(request.to_http_request())
    }

    /// Who calls?
    ///
    /// # Panics
    /// If the token is refused.
    #[must_use]
    pub fn extract(&self) -> Bearer {
        Bearer::from_request(&self.0, &mut Payload::None).into_inner().expect("a good token")
    }
}
