//! A client's session depends on the issuer of the foreign identity it began with; law 8, RFC 7521 §4.2, conformance WL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::json;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::registration::Federation;
use tokenberg_core::token::Origin;
use tokenberg_core::{
    AccessTokenClaims, AuthMethod, CompactJws, Introspection, Issuer, Refusal, Revocation, TokenFault,
    TokenType,
};
use tokenberg_testkit::{Answer, Ask, ForeignKey, ISSUER, NOW, World, alice, by_c1, client, trusted};

const K8S: &str = "https://k8s.test";
const CI: &str = "https://ci.test";
const IDP: &str = "https://idp.test";
const ACCOUNT: &str = "system:serviceaccount:jobs:etl";
const PIPELINE: &str = "repo:example/warehouse";

/// `etl` has identities at two issuers and no credential; `dual` has an identity at one of them and a secret. All of them and `c1` may
/// act for the users of a third issuer and for clients.
struct Setting {
    world: World,
    key: ForeignKey,
}

fn setting() -> Setting {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("p1")));
    world.issuers = [K8S, CI, IDP].map(|issuer| trusted(issuer, &key)).into();
    world.issuers[..2].iter_mut().for_each(|issuer| issuer.trust.accept.clear());
    world.issuers[2].trust.outlives_subject = true;
    let federation = |issuer: &str, subject: &str| Federation {
        issuer: Issuer::foreign(issuer).unwrap(),
        subject: subject.into(),
        audience: None,
        uid: None,
    };
    for (id, federations) in [
        ("etl", vec![federation(K8S, ACCOUNT), federation(CI, PIPELINE)]),
        ("dual", vec![federation(K8S, "system:serviceaccount:jobs:dual")]),
    ] {
        let mut client = client(id, "s-dual", "catalog ns:read");
        client.rights_mut().federations = federations;
        client.rights_mut().may_act_for =
            [IDP, ISSUER].map(|issuer| format!("{issuer}|*").parse().unwrap()).into();
        if id == "etl" {
            client.secrets = Vec::new().into();
            client.rights_mut().auth_method = AuthMethod::Federated;
        }
        world.register(client);
    }
    let every_subject = [ISSUER, IDP].map(|issuer| format!("{issuer}|*").parse().unwrap());
    world.change("c1", |c1| c1.rights_mut().may_act_for = every_subject.to_vec());
    Setting { world, key }
}

impl Setting {
    /// An assertion of the issuer about the subject, from now.
    fn assertion(&self, issuer: &str, subject: &str) -> String {
        let now = self.world.now.as_seconds();
        self.key.sign(&json!({"iss": issuer, "sub": subject, "aud": ISSUER, "iat": now, "exp": now + 600}))
    }

    fn as_account(&self, ask: Ask) -> Ask {
        ask.assertion(&self.assertion(K8S, ACCOUNT))
    }

    fn as_pipeline(&self, ask: Ask) -> Ask {
        ask.assertion(&self.assertion(CI, PIPELINE))
    }

    fn user(&self) -> Ask {
        Ask::exchange_of(&self.key.sign(&alice(&json!({"aud": ISSUER}))), TokenType::Jwt)
    }

    /// Whether the token can be renewed on its own, and with a new assertion of the other issuer.
    fn renewals(&mut self, token: &str) -> (bool, bool) {
        let by_itself = self.world.check(Ask::exchange(token).bearer(token)).code() == "200";
        let ask = self.as_pipeline(Ask::exchange(token));
        (by_itself, self.world.check(ask).code() == "200")
    }

    fn disable(&mut self, issuer: &str, subject: &str) {
        let disabled = SubjectStatus { disabled: true, ..SubjectStatus::default() };
        self.world.subjects.push((issuer.parse().ok(), subject.to_owned(), disabled));
    }

    fn unfederate(&mut self, issuer: &str) {
        self.world.change("etl", |etl| {
            etl.rights_mut().federations.retain(|federation| federation.issuer.as_str() != issuer);
        });
    }
}

fn identities(answer: &Answer) -> Vec<String> {
    let named = |origin: &Origin| match origin {
        Origin::Identity { issuer, subject, client, since } => {
            Some(format!("{client} as {subject} of {issuer} since {}", since.as_seconds() - NOW))
        }
        Origin::Session { .. } | Origin::Foreign { .. } => None,
    };
    answer.claims().origins().filter_map(named).collect()
}

type End = fn(&mut Setting);

