//! Trusted issuers, federated identities and disabled users are stored and reported exactly as configured.

use crate::support::{Place, Said, files};
use serde_json::{Value, json};

/// RFC 7515, appendix A.3: its public key, and the private half.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

const IDP: &str = "https://idp.example/";

fn key(kid: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": kid})
}

fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// Splits at spaces.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').filter(|word| !word.is_empty()).collect()
}

fn run(place: &Place, line: &str) -> Said {
    place.run(&words(line))
}

/// A place with a store, two files of keys and an issuer.
fn place() -> Place {
    let place = Place::new();
    place.file("keys.json", &jwks(&[key("k1"), key("k2")]));
    run(&place, "issuer add https://k8s.example --jwks keys.json").done();
    place
}

#[test]
fn ks_06_an_issuer_is_added_with_the_given_options_and_replaced_only_with_replace() {
    let place = place();
    let mut asked = words(
        "issuer add https://idp.example/ --jwks-uri https://idp.example/keys?p=1 --accept id_token,jwt --accept jwt_bearer \
         --audience api://a --audience b --alg ES256,PS256 --subject-claim oid --leeway 1m --max-age 2h --outlives-subject --subject-prefix idp: --no-fetch --json",
    );
    asked.extend([
        "--scope",
        "catalog a",
        "--map",
        "groups=data team:PRINCIPAL_ROLE:a",
        "--map",
        "r=urn\\:x:b",
    ]);
    let said = place.run(&asked).done();
    assert_eq!((said.json()["replaced"].clone(), said.err.as_str()), (json!(false), ""));
    let shown = run(&place, "issuer show https://idp.example/ --json").done().json();
    let expected = json!({
        "issuer": IDP, "enabled": true, "keys": {"jwks_uri": "https://idp.example/keys?p=1"},
        "accept": ["id_token", "jwt", "jwt_bearer"], "audiences": ["api://a", "b"], "algorithms": ["ES256", "PS256"],
        "subject_claim": "oid", "scope": "catalog a", "map": ["groups=data team:PRINCIPAL_ROLE:a", "r=urn\\:x:b"],
        "leeway": 60, "max_age": 7200, "outlives_subject": true, "clients": [],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let text = run(&place, "issuer show https://idp.example/").done().out;
    assert!(text.contains("https://idp.example/keys?p=1") && text.contains("PRINCIPAL_ROLE:a"), "{text}");

    let again = run(&place, "issuer add https://idp.example/ --discover").refused();
    assert!(again.err.contains("--replace"), "{}", again.err);
    run(&place, "issuer disable https://idp.example/").done();
    let replaced =
        run(&place, "issuer add https://idp.example/ --discover --replace --no-fetch --json").done();
    assert_eq!(
        (replaced.json()["replaced"].clone(), replaced.json()["enabled"].clone()),
        (json!(true), json!(false))
    );
    assert!(
        replaced.err.contains("workload identities only") && replaced.err.contains("still disabled"),
        "{}",
        replaced.err
    );
    let shown = run(&place, "issuer show https://idp.example/ --json").done().json();
    assert_eq!(
        (&shown["keys"], &shown["audiences"], &shown["leeway"]),
        (&json!({"discovery": true}), &json!([]), &json!(30))
    );
    run(&place, "issuer enable https://idp.example/").done();
    let listed = run(&place, "issuer list --json").done().json();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|i| (i["issuer"].clone(), i["enabled"].clone())).collect();
    assert_eq!(names, [(json!(IDP), json!(true)), (json!("https://k8s.example"), json!(true))]);
    let table = run(&place, "issuer list").done().out;
    assert!(
        table.starts_with("ISSUER ")
            && table.contains("2 keys: k1, k2")
            && table.contains("(workload identities)"),
        "{table}"
    );

    // Issuers are compared byte by byte: without its slash it is another issuer.
    for gone in ["show", "disable", "enable", "remove"] {
        let said = run(&place, &format!("issuer {gone} https://idp.example")).refused();
        assert!(said.err.contains("https://idp.example is not trusted"), "{}", said.err);
    }
    run(&place, "issuer remove https://idp.example/").done();
    run(&place, "issuer show https://idp.example/").refused();
}

#[test]
fn ks_06_an_issuer_that_contradicts_itself_is_wrong_usage() {
    let place = place();
    for (line, tip) in [
        ("issuer add https://a.example", "--jwks-uri"),
        ("issuer add https://a.example --discover --jwks keys.json", "--discover"),
        ("issuer add http://a.example --discover", "https URL"),
        ("issuer add spiffe://td.example/a --jwks keys.json", "spiffe://td.example"),
        ("issuer add spiffe://td.example --discover", "bundle"),
        ("issuer add https://a.example --jwks-uri http://a.example/keys", "must be https"),
        ("issuer add https://a.example --discover --accept saml2", "id_token"),
        ("issuer add https://a.example --discover --alg HS256", "ES256"),
        ("issuer add https://a.example --discover --map groups", "CLAIM=VALUE:SCOPE"),
        ("issuer add https://a.example --discover --leeway 6m", "5m"),
        ("issuer add https://a.example --discover --max-age 0s", "--max-age"),
        ("issuer add https://a.example --discover --subject-claim=", "sub"),
        ("issuer add https://a.example --discover --audience=", "audience"),
        ("revoke --client a --issuer https://a.example", "--issuer"),
        (
            "token --server http://127.0.0.1:1 --assertion-file a --subject-token-file b --subject-token-type jwt",
            "--assertion-file",
        ),
    ] {
        let said = run(&place, line);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line} {}", said.err);
        assert!(said.err.contains(tip), "{line}: {}", said.err);
    }
    assert_eq!(run(&place, "issuer list --json").done().json().as_array().unwrap().len(), 1);
}

