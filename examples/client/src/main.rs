//! A client of a token endpoint: obtains a token, and renews it before it ends. Blocking, without a runtime.

use std::error::Error;
use std::time::{Duration, SystemTime};
use tokenberg_core::client::{AnswerFault, Held, NextRequest, Outgoing, Renewal, read_answer};
use tokenberg_core::{Secret, Timestamp};

/// A source of tokens: returns the present one, and requests another when it is time.
struct TokenSource {
    agent: ureq::Agent,
    url: String,
    renewal: Renewal,
    held: Option<Held>,
}

impl TokenSource {
    fn token(&mut self) -> Result<Secret, Box<dyn Error>> {
        let now = now()?;
        let fresh = |held: &&Held| held.renew_at().is_none_or(|renew_at| now < renew_at);
        if let Some(held) = self.held.as_ref().filter(fresh) {
            return Ok(held.token.token.clone());
        }
        let held = match self.request(self.renewal.next(self.held.as_ref(), now))? {
            Ok(held) => held,
            // The session has ended, or the server exchanges no tokens: begin again with the credential.
            Err(AnswerFault::Refused { .. }) if self.held.is_some() => {
                self.request(self.renewal.first())??
            }
            Err(fault) => return Err(fault.into()),
        };
        Ok(self.held.insert(held).token.token.clone())
    }

    /// Sends a request; three times, if the server is too busy.
    fn request(&self, next: Option<NextRequest>) -> Result<Result<Held, AnswerFault>, Box<dyn Error>> {
        let NextRequest { request, authentication } = next.ok_or("there is no credential")?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outgoing = request.to_http(&authentication);
            let mut post = self.agent.post(&self.url).content_type(Outgoing::CONTENT_TYPE);
            if let Some(authorization) = &outgoing.authorization {
                post = post.header("Authorization", authorization.expose());
            }
            let mut response = post.send(outgoing.form.expose())?;
            let status = response.status().as_u16();
            let retry_after =
                response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
            if let (429 | 503, Some(seconds @ 0..=60), 1..3) = (status, retry_after, attempts) {
                std::thread::sleep(Duration::from_secs(seconds));
                continue;
            }
            let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec()?;
            let received = now()?;
            return Ok(read_answer(status, &body).map(|response| Held::new(&response, received)));
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::var("TOKEN_SERVER").unwrap_or("http://127.0.0.1:8183".to_owned());
    let credential = Some(("spark".into(), Secret::new(std::env::var("SPARK_SECRET")?)));
    let renewal = Renewal { credential, scope: "catalog".parse()?, exchange: true, ..Renewal::default() };
    // A redirect would send the secret to another address.
    let agent =
        ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build().new_agent();
    let mut source = TokenSource { agent, url: format!("{server}/v1/oauth/tokens"), renewal, held: None };

    let first = source.token()?;
    assert_eq!(first.expose(), source.token()?.expose(), "it is kept while it is fresh");
    // As if it were time to renew.
    if let Some(held) = &mut source.held {
        held.expires_at = Some(now()?);
        held.received_at = Timestamp::from_seconds(0)?;
    }
    let second = source.token()?;
    assert_ne!(first.expose(), second.expose());
    println!("{}", second.expose());
    Ok(())
}

fn now() -> Result<Timestamp, Box<dyn Error>> {
    Ok(SystemTime::now().try_into()?)
}