/// The events that end the sessions that `etl` obtained as the service account, and whether they end with it.
const ENDS: [(&str, End, bool); 12] = [
    ("nothing happened", |_| {}, false),
    ("the account is disabled", |s| s.disable(K8S, ACCOUNT), true),
    (
        "what the account obtained until now is revoked",
        |s| s.world.before.subject(Some(K8S), ACCOUNT, NOW + 5),
        true,
    ),
    (
        "what the account obtained earlier is revoked",
        |s| s.world.before.subject(Some(K8S), ACCOUNT, NOW),
        false,
    ),
    ("the issuer of the account is revoked", |s| s.world.before.issuer(K8S, NOW + 5), true),
    ("the other issuer is revoked", |s| s.world.before.issuer(CI, NOW + 5), false),
    ("the issuer of the account is disabled", |s| s.world.issuers[0].enabled = false, true),
    ("the issuer of the account is removed", |s| drop(s.world.issuers.remove(0)), true),
    ("the account stands for the client no longer", |s| s.unfederate(K8S), true),
    ("the other identity is disabled", |s| s.disable(CI, PIPELINE), false),
    ("the other issuer is disabled", |s| s.world.issuers[1].enabled = false, false),
    ("the other identity stands for the client no longer", |s| s.unfederate(CI), false),
];

#[test]
fn law_8_tx_37_tx_38_tokens_obtained_as_an_identity_end_with_that_identity() {
    for (what, end, ends) in ENDS {
        let mut s = setting();
        let ask = s.as_account(Ask::credentials());
        let own = s.world.check(ask);
        assert_eq!(identities(&own), [format!("etl as {ACCOUNT} of {K8S} since 0")]);
        let own = own.token();
        let ask = s.as_account(s.user());
        let users = s.world.check(ask);
        assert_eq!(identities(&users), [format!("etl as {ACCOUNT} of {K8S} since 0")]);
        let users = users.token();
        // Passed on to `c1`, which has a secret, from where the identity is a party of the chain.
        let passed_on = s.world.check(by_c1(Ask::exchange(&users)));
        assert_eq!(identities(&passed_on), [format!("etl as {ACCOUNT} of {K8S} since 0")]);
        let passed_on = passed_on.token();
        // Renewed by an assertion of the other issuer: the session still depends on the first issuer.
        let ask = s.as_pipeline(Ask::exchange(&own));
        let renewed = s.world.check(ask);
        assert_eq!(identities(&renewed), [format!("etl as {ACCOUNT} of {K8S} since 0")]);
        let renewed = renewed.token();
        // Passed on by `c1`, which has a secret, to the client as that identity.
        let of_c1 = s.world.token("c1", "s1-Z7", "catalog");
        let ask = s.as_account(Ask::exchange(&of_c1));
        let joined = s.world.check(ask);
        assert_eq!(identities(&joined), [format!("etl as {ACCOUNT} of {K8S} since 0")]);
        let joined = joined.token();
        s.world.pass(5);
        end(&mut s);
        for token in [&own, &users, &renewed, &joined] {
            let (by_itself, _) = s.renewals(token);
            assert_eq!(by_itself, !ends, "{what}");
        }
        let renewed_by_c1 = s.world.check(by_c1(Ask::exchange(&passed_on))).code();
        assert_eq!(renewed_by_c1 == "200", !ends, "{what}: passed on");
        let introspected = s.world.introspect(&by_c1(Ask::token(&passed_on))).unwrap();
        assert_eq!(matches!(introspected, Introspection::Active(_)), !ends, "{what}: introspected");
    }
}

#[test]
fn law_8_the_reason_names_the_identity_that_was_removed_from_the_client() {
    let mut s = setting();
    let ask = s.as_account(Ask::credentials());
    let own = s.world.check(ask).token();
    s.unfederate(K8S);
    let answer = s.world.check(Ask::exchange(&own).bearer(&own));
    let expected = format!(
        "the identity \"{ACCOUNT}\" of {K8S}, by which the client etl authenticated, is no longer registered for it"
    );
    assert!(answer.refusal().to_string().contains(&expected), "{}", answer.refusal());
}

#[test]
fn law_8_a_new_session_by_the_other_identity_does_not_depend_on_the_first() {
    let mut s = setting();
    let ask = s.as_pipeline(Ask::credentials());
    let own = s.world.check(ask).token();
    s.disable(K8S, ACCOUNT);
    s.world.issuers[0].enabled = false;
    assert_eq!(s.renewals(&own), (true, true));
    s.world.issuers[1].enabled = false;
    assert_eq!(s.renewals(&own), (false, false));
}

#[test]
fn law_8_a_session_by_the_secret_depends_on_no_issuer_and_one_by_an_assertion_does() {
    let mut s = setting();
    let by_secret = |ask: Ask| ask.basic("dual", "s-dual");
    let own = s.world.check(by_secret(Ask::credentials()));
    assert!(identities(&own).is_empty());
    let own = own.token();
    let assertion = s.assertion(K8S, "system:serviceaccount:jobs:dual");
    let vouched = s.world.check(Ask::credentials().assertion(&assertion)).token();
    // Renewed by the secret, it is the same session.
    let renewed = s.world.check(by_secret(Ask::exchange(&vouched))).token();
    s.world.issuers[0].enabled = false;
    assert_eq!(s.world.check(Ask::exchange(&own).bearer(&own)).code(), "200");
    for token in [&vouched, &renewed] {
        assert_eq!(s.world.check(Ask::exchange(token).bearer(token)).code(), "401 invalid_client Bearer");
        assert_eq!(s.world.check(by_secret(Ask::exchange(token))).code(), "400 invalid_request");
    }
}