#[test]
fn se_04_only_public_keys_are_kept() {
    let place = place();
    let mut private = key("k2");
    private["d"] = D.into();
    let mut malformed = json!({"kty": "EC", "crv": "P-1", "d": D});
    malformed["kid"] = "k3".into();
    let encryption = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "k4", "use": "enc"});
    for (name, content, tip) in [
        ("private.json", jwks(&[key("k1"), private.clone()]), "key 1 of private.json"),
        ("malformed.json", jwks(&[malformed, key("k1")]), "key 0"),
        ("symmetric.json", jwks(&[json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})]), "key 0"),
        ("lone.json", private.to_string(), "private"),
        ("unfit.json", jwks(std::slice::from_ref(&encryption)), "no key of unfit.json"),
        ("empty.json", jwks(&[]), "no key of empty.json"),
        ("text.json", "hush".to_owned(), "JWK Set"),
        ("object.json", "{}".to_owned(), "JWK Set"),
    ] {
        place.file(name, &content);
        for line in [
            format!("issuer add https://a.example --jwks {name}"),
            format!("client add a --auth-method private_key_jwt --jwks {name}"),
        ] {
            let said = run(&place, &line);
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{line} {}", said.err);
            assert!(said.err.contains(tip), "{line}: {}", said.err);
            assert!(
                !said.err.contains(D) && !said.err.contains("hush") && !said.err.contains("c2VjcmV0"),
                "{}",
                said.err
            );
        }
    }
    for (path, bytes) in files(&place.path("")) {
        let is_ours = path.to_string_lossy().contains("tokenberg.db");
        assert!(!is_ours || !bytes.windows(D.len()).any(|w| w == D.as_bytes()), "{}", path.display());
    }
    // Keys that verify nothing are reported, and the rest is accepted.
    place.file("mixed.json", &jwks(&[encryption, key("k1")]));
    let said = run(&place, "client add a --auth-method private_key_jwt --jwks mixed.json").done();
    assert!(said.err.contains("warning: key 0 (\"k4\") is ignored"), "{}", said.err);
}

#[test]
fn cj_01_mt_01_a_client_without_a_secret_is_registered_with_the_given_method() {
    let place = place();
    let added = place.run_with(
        &words("client add signer --auth-method private_key_jwt --jwks - --dpop-bound --endpoint-as-audience --json"),
        &jwks(&[key("k1")]),
        &[],
    );
    assert_eq!(added.done().json(), json!({"client_id": "signer"}), "there is no secret");
    let shown = run(&place, "client show signer --json").done().json();
    assert_eq!(
        json!([
            shown["auth_method"],
            shown["jwks"]["keys"][0]["kid"],
            shown["dpop_bound"],
            shown["endpoint_as_audience"],
            shown["secrets"]
        ]),
        json!(["private_key_jwt", "k1", true, true, []])
    );
    for (id, name, kept) in [
        ("a", &["--tls-subject", "cn = spark , o=Example"][..], json!({"subject": "CN=spark,O=Example"})),
        (
            "spiffe://td.example/spark",
            &["--tls-san", "spiffe://td.example/spark"],
            json!({"uri": "spiffe://td.example/spark"}),
        ),
        ("c", &["--tls-san", "Spark.Example"], json!({"dns": "spark.example"})),
        ("d", &["--tls-san", "IP:2001:DB8::1"], json!({"ip": "2001:db8::1"})),
    ] {
        let said =
            place.run(&[&["client", "add", id, "--auth-method", "tls_client_auth"], name].concat()).done();
        assert!(!said.out.contains("client secret"), "{}", said.out);
        assert_eq!(place.run(&["client", "show", id, "--json"]).done().json()["certificate"], kept, "{id}");
    }
    let text = run(&place, "client show a").done().out;
    assert!(text.contains("CN=spark,O=Example") && !text.contains("SECRET"), "{text}");
    let table = run(&place, "client list").done().out;
    assert!(
        table.contains("METHOD") && table.contains("tls_client_auth") && table.contains("private_key_jwt"),
        "{table}"
    );
    let refused = run(&place, "client secret add a").refused();
    assert!(refused.err.contains("tls_client_auth"), "{}", refused.err);

    let mut asked = words(
        "client add trino --grant client_credentials,token_exchange,jwt_bearer --may-assert-users team-*",
    );
    asked.extend(["--may-act-for", "https://idp.example|*"]);
    place.run(&asked).done();
    let shown = run(&place, "client show trino --json").done().json();
    assert_eq!(
        json!([shown["grants"], shown["may_assert_users"], shown["may_act_for"]]),
        json!([
            ["client_credentials", "token_exchange", "jwt_bearer"],
            ["team-*"],
            ["https://idp.example|*"]
        ])
    );
}

