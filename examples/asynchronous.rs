//! Answers a token request on an event loop: from memory, and awaits the three answers that take time.

use anyhow::{Result, bail};
use std::sync::Arc;
use tokenberg_core::{
    Answered, Answers, Pending, Policy, Presented, Secret, Step, TokenEndpoint, TokenResponse,
};
use tokenberg_examples::{OneClient, entropy, now};

async fn answer(mut step: Step, world: &Arc<OneClient>) -> Result<TokenResponse> {
    loop {
        let question = match step {
            Step::Ask(question) => question,
            Step::Sign(question) => {
                let token = world.keys().sign(question.claims(), question.now())?;
                return Ok(question.signed(token));
            }
        };
        step = match question.answer(&**world, &mut ())? {
            Answered::Next(step) => step,
            Answered::Pending(Pending::Digest(question)) => {
                // A chosen secret takes some 20 ms of computing: not on the event loop.
                let world = Arc::clone(world);
                let computed = actix_web::web::block(move || {
                    let digest = world.digest(question.client_id(), question.secret());
                    (question, digest)
                });
                let (question, digest) = computed.await?;
                question.digested(&digest, &mut ())?
            }
            Answered::Pending(Pending::FetchKeys(_)) => bail!("this program trusts no issuer"),
            Answered::Pending(Pending::UseOnce(_)) => bail!("this program has no memory for assertions"),
        }
    }
}

#[actix_web::main]
async fn main() -> Result<()> {
    let secret = Secret::new("correct horse battery staple, but 256 bits of it".to_owned());
    let world = Arc::new(OneClient::new(&secret)?);
    let endpoint = TokenEndpoint::new(Policy::new("https://catalog.example".parse()?));

    let body = b"grant_type=client_credentials&client_id=spark\
        &client_secret=correct+horse+battery+staple%2C+but+256+bits+of+it";
    let first =
        answer(endpoint.start(Presented::read(&[], None, body)?, now()?, entropy()?)?, &world).await?;
    println!("first token: {}", shape(&first));

    // Iceberg's renewal: the token is its own Bearer.
    let token = first.access_token.expose();
    let body = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
         &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
    );
    let bearer = format!("Bearer {token}");
    let renewal = Presented::read(&[bearer.as_bytes()], None, body.as_bytes())?;
    let second = answer(endpoint.start(renewal, now()?, entropy()?)?, &world).await?;
    println!("renewed token: {}", shape(&second));
    Ok(())
}

fn shape(response: &TokenResponse) -> String {
    let scope = response.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("scope {scope:?}, {} characters", response.access_token.expose().len())
}
