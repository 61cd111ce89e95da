//! A request that was not made is decided like one that was: SE-06 of the conformance list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::explanation::{SupposedUser, Verdict, WhatIf, explain_recorded, explain_what_if};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{AuthMethod, Issuer, Timestamp};
use tokenberg_testkit::{Ask, ForeignKey, NOW, World, federated_client, trusted};

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

/// What is supposed is named as such, and everything else is what is registered.
#[test]
fn se_06_a_supposed_authentication_is_not_reported_as_a_fact() {
    let mut world = World::new();
    let said = |world: &World| {
        let client = "c1".parse().unwrap();
        let what_if = WhatIf { client, scope: None, audience: None, user: None };
        let explanation = explain_what_if(&world.endpoint, &what_if, world.now, world, &());
        let sentences = explanation.rules.iter().map(|rule| rule.sentence(&|at| at.to_string()));
        sentences.collect::<Vec<_>>().join("\n")
    };
    let live = said(&world);
    assert!(
        live.contains("client c1 is supposed to authenticate by client_secret, and it has a live"),
        "{live}"
    );
    for method in [AuthMethod::PrivateKeyJwt, AuthMethod::TlsClientAuth, AuthMethod::Federated] {
        world.change("c1", |c1| c1.rights_mut().auth_method = method);
        let said = said(&world);
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(said.matches(&format!("authenticates by {}", method.as_str())).count(), 2, "{said}");
        assert!(said.contains(&format!("supposed to authenticate by {}", method.as_str())), "{said}");
    }
    world.change("c1", |c1| {
        c1.rights_mut().auth_method = AuthMethod::ClientSecret;
        let mut secrets = c1.secrets.to_vec();
        secrets[0].expires_at = Some(Timestamp::from_seconds(NOW - 1).unwrap());
        c1.secrets = secrets.into();
    });
    assert!(said(&world).contains("but it has NO live secret"), "{}", said(&world));
    // What has no credential gets no token for itself, and that is not supposed otherwise.
    world.change("c1", |c1| c1.rights_mut().auth_method = AuthMethod::Public);
    let public = asked(&world, "c1", None, None);
    assert!(public.starts_with("refused"), "{public}");
}

/// The request that the documents recommend for a user: with an actor token that has what is requested.
#[test]
fn se_06_the_supposed_actor_token_has_the_requested_scope() {
    let mut world = World::new();
    let key = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted(IDP, &key)];
    world.issuers[0].trust.scope = "catalog ns:read".parse().unwrap();
    world.change("c1", |c1| {
        let rights = c1.rights_mut();
        rights.may_act_for = vec![format!("{IDP}|*").parse().unwrap()];
        rights.scope = AllowedScope::Only("catalog ns:read".parse().unwrap());
        rights.default_scope = "catalog".parse().unwrap();
    });
    let user = Some(("alice", AcceptedAs::IdToken, Value::Null));
    let granted = asked(&world, "c1", Some("catalog ns:read"), user.clone());
    assert!(granted.starts_with("granted \"alice\" \"catalog ns:read\""), "{granted}");
    let refused = asked(&world, "c1", Some("catalog ns:write"), user);
    assert!(refused.starts_with("refused"), "{refused}");
}

/// Advice about a recorded refusal of a client is for the way in which that client authenticates.
#[test]
fn se_06_a_recorded_refusal_of_a_client_is_followed_by_advice_for_its_method() {
    let mut world = World::new();
    let key = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted(IDP, &key)];
    world.register(federated_client("fed", "catalog", &[(IDP, "job:1")]));
    let identity =
        |sub: &str, aud: &str| json!([{"parameter": "client_assertion", "iss": IDP, "sub": sub, "aud": aud}]);
    let ours = world.endpoint.policy().issuer.to_string();
    for (method, mut record, advice) in [
        (AuthMethod::ClientSecret, json!({"client": "c1"}), "`tokenberg client secret add c1`"),
        (AuthMethod::PrivateKeyJwt, json!({"client": "c1"}), "`tokenberg client key new c1 --out FILE`"),
        (AuthMethod::TlsClientAuth, json!({"client": "c1"}), "valid certificate"),
        (AuthMethod::Federated, json!({"client": "c1"}), "client_assertion; `tokenberg client show c1`"),
        (
            AuthMethod::ClientSecret,
            json!({"client": "fed", "presented": identity("job:1", "elsewhere")}),
            "`tokenberg client federate fed --issuer https://idp.test --subject job:1 --audience elsewhere`",
        ),
        (
            AuthMethod::ClientSecret,
            json!({"client": "fed", "presented": identity("job:1", &ours)}),
            "has the fault",
        ),
        (
            AuthMethod::ClientSecret,
            json!({"client": "fed", "presented": identity("job:2", &ours)}),
            "`tokenberg client federate fed --issuer https://idp.test --subject job:2`",
        ),
        (
            AuthMethod::ClientSecret,
            json!({"presented": identity("job:3", &ours)}),
            "tokenberg client federate ID --issuer https://idp.test --subject job:3",
        ),
        (
            AuthMethod::ClientSecret,
            json!({"presented": identity("job:1\u{202e}", &ours)}),
            "send its credential",
        ),
        (AuthMethod::ClientSecret, json!({}), "send its credential"),
        (AuthMethod::ClientSecret, json!({"client": "gone"}), "tokenberg client add"),
    ] {
        world.change("c1", |c1| c1.rights_mut().auth_method = method);
        record["outcome"] = "invalid_client".into();
        record["grant"] = "client_credentials".into();
        let members = record.as_object().unwrap();
        let decision = explain_recorded(&world.endpoint, members, world.now, &world, &()).unwrap();
        let remedy = decision.remedy.unwrap();
        assert!(remedy.contains(advice), "{record}: {remedy}");
        assert!(method == AuthMethod::ClientSecret || !remedy.contains("secret add"), "{remedy}");
    }
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