#[test]
fn contradictory_authentication_options_are_wrong_usage() {
    let place = place();
    for (line, tip) in [
        ("--jwks keys.json", "--auth-method private_key_jwt"),
        ("--tls-subject CN=a", "--auth-method tls_client_auth"),
        ("--tls-san a.example", "--auth-method tls_client_auth"),
        ("--endpoint-as-audience", "--auth-method private_key_jwt"),
        ("--auth-method private_key_jwt", "needs --jwks"),
        ("--auth-method tls_client_auth", "needs --tls-subject"),
        ("--auth-method tls_client_auth --tls-subject CN=a --tls-san a.example", "--tls-san"),
        ("--auth-method tls_client_auth --tls-subject spark", "CN=spark,OU=data"),
        ("--auth-method tls_client_auth --tls-san *.example", "DNS:host.example"),
        ("--auth-method private_key_jwt --jwks keys.json --secret-file keys.json", "omit --secret-file"),
        ("--auth-method federated --jwks keys.json", "omit --jwks"),
        ("--auth-method password", "client_secret"),
        ("--may-assert-users a --grant client_credentials", "token_exchange"),
        ("--may-assert-users=", "team-*"),
    ] {
        let said = run(&place, &format!("client add a {line}"));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line} {}", said.err);
        assert!(said.err.contains(tip), "{line}: {}", said.err);
    }
    let colon = run(&place, "client add spiffe://td.example/a");
    assert_eq!(colon.code, 2);
    assert!(colon.err.contains("--auth-method"), "{}", colon.err);
    assert_eq!(run(&place, "client list --json").done().json(), json!([]));
}

