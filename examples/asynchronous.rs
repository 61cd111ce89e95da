//! How is a token request answered where an answer may have to be awaited? The same steps, in a loop of one's own.

use anyhow::Result;
use std::sync::Arc;
use tokenberg_core::{
    Answers, Client, ClientId, Policy, Presented, Question, Secret, Step, TokenEndpoint, TokenResponse, Who,
};
use tokenberg_examples::{OneClient, entropy, now};

/// Stands for a directory that is asked over the network.
async fn find_client(directory: &OneClient, id: &ClientId) -> Option<Arc<Client>> {
    directory.client(id)
}

async fn answer(mut step: Step, world: &OneClient) -> Result<TokenResponse> {
    loop {
        step = match step {
            // Whatever has to be awaited is answered by itself ...
            Step::Ask(Question::FindClient(question)) => {
                let client = match question.who() {
                    Who::Id(id) => find_client(world, id).await,
                    Who::Federated(..) => None,
                };
                question.found(client)?
            }
            // ... and the rest from memory.
            Step::Ask(question) => question.answer(world)?,
            Step::Sign(question) => {
                let token = world.keys().sign(question.claims(), question.now())?;
                return Ok(question.signed(token));
            }
        }
    }
}

#[actix_web::main]
async fn main() -> Result<()> {
    let world = OneClient::new(&Secret::new("correct horse battery staple, but 256 bits of it".to_owned()))?;
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
