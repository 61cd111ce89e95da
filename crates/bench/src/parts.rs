//! The parts of a token request from bytes to bytes, to be called repeatedly.

use crate::answers::{ASKING, FixedAnswers, ISSUER, SECRET, SUBJECT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenberg_core::request::{Authentication, Form};
use tokenberg_core::{
    AccessTokenClaims, Answers, CompactJws, Entropy, Granted, Policy, Presented, Secret, Timestamp,
    TokenEndpoint, TokenId, drive,
};

/// Requests, an endpoint, and what answers it.
pub struct Parts {
    client: Client,
    exchange: Vec<u8>,
    delegation: Vec<u8>,
    granted: Granted,
}

struct Client {
    endpoint: TokenEndpoint,
    basic: Vec<u8>,
}

const CREDENTIALS: &[u8] = b"grant_type=client_credentials&scope=catalog+ns%3Aread";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&scope=catalog";
const ACCESS_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

impl Parts {
    /// With tokens that these answers sign.
    ///
    /// # Panics
    /// If the world of the benchmark cannot be made.
    #[must_use]
    pub fn new(answers: &FixedAnswers) -> Self {
        let endpoint = TokenEndpoint::new(Policy::new(ISSUER.parse().expect("an issuer")));
        let of = |client: &str| Client { endpoint: endpoint.clone(), basic: basic(client) };
        let client = of(ASKING);
        let granted = client.answered(CREDENTIALS, answers);
        let subject = of(SUBJECT).answered(CREDENTIALS, answers);
        let typed = |role: &str, token: &Secret| {
            format!("&{role}_token={}&{role}_token_type={ACCESS_TOKEN}", token.expose())
        };
        let exchange = format!("{EXCHANGE}{}", typed("subject", &subject.response.access_token));
        let delegation = format!("{exchange}{}", typed("actor", &granted.response.access_token));
        Self { client, exchange: exchange.into(), delegation: delegation.into(), granted }
    }

    /// The time of all requests.
    #[must_use]
    pub fn now() -> Timestamp {
        now()
    }

    /// The token of a client's own.
    #[must_use]
    pub fn token(&self) -> &str {
        self.granted.response.access_token.expose()
    }

    /// Its claims.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.granted.claims
    }

    /// The form of an exchange, 1 kB.
    ///
    /// # Panics
    /// If it is malformed.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        Form::parse(&self.exchange).expect("a form")
    }

    /// A Basic header.
    ///
    /// # Panics
    /// If it is malformed.
    #[must_use]
    pub fn basic(&self) -> Authentication {
        Authentication::read(&[&self.client.basic], None, &Form::default()).expect("credentials")
    }

    /// A whole request, read.
    ///
    /// # Panics
    /// If it is malformed.
    #[must_use]
    pub fn presented(&self) -> Presented {
        Presented::read(&[&self.client.basic], None, &self.delegation).expect("a request")
    }

    /// Client credentials, from bytes to the answer.
    ///
    /// # Panics
    /// If they are refused.
    #[must_use]
    pub fn client_credentials(&self, answers: &FixedAnswers) -> Granted {
        self.client.answered(CREDENTIALS, answers)
    }

    /// An exchange of a subject, from bytes to the answer.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn exchange(&self, answers: &FixedAnswers) -> Granted {
        self.client.answered(&self.exchange, answers)
    }

    /// An exchange of a subject with an actor, from bytes to the answer.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn delegation(&self, answers: &FixedAnswers) -> Granted {
        self.client.answered(&self.delegation, answers)
    }

    /// The claims as they are signed.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self.claims()).unwrap_or_default()
    }

    /// The body of an answer.
    #[must_use]
    pub fn body(&self) -> Secret {
        self.granted.response.to_json()
    }

    /// A signed token.
    ///
    /// # Panics
    /// If no key signs.
    #[must_use]
    pub fn signed(&self, answers: &FixedAnswers) -> Secret {
        answers.keys().sign(self.claims(), now()).expect("a key")
    }

    /// So many tokens that differ only in their identifier.
    ///
    /// # Panics
    /// If no key signs.
    #[must_use]
    pub fn fresh_tokens(&self, answers: &FixedAnswers, count: u128) -> Vec<String> {
        let mut claims = self.claims().clone();
        let mut token = |number: u128| {
            claims.token_id = TokenId::from_bits(number.to_be_bytes());
            answers.keys().sign(&claims, now()).expect("a key").expose().to_owned()
        };
        (0..count).map(&mut token).collect()
    }

    /// A token, framed and verified.
    ///
    /// # Panics
    /// If it does not verify.
    #[must_use]
    pub fn verified(&self, answers: &FixedAnswers) -> CompactJws {
        let token = CompactJws::parse(self.token()).expect("a token");
        answers.keys().verify(&token, now()).expect("a signature");
        token
    }
}

impl Client {
    fn answered(&self, body: &[u8], answers: &FixedAnswers) -> Granted {
        let presented = Presented::read(&[&self.basic], None, body).expect("a request");
        let step = self.endpoint.start(presented, now(), Entropy::from_bits([7; 16])).expect("a step");
        drive(step, answers, &()).expect("a token")
    }
}

fn basic(client: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}"))).into_bytes()
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000).expect("a time")
}
