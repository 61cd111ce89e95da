//! A request that was not made is decided like one that was: SE-06 of the conformance list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::explanation::{SupposedUser, Verdict, WhatIf, explain_what_if};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::{AuthMethod, Issuer};
use tokenberg_testkit::{Ask, ForeignKey, NOW, World, trusted};

const IDP: &str = "https://idp.test";

fn asked(
    world: &World,
    client: &str,
    scope: Option<&str>,
    user: Option<(&str, AcceptedAs, Value)>,
) -> String {
    let user = user.map(|(subject, presented_as, claims)| SupposedUser {
        issuer: IDP.parse::<Issuer>().unwrap(),
        subject: subject.into(),
        presented_as,
        claims: claims.as_object().cloned().unwrap_or_default(),
    });
    let what_if =
        WhatIf { client: client.parse().unwrap(), scope: scope.map(Into::into), audience: None, user };
    match explain_what_if(&world.endpoint, &what_if, world.now, world, &()).verdict {
        Verdict::Granted(granting) => {
            let claims = granting.claims.to_json();
            format!(
                "granted {} {} {}",
                claims["sub"],
                claims["scope"],
                claims.get("act").unwrap_or(&Value::Null)
            )
        }
        Verdict::Refused(refusing) => format!("refused {}; {}", refusing.refusal, refusing.remedy),
        Verdict::Undecided(outage) => format!("undecided {outage}"),
    }
}

#[test]
fn se_06_a_client_of_any_method_is_supposed_to_authenticate() {
    let mut world = World::new();
    for method in [AuthMethod::ClientSecret, AuthMethod::PrivateKeyJwt, AuthMethod::TlsClientAuth] {
        world.change("c1", |c1| c1.rights_mut().auth_method = method);
        assert_eq!(
            asked(&world, "c1", Some("catalog"), None),
            "granted \"c1\" \"catalog\" null",
            "{method:?}"
        );
    }
    world.change("c1", |c1| c1.rights_mut().dpop_bound = true);
    assert!(asked(&world, "c1", None, None).starts_with("granted"));
    let refused = asked(&world, "c1", Some("else:where"), None);
    assert!(refused.contains("--scope"), "{refused}");
    assert!(asked(&world, "nobody", None, None).starts_with("refused"));
    world.change("c1", |c1| c1.enabled = false);
    assert!(asked(&world, "c1", None, None).contains("disabled"));
}

#[test]
fn se_06_a_user_is_supposed_to_have_a_token_and_everything_else_decides() {
    let mut world = World::new();
    let user = |kind| Some(("alice", kind, Value::Null));
    let unknown = asked(&world, "c1", None, user(AcceptedAs::IdToken));
    assert!(unknown.contains(IDP) && unknown.starts_with("refused"), "{unknown}");
    let key = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted(IDP, &key)];
    let no_right = asked(&world, "c1", None, user(AcceptedAs::IdToken));
    assert!(no_right.contains("--may-act-for"), "{no_right}");
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    let granted = asked(&world, "c1", None, user(AcceptedAs::IdToken));
    assert!(granted.starts_with("granted \"alice\"") && granted.contains("\"sub\":\"c1\""), "{granted}");
    world.issuers[0].trust.accept = vec![AcceptedAs::IdToken];
    let not_accepted = asked(&world, "c1", None, user(AcceptedAs::Jwt));
    assert!(not_accepted.contains("--accept"), "{not_accepted}");
    // More claims replace those that are supposed, and are judged.
    let expired = asked(&world, "c1", None, Some(("alice", AcceptedAs::IdToken, json!({"exp": NOW - 600}))));
    assert!(expired.contains("expired"), "{expired}");
    world.issuers[0].enabled = false;
    let disabled = asked(&world, "c1", None, user(AcceptedAs::IdToken));
    assert!(disabled.contains("disabled"), "{disabled}");
}

/// What is supposed must not leak into a real decision: nothing of it verifies anywhere else.
#[test]
fn se_06_only_the_very_tokens_that_were_supposed_verify() {
    let mut world = World::new();
    let key = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted(IDP, &key)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec![format!("{IDP}|*").parse().unwrap()]);
    let ask = Ask::credentials().post("c1", "supposed");
    assert_eq!(world.check(ask).code(), "401 invalid_client Basic");
}
