//! Tokens as providers issue them, by their documentation and by what their servers issue: each has to be accepted.

use crate::doors::{Door, IDP, SVID, WORKLOAD, genuine, header, present, world};
use serde_json::{Value, json};
use tokenberg_core::TokenType;
use tokenberg_testkit::{Ask, ISSUER, NOW, alice, by_c1, changed};

/// A provider's token: its name, where it is presented, the typ of its header, its issuer, its claims.
type Row = (&'static str, Door, &'static str, &'static str, Value);

fn tokens_of_providers() -> Vec<Row> {
    let (entra, sts) =
        ("https://login.microsoftonline.com/9122040d/v2.0", "https://sts.windows.net/9122040d/");
    let (okta, auth0) = ("https://dev-1.okta.com/oauth2/default", "https://tenant.eu.auth0.com/");
    let (cognito, kc) =
        ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", "https://kc.example/realms/x");
    let kubernetes = "https://kubernetes.default.svc.cluster.local";
    let keycloak = json!({"sub": "f0b1", "auth_time": NOW - 5, "acr": "1", "azp": "c1", "sid": "s", "session_state": "s",
        "email_verified": false, "email": "a@b.c", "preferred_username": "alice", "nonce": "n", "jti": "j"});
    let keycloak_access = changed(
        keycloak.clone(),
        &json!({"typ": "Bearer", "aud": [ISSUER, "account"],
        "azp": "spa", "allowed-origins": ["https://x"], "realm_access": {"roles": ["offline_access"]},
        "resource_access": {"account": {"roles": ["view-profile"]}}, "scope": "openid profile"}),
    );
    vec![
        (
            "Keycloak, ID token",
            Door::IdToken,
            "JWT",
            kc,
            changed(keycloak.clone(), &json!({"typ": "ID", "at_hash": "h"})),
        ),
        ("Keycloak, ID token as actor", Door::Actor, "JWT", kc, changed(keycloak, &json!({"typ": "ID"}))),
        ("Keycloak to 24, access token", Door::AccessToken, "JWT", kc, keycloak_access.clone()),
        ("Keycloak to 24, access token as a JWT", Door::Jwt, "JWT", kc, keycloak_access.clone()),
        (
            "Keycloak from 25, access token",
            Door::AccessToken,
            "JWT",
            kc,
            changed(keycloak_access, &json!({"nonce": null, "jti": "onrtac:1"})),
        ),
        (
            "Keycloak, service account",
            Door::Workload,
            "JWT",
            kc,
            json!({"sub": WORKLOAD, "typ": "Bearer", "azp": "etl", "clientHost": "10.0.0.1", "client_id": "etl"}),
        ),
        (
            "Entra 2, ID token",
            Door::IdToken,
            "JWT",
            entra,
            json!({"aio": "x", "name": "A", "nonce": "n", "oid": "o", "preferred_username": "a@b", "rh": "r", "sub": "s", "tid": "t", "uti": "u", "ver": "2.0", "nbf": NOW, "login_hint": "l"}),
        ),
        (
            "Entra 2, access token",
            Door::AccessToken,
            "JWT",
            entra,
            json!({"aud": "api://tokens", "azp": "x", "azpacr": "1", "oid": "o", "scp": "catalog.read", "sub": "s", "tid": "t", "ver": "2.0", "idtyp": "app"}),
        ),
        (
            "Entra 1, access token",
            Door::AccessToken,
            "JWT",
            sts,
            json!({"aud": "api://tokens", "acr": "1", "amr": ["pwd"], "appid": "x", "appidacr": "0", "idp": "i", "ipaddr": "1.2.3.4", "scp": "x", "sub": "s", "unique_name": "a", "ver": "1.0", "xms_ftd": "f"}),
        ),
        (
            "Okta, ID token",
            Door::IdToken,
            "",
            okta,
            json!({"sub": "00u", "ver": 1, "jti": "ID.x", "amr": ["pwd"], "idp": "00o", "nonce": "n", "auth_time": NOW, "at_hash": "h", "groups": ["a"]}),
        ),
        (
            "Okta, access token",
            Door::AccessToken,
            "",
            okta,
            json!({"ver": 1, "jti": "AT.x", "aud": "api://tokens", "cid": "0oa", "uid": "00u", "scp": ["openid"], "auth_time": NOW, "sub": "a@b"}),
        ),
        (
            "Auth0, ID token",
            Door::IdToken,
            "JWT",
            auth0,
            json!({"nickname": "a", "updated_at": "2026-01-01T00:00:00.000Z", "email": "a@b", "email_verified": true, "sub": "auth0|1", "sid": "s", "nonce": "n"}),
        ),
        (
            "Auth0, access token",
            Door::AccessToken,
            "at+jwt",
            auth0,
            json!({"sub": "auth0|1", "aud": [ISSUER, "https://tenant.eu.auth0.com/userinfo"], "azp": "x", "scope": "openid", "permissions": ["read:x"], "client_id": "x"}),
        ),
        (
            "Google, ID token",
            Door::IdToken,
            "JWT",
            "https://accounts.google.com",
            json!({"azp": "c1", "sub": "110", "hd": "b.c", "email": "a@b.c", "email_verified": true, "at_hash": "h", "name": "A", "picture": "https://x"}),
        ),
        (
            "Google, service account",
            Door::Workload,
            "JWT",
            "https://accounts.google.com",
            json!({"azp": "110", "sub": WORKLOAD, "email": "sa@p.iam.gserviceaccount.com", "email_verified": true, "google": {"compute_engine": {"project_id": "p"}}}),
        ),
        (
            "Cognito, ID token",
            Door::IdToken,
            "",
            cognito,
            json!({"at_hash": "h", "sub": "s", "cognito:groups": ["g"], "email_verified": true, "cognito:username": "a", "origin_jti": "o", "event_id": "e", "token_use": "id", "auth_time": NOW, "email": "a@b"}),
        ),
        (
            "Dex, ID token",
            Door::IdToken,
            "",
            "https://dex.example",
            json!({"sub": "CgNhbGljZRIFbG9jYWw", "nonce": "n", "at_hash": "h", "c_hash": "c", "email": "a@b", "email_verified": true, "groups": ["g"], "name": "a", "federated_claims": {"connector_id": "ldap"}}),
        ),
        (
            "Kubernetes",
            Door::Workload,
            "",
            kubernetes,
            json!({"aud": [ISSUER], "nbf": NOW, "sub": WORKLOAD, "kubernetes.io": {"namespace": "ns", "node": {"name": "n"}, "pod": {"name": "p"}, "serviceaccount": {"name": "sa", "uid": "u"}, "warnafter": NOW + 3000}}),
        ),
        (
            "GitHub Actions",
            Door::Workload,
            "JWT",
            "https://token.actions.githubusercontent.com",
            json!({"sub": WORKLOAD, "ref": "refs/heads/main", "sha": "s", "repository": "o/r", "actor": "octocat", "workflow": "CI", "head_ref": "", "base_ref": "", "event_name": "push", "ref_protected": "true", "ref_type": "branch", "job_workflow_ref": "o/r/.github/workflows/ci.yml@refs/heads/main", "runner_environment": "github-hosted", "environment": "prod", "nbf": NOW}),
        ),
        (
            "GitLab",
            Door::Workload,
            "JWT",
            "https://gitlab.com",
            json!({"sub": WORKLOAD, "namespace_path": "g", "project_path": "g/p", "user_login": "a", "pipeline_id": "1", "job_id": "2", "ref": "main", "ref_type": "branch", "ref_protected": "true", "groups_direct": ["g"], "nbf": NOW, "user_access_level": "developer"}),
        ),
        ("SPIRE", Door::Svid, "JWT", IDP, json!({"sub": SVID, "aud": [ISSUER], "iss": null})),
        (
            "SPIFFE, the other typ",
            Door::Svid,
            "JOSE",
            IDP,
            json!({"sub": SVID, "aud": [ISSUER], "iss": null}),
        ),
        (
            "Hydra, access token",
            Door::AccessToken,
            "JWT",
            "https://hydra.example/",
            json!({"sub": "a", "aud": [ISSUER], "client_id": "x", "ext": {}, "nbf": NOW, "scp": ["offline"]}),
        ),
        (
            "WSO2, access token",
            Door::AccessToken,
            "at+jwt",
            "https://is.example/oauth2/token",
            json!({"sub": "a", "aut": "APPLICATION_USER", "aud": ISSUER, "azp": "x", "scope": "openid", "client_id": "x"}),
        ),
        (
            "PingAM, ID token",
            Door::IdToken,
            "JWT",
            "https://am.example/oauth2",
            json!({"sub": "a", "auditTrackingId": "x", "tokenName": "id_token", "tokenType": "JWTToken", "nonce": "n", "s_hash": "s", "realm": "/"}),
        ),
        (
            "PingAM, access token",
            Door::AccessToken,
            "JWT",
            "https://am.example/oauth2",
            json!({"sub": "a", "aud": ISSUER, "tokenName": "access_token", "token_type": "Bearer", "cts": "OAUTH2_STATELESS_GRANT", "grant_type": "authorization_code", "authGrantId": "x"}),
        ),
        (
            "Zitadel, access token",
            Door::AccessToken,
            "JWT",
            "https://x.zitadel.cloud",
            json!({"sub": "1", "aud": [ISSUER], "client_id": "x", "nbf": NOW, "urn:zitadel:iam:user:metadata": {"k": "v"}}),
        ),
        (
            "with other claims of its own",
            Door::AccessToken,
            "JWT",
            IDP,
            json!({"sub": "1", "aud": ISSUER, "metadata": {"a": 1}, "state": "Bavaria", "txn": "t", "keys": ["k1"], "status": {"status_list": {"idx": 0}}}),
        ),
    ]
}

#[test]
fn tx_06_wl_10_tokens_of_providers_are_accepted_as_their_own_kind() {
    for (name, door, typ, issuer, changes) in tokens_of_providers() {
        let (mut world, key) = world(issuer, WORKLOAD);
        let genuine = changed(genuine(door, "genuine"), &json!({ "iss": issuer }));
        let payload = changed(genuine, &changes);
        let token = key.sign_raw(&header(typ), &payload.to_string());
        let mut ask = present(door, &token, &key);
        if door == Door::Actor {
            let user = changed(alice(&json!({})), &json!({ "iss": issuer }));
            ask = by_c1(Ask::exchange_of(&key.sign(&user), TokenType::IdToken))
                .with("actor_token", &token)
                .with("actor_token_type", TokenType::IdToken.as_urn());
        }
        let answer = world.check(ask);
        assert_eq!(answer.code(), "200", "{name}: {payload}");
    }
}
