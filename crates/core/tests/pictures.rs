//! Compares the picture of the chain of questions with the questions that requests lead to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::flow::{Answered, Pending};
use tokenberg_core::{Blocking, Entropy, Presented, Request, Step, TokenType};
use tokenberg_testkit::{ForeignKey, World, alice, at1, trusted};

/// The names of the questions of a request with the secret of `c1`, and how it ends.
fn chain(world: &World, body: &[(&str, &str)]) -> String {
    let secret: [&[u8]; 1] = [b"Basic YzE6czEtWjc="];
    let body = serde_urlencoded::to_string(body).unwrap();
    let request = Request { authorization: &secret, body: body.as_bytes(), ..Request::default() };
    let entropy = Entropy::from_bits([7; 16]);
    let mut step = world.endpoint.start(Presented::of(&request).unwrap(), world.now, entropy).unwrap();
    let mut names = Vec::new();
    loop {
        let Step::Ask(question) = step else { break };
        let shown = format!("{question:?}");
        names.push(shown.split(|c: char| !c.is_alphabetic()).next().unwrap().to_owned());
        step = match question.answer(world, &mut ()).unwrap() {
            Answered::Next(next) => next,
            Answered::Pending(Pending::Digest(question)) => question.computed(world, &mut ()).unwrap(),
            Answered::Pending(Pending::FetchKeys(question)) => {
                let answer = Blocking::verify(world, question.issuer(), question.token(), question.now());
                question.verified(answer.unwrap(), &mut ()).unwrap()
            }
            Answered::Pending(Pending::UseOnce(question)) => question.used(true).unwrap(),
        };
    }
    names.push("signed".to_owned());
    names.join(", ")
}

#[test]
fn the_picture_of_the_questions_shows_their_order() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = vec![trusted("https://idp.test", &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["https://idp.test|*".parse().unwrap()]);
    let (user, own) = (key.sign(&alice(&json!({}))), at1(&mut world));
    let exchange = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    let ours = TokenType::AccessToken.as_urn();
    let chains = [
        ("Client credentials", chain(&world, &[("grant_type", "client_credentials")])),
        (
            "Token exchange",
            chain(
                &world,
                &[
                    exchange,
                    ("subject_token", &user),
                    ("subject_token_type", TokenType::IdToken.as_urn()),
                    ("actor_token", &own),
                    ("actor_token_type", ours),
                ],
            ),
        ),
        ("Renewal", chain(&world, &[exchange, ("subject_token", &own), ("subject_token_type", ours)])),
    ];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pictures/questions.svg");
    let picture = std::fs::read_to_string(path).unwrap();
    for (purpose, questions) in chains {
        let expected = format!("{purpose}: {questions}.");
        assert!(picture.contains(&expected), "docs/pictures/questions.svg does not show\n{expected}");
    }
}