#[test]
fn wl_10_wl_12_an_identity_is_mapped_to_one_client_and_unmapped() {
    let place = place();
    let said = run(&place, "issuer add spiffe://td.example --jwks keys.json --accept jwt").done();
    assert!(said.err.contains("client federate"), "{}", said.err);
    let said = run(&place, "client add etl --auth-method federated").done();
    assert!(
        said.err.contains("client federate etl") && !said.out.contains("secret"),
        "{} {}",
        said.err,
        said.out
    );
    run(&place, "client add other").done();
    let sa = "--issuer https://k8s.example --subject system:serviceaccount:jobs:etl";
    let said = run(&place, &format!("client federate etl {sa} --audience tokens --uid 1-2 --json")).done();
    let federation = json!({
        "issuer": "https://k8s.example", "subject": "system:serviceaccount:jobs:etl", "audience": "tokens", "uid": "1-2",
    });
    assert_eq!(said.json(), json!({"client_id": "etl", "federation": federation}));
    assert_eq!(run(&place, "client show etl --json").done().json()["federations"], json!([federation]));
    assert!(
        run(&place, "client show etl")
            .done()
            .out
            .contains("system:serviceaccount:jobs:etl of https://k8s.example for tokens with uid 1-2")
    );
    assert!(run(&place, "client list").done().out.contains("federated+1"));
    assert_eq!(
        run(&place, "issuer show https://k8s.example --json").done().json()["clients"],
        json!(["etl"])
    );

    let taken = run(&place, &format!("client federate other {sa}")).refused();
    assert!(taken.err.contains("stands for the client etl already"), "{}", taken.err);
    run(&place, "client federate etl --issuer spiffe://td.example --subject spiffe://td.example/jobs/*")
        .done();
    let below = run(
        &place,
        "client federate other --issuer spiffe://td.example --subject spiffe://td.example/jobs/a",
    )
    .refused();
    assert!(below.err.contains("spiffe://td.example/jobs/* of"), "{}", below.err);
    let unknown = run(&place, "client federate etl --issuer https://x.example --subject a").refused();
    assert!(unknown.err.contains("issuer list"), "{}", unknown.err);
    run(&place, &format!("client federate nobody {sa}2")).refused();

    let removed = run(&place, "issuer remove https://k8s.example").done();
    assert!(removed.err.contains("etl"), "the affected clients are listed: {}", removed.err);
    assert_eq!(
        run(&place, &format!("client federate etl --remove {sa} --json")).done().json()["removed"],
        true
    );
    run(&place, &format!("client federate etl --remove {sa}")).refused();
    assert_eq!(
        run(&place, "client show etl --json").done().json()["federations"].as_array().unwrap().len(),
        1
    );

    for (line, tip) in [
        ("--issuer spiffe://td.example --subject spiffe://other.example/a", "trust domain"),
        ("--issuer spiffe://td.example --subject spiffe://td.example", "spiffe://td.example/*"),
        ("--issuer spiffe://td.example --subject spiffe://td.example/a/../b", "SPIFFE identifier"),
        ("--issuer spiffe://td.example --subject spiffe://td.example/a/", "SPIFFE identifier"),
        ("--issuer spiffe://td.example --subject spiffe://td.example/a*", "SPIFFE identifier"),
        ("--issuer spiffe://td.example --subject spiffe://td.example/a --uid 1", "--uid"),
        ("--issuer spiffe://td.example/a --subject spiffe://td.example/a", "spiffe://td.example"),
        ("--issuer https://k8s.example --subject=", "--subject"),
        ("--issuer https://k8s.example", "--subject"),
        ("--issuer https://k8s.example --subject a --remove --uid 1", "--uid"),
    ] {
        let said = run(&place, &format!("client federate etl {line}"));
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line} {}", said.err);
        assert!(said.err.contains(tip), "{line}: {}", said.err);
    }
}

#[test]
fn tx_37_users_are_disabled_by_issuer_and_enabled_again() {
    let place = place();
    run(&place, "client add bob").done();
    run(&place, "subject disable alice --issuer https://k8s.example").done();
    let unsecured = run(&place, "subject disable bob --json").done();
    let no_server = json!({"followed": [], "behind": []});
    let expected = json!({"sub": "bob", "issuer": null, "enabled": false, "nodes": no_server});
    assert_eq!(unsecured.json(), expected);
    assert!(unsecured.err.contains("client disable bob"), "{}", unsecured.err);
    let listed = run(&place, "subject list --json").done().json();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|s| json!([s["sub"], s["issuer"]])).collect();
    assert_eq!(listed, [json!(["bob", null]), json!(["alice", "https://k8s.example"])]);
    assert!(run(&place, "subject list").done().out.contains("(unsecured)"));
    let unknown = run(&place, "subject disable alice --issuer https://x.example").refused();
    assert!(unknown.err.contains("not trusted"), "{}", unknown.err);
    let said = run(&place, "subject enable alice").done();
    assert!(said.err.contains("was not disabled, so nothing was changed"), "{}", said.err);
    run(&place, "subject enable alice --issuer https://k8s.example").done();
    run(&place, "subject enable bob").done();
    assert_eq!(run(&place, "subject list --json").done().json(), json!([]));
    let revoked = run(&place, "revoke --subject alice --issuer https://k8s.example --json").done().json();
    assert_eq!((&revoked["issuer"], &revoked["sub"]), (&json!("https://k8s.example"), &json!("alice")));
}

#[test]
fn check_reports_registrations_that_cannot_be_used() {
    let place = place();
    let _ended = place.serve(&[]);
    drop(_ended);
    run(&place, "client add etl --auth-method federated").done();
    run(&place, "client add signer --auth-method private_key_jwt --jwks keys.json").done();
    run(&place, "client add late --auth-method federated").done();
    run(&place, "client federate late --issuer https://k8s.example --subject a").done();
    run(&place, "issuer disable https://k8s.example").done();
    let findings = run(&place, "check --listen 127.0.0.1:0 --json").done().json();
    let notes: Vec<String> = findings["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["state"] == "note")
        .map(|f| f["text"].as_str().unwrap().to_owned())
        .collect();
    for needed in ["etl ", "late ", "https://k8s.example is disabled"] {
        assert!(notes.iter().any(|text| text.contains(needed)), "{needed} {notes:?}");
    }
    assert!(!notes.iter().any(|text| text.contains("signer")), "{notes:?}");
}