#[test]
fn tx_37_tx_38_an_assertion_of_a_disabled_or_revoked_identity_is_refused_with_its_reason() {
    let mut s = setting();
    let before = s.assertion(K8S, ACCOUNT);
    assert_eq!(s.world.check(Ask::credentials().assertion(&before)).code(), "200");
    s.disable(K8S, ACCOUNT);
    let answer = s.world.check(Ask::credentials().assertion(&before));
    assert_eq!(answer.code(), "401 invalid_client Basic");
    assert_eq!(
        answer.refusal().to_string(),
        format!("the client assertion is not acceptable: its subject, \"{ACCOUNT}\" of {K8S}, is disabled")
    );
    s.world.subjects.clear();
    s.world.before.subject(Some(K8S), ACCOUNT, NOW + 1);
    let answer = s.world.check(Ask::credentials().assertion(&before));
    assert!(matches!(
        answer.refusal(),
        Refusal::ClientAssertion(TokenFault::Revoked(revocation)) if matches!(**revocation, Revocation::Subject { .. })
    ));
    for (passed, code) in [(0, "401 invalid_client Basic"), (1, "200")] {
        s.world.pass(passed);
        let ask = s.as_account(Ask::credentials());
        assert_eq!(s.world.check(ask).code(), code);
    }
}

#[test]
fn law_8_a_token_of_an_earlier_build_ends_when_no_issuer_of_its_client_is_trusted() {
    let mut s = setting();
    let ask = s.as_account(Ask::credentials());
    let mut claims: AccessTokenClaims = s.world.check(ask).claims().clone();
    claims.session.provenance = None;
    let token = s.world.sign(&claims);
    assert!(
        !CompactJws::parse(&token).unwrap().unverified_payload()["tokenberg_session"]
            .to_string()
            .contains("with")
    );
    s.disable(K8S, ACCOUNT);
    s.world.issuers[0].enabled = false;
    assert_eq!(s.renewals(&token), (true, true), "it does not say which identity vouched");
    s.world.issuers[1].enabled = false;
    let answer = s.world.check(Ask::exchange(&token).bearer(&token));
    assert!(matches!(answer.refusal(), Refusal::BearerToken(TokenFault::NotVouchedFor(_))));
}

#[test]
fn wl_04_an_identity_of_2048_bytes_authenticates_and_its_tokens_are_valid() {
    let Setting { mut world, key } = setting();
    let id = |length: usize| format!("spiffe://td.test/{}", "a".repeat(length - "spiffe://td.test/".len()));
    world.issuers.push(trusted("spiffe://td.test", &key));
    for (length, code) in [(256, "200"), (2048, "200"), (2049, "401 invalid_client Basic")] {
        let subject: Box<str> = id(length).into();
        let federation = Federation {
            issuer: Issuer::foreign("spiffe://td.test").unwrap(),
            subject: subject.clone(),
            audience: None,
            uid: None,
        };
        world.change("etl", |etl| etl.rights_mut().federations = vec![federation]);
        let claims = json!({"sub": subject, "aud": [ISSUER], "exp": NOW + 300, "iat": NOW});
        let answer = world.check(Ask::credentials().assertion(&key.sign(&claims)));
        assert_eq!(answer.code(), code, "{length}");
        if code == "200" {
            let token = answer.token();
            assert_eq!(world.check(Ask::exchange(&token).bearer(&token)).code(), "200", "{length}");
        }
    }
}

#[test]
fn law_8_a_renewed_expired_token_depends_on_the_identity_that_renewed_it() {
    let account = "system:serviceaccount:jobs:dual";
    let mut s = setting();
    let begun = s.world.check(Ask::credentials().basic("dual", "s-dual")).token();
    for (is_expired, named) in [(false, 0), (true, 1)] {
        s.world.pass(if is_expired { 3600 } else { 0 });
        let ask = Ask::exchange(&begun).assertion(&s.assertion(K8S, account));
        let renewed = s.world.check(ask);
        assert_eq!(identities(&renewed).len(), named, "expired: {is_expired}");
        if is_expired {
            let renewed = renewed.token();
            s.disable(K8S, account);
            let ended = s.world.check(Ask::exchange(&renewed).bearer(&renewed));
            assert!(matches!(ended.refusal(), Refusal::BearerToken(TokenFault::Disabled(_))));
        }
    }
}
