//! Answers a token request without HTTP and without a runtime: the core's own blocking loop.

use anyhow::Result;
use tokenberg_core::client::Renewal;
use tokenberg_core::{Policy, Presented, Secret, TokenEndpoint, drive};
use tokenberg_examples::{OneClient, entropy, now};

fn main() -> Result<()> {
    let secret = Secret::new("correct horse battery staple, but 256 bits of it".to_owned());
    let world = OneClient::new(&secret)?;
    let endpoint = TokenEndpoint::new(Policy::new("https://catalog.example".parse()?));

    // The client's side: the bytes that would be sent.
    let client = Renewal { credential: Some(("spark".into(), secret)), ..Renewal::default() };
    let Some(next) = client.first() else { return Ok(()) };
    let sent = next.request.to_http(&next.authentication);

    // The server's side: bytes in, a response out.
    let presented = Presented::read(&[], None, sent.form.expose().as_bytes())?;
    let granted = drive(endpoint.start(presented, now()?, entropy()?)?, &world, &())?;
    println!(
        "granted {} to {} until {}",
        granted.claims.scope, granted.claims.client_id, granted.claims.expires_at
    );

    // A refusal is the exact reason, for the operator; the client receives less.
    let stranger = Presented::read(&[], None, b"grant_type=client_credentials&client_id=x&client_secret=y")?;
    if let Err(refusal) = drive(endpoint.start(stranger, now()?, entropy()?)?, &world, &()) {
        println!("refused: {refusal}");
    }
    Ok(())
}
