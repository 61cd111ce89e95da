//! Registration with defaults: what Iceberg clients ask for is granted, and notes name what their catalogs would refuse; IC-18, D10.

use crate::support::{Place, within_a_second};

/// The scopes that Iceberg clients request by default, what is granted for each, and what for an operator's client.
const ASKED: [(&str, Option<&str>, Option<&str>); 6] = [
    // Spark, Flink, PyIceberg and Go.
    ("catalog", Some("catalog"), Some("catalog")),
    ("", Some("catalog"), Some("catalog")),
    // DuckDB, ClickHouse.
    ("PRINCIPAL_ROLE:ALL", Some("PRINCIPAL_ROLE:ALL"), Some("PRINCIPAL_ROLE:ALL")),
    // The S3 remote signer of Iceberg Java.
    ("sign", Some("sign"), Some("sign")),
    ("catalog sign", Some("catalog sign"), Some("catalog sign")),
    ("signs", None, Some("signs")),
];

#[test]
fn ic_18_d10_the_default_registration_grants_what_iceberg_clients_ask_for() {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("spark", &[]);
    within_a_second("the client is there", || server.ask("spark", &secret).status == 200);
    for (asked, of_spark, of_root) in ASKED {
        for (id, secret, granted) in
            [("spark", secret.as_str(), of_spark), ("root", "first-secret-of-root", of_root)]
        {
            let answer = server.tokens(&format!(
                "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={asked}"
            ));
            assert_eq!(answer.body["scope"].as_str(), granted, "{id} {asked:?}");
            assert_eq!(answer.code(), if granted.is_some() { "" } else { "invalid_scope" }, "{id} {asked:?}");
        }
    }
    // A token for the catalog is exchanged for a signing token, as the signer does, which has no credential.
    let token = server.ask("spark", &secret).token();
    let form = "grant_type=client_credentials&client_id=spark&scope=catalog%20sign";
    let both = server.tokens(&format!("{form}&client_secret={secret}")).token();
    for (subject, expected) in [(&both, Some("sign")), (&token, None)] {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={subject}&scope=sign\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        );
        let answer = crate::support::post(&server.endpoint(), Some(&format!("Bearer {subject}")), &form);
        assert_eq!(answer.body["scope"].as_str(), expected, "the scope of a session does not widen");
    }
}

#[test]
fn d10_the_default_scope_is_catalog_or_all_of_a_registration_without_it() {
    let place = Place::new();
    for (id, more, scope, default) in [
        ("a", &[][..], "catalog sign PRINCIPAL_ROLE:ALL", "catalog"),
        ("b", &["--scope", "PRINCIPAL_ROLE:analyst"], "PRINCIPAL_ROLE:analyst", "PRINCIPAL_ROLE:analyst"),
        ("c", &["--scope", "x catalog"], "x catalog", "catalog"),
        ("d", &["--scope", "x y", "--default-scope", "y"], "x y", "y"),
        ("e", &["--scope", "x y", "--default-scope", "catalog"], "x y", "catalog"),
        ("f", &["--scope", ""], "", "catalog"),
    ] {
        place.add(id, more);
        let shown = place.run(&["client", "show", id, "--json"]).done().json();
        assert_eq!((shown["scope"].as_str(), shown["default_scope"].as_str()), (Some(scope), Some(default)));
    }
    // The scope that is granted by default is the registered one, over HTTP.
    let server = place.serve(&[]);
    let secret = place.add("roles", &["--scope", "PRINCIPAL_ROLE:analyst PRINCIPAL_ROLE:etl"]);
    within_a_second("the client is there", || server.ask("roles", &secret).status == 200);
    let granted = server.ask("roles", &secret).body["scope"].clone();
    assert_eq!(granted, "PRINCIPAL_ROLE:analyst PRINCIPAL_ROLE:etl");
    // A change that leaves a default without its scope is refused with the missing scope.
    let said = place.run(&["client", "change", "roles", "--scope", "PRINCIPAL_ROLE:etl"]);
    assert!(said.code == 2 && said.err.contains("give another --default-scope"), "{}", said.err);
    assert!(said.err.contains("PRINCIPAL_ROLE:analyst"), "{}", said.err);
}

#[test]
fn ic_18_several_audiences_are_noted_because_many_clients_get_the_first() {
    let place = Place::new();
    for (line, is_noted) in [
        ("client add one --audience nessie", false),
        ("client add twice --audience nessie --audience nessie", false),
        ("client add none", false),
        ("client add two --audience nessie --audience polaris", true),
        ("client change one --audience polaris --audience nessie", true),
        ("client change one --token-lifetime 30m", false),
        ("client change one --audience polaris", false),
    ] {
        let said = place.run(&line.split(' ').chain(["--json"]).collect::<Vec<_>>()).done();
        assert_eq!(said.err.contains("DuckDB"), is_noted, "{line}: {}", said.err);
        let first = if line.contains("change") { "`aud` polaris" } else { "`aud` nessie" };
        assert!(!is_noted || said.err.contains(first), "{line}: {}", said.err);
        said.json();
    }
}
