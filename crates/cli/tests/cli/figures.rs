//! The metrics are correct and hold no secret: SE-07, AB-01, and the names that dashboards use.

use crate::support::{Place, Server, get, post, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The metrics, by name and labels, and the families with their types.
struct Figures {
    text: String,
    values: BTreeMap<String, f64>,
    families: BTreeMap<String, String>,
}

/// Parses Prometheus' text format, strictly.
fn scrape(operations: &str) -> Figures {
    let answer = get(&format!("{operations}/metrics"));
    assert_eq!(answer.status, 200);
    let text = answer.body.as_str().unwrap().to_owned();
    let (mut values, mut families) = (BTreeMap::new(), BTreeMap::new());
    let mut announced = String::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let mut words = about.splitn(3, ' ');
            let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => assert!(rest.ends_with('.'), "{line}"),
                "TYPE" => {
                    assert!(families.insert(name.to_owned(), rest.to_owned()).is_none(), "{name} twice")
                }
                other => panic!("{other}"),
            }
            name.clone_into(&mut announced);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .fold(name, |n, end| if families.contains_key(n) { n } else { n.strip_suffix(end).unwrap_or(n) });
        assert_eq!(family, announced, "{line}: not under its family");
        let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
        assert!(name.bytes().all(plain) && !name.contains("__"), "{name}");
        assert_eq!(families[family] == "counter", name.ends_with("_total"), "{name}");
        let value: f64 = value.parse().unwrap();
        assert!(values.insert(series.to_owned(), value).is_none(), "{series} twice");
    }
    Figures { text, values, families }
}

impl Figures {
    fn value(&self, series: &str) -> f64 {
        *self.values.get(series).unwrap_or_else(|| panic!("no {series} in {}", self.text))
    }
}

fn operations(server: &Server) -> String {
    server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned()
}

const RIGHT: &str = "first-secret-of-root";

#[test]
fn se_07_metrics_count_events_and_contain_nothing_that_a_client_sent() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0", "--failures-per-client", "3"]);
    let operations = operations(&server);
    let begun = scrape(&operations);
    assert_eq!(
        begun.value(
            "tokenberg_requests_total{endpoint=\"token\",grant=\"none\",outcome=\"granted\",status=\"200\"}"
        ),
        0.0
    );
    let token = server.ask("root", RIGHT).token();
    server.ask("root", RIGHT).token();
    let exchange = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=root&client_secret={RIGHT}\
         &subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(server.tokens(&exchange).status, 200);
    for status in [401, 401, 401, 429, 429] {
        assert_eq!(server.ask("nobody-Xq7", "wr0ng-Xq7").status, status);
    }
    assert_eq!(server.tokens("grant_type=x-Xq7").status, 401);
    let about = format!("client_id=root&client_secret={RIGHT}&token={token}");
    assert_eq!(post(&format!("{}/v1/oauth/introspect", server.url), None, &about).status, 200);
    assert_eq!(post(&format!("{}/v1/oauth/revoke", server.url), None, &about).status, 200);
    for document in ["jwks.json", "openid-configuration", "oauth-authorization-server"] {
        assert_eq!(get(&format!("{}/.well-known/{document}", server.url)).status, 200);
    }
    let added = place.add("c1", &[]);
    place.run(&["key", "rotate"]).done();
    within_a_second("the next key is seen", || {
        scrape(&operations).values.get("tokenberg_keys{state=\"published\"}") == Some(&1.0)
    });

    let figures = scrape(&operations);
    for (endpoint, grant, outcome, status, count) in [
        ("token", "client_credentials", "granted", 200, 2.0),
        ("token", "token_exchange", "granted", 200, 1.0),
        ("token", "client_credentials", "invalid_client", 401, 3.0),
        ("token", "client_credentials", "temporarily_unavailable", 429, 2.0),
        ("token", "client_credentials", "temporarily_unavailable", 503, 0.0),
        ("token", "none", "invalid_client", 401, 1.0),
        ("token", "none", "server_error", 500, 0.0),
        ("introspection", "none", "active", 200, 1.0),
        ("introspection", "none", "server_error", 500, 0.0),
        ("introspection", "none", "temporarily_unavailable", 503, 0.0),
        ("introspection", "none", "invalid_client", 401, 0.0),
        ("revocation", "none", "revoked", 200, 1.0),
        ("revocation", "none", "temporarily_unavailable", 503, 0.0),
        ("verification", "none", "active", 200, 0.0),
    ] {
        let sample = format!(
            "tokenberg_requests_total{{endpoint=\"{endpoint}\",grant=\"{grant}\",outcome=\"{outcome}\",status=\"{status}\"}}"
        );
        assert_eq!(figures.value(&sample), count, "{sample}");
    }
    for (series, value) in [
        ("tokenberg_request_duration_seconds_count{endpoint=\"token\"}", 9.0),
        ("tokenberg_request_duration_seconds_bucket{endpoint=\"revocation\",le=\"+Inf\"}", 1.0),
        ("tokenberg_signing_duration_seconds_count", 3.0),
        ("tokenberg_documents_total{document=\"keys\"}", 1.0),
        ("tokenberg_documents_total{document=\"metadata\"}", 2.0),
        ("tokenberg_failed_authentications_total", 3.0),
        ("tokenberg_throttled_total{by=\"client\"}", 2.0),
        ("tokenberg_throttled_total{by=\"source\"}", 0.0),
        ("tokenberg_costly_waiting{work=\"digest\"}", 0.0),
        ("tokenberg_costly_refused_total{work=\"signature\"}", 0.0),
        ("tokenberg_clients", 2.0),
        ("tokenberg_keys{state=\"signing\"}", 1.0),
        ("tokenberg_keys{state=\"retired\"}", 0.0),
        ("tokenberg_ready", 1.0),
        ("tokenberg_store_fault", 0.0),
        ("tokenberg_connections_refused_total", 0.0),
        ("tokenberg_audit_lost_total", 0.0),
        ("tokenberg_audit_refused_total", 0.0),
        ("tokenberg_audit_waiting_limit", 73_728.0),
        ("tokenberg_audit_left_out_total{outcome=\"invalid_client\"}", 0.0),
        ("tokenberg_audit_went_back_total", 0.0),
    ] {
        assert_eq!(figures.value(series), value, "{series}");
    }
    assert!(figures.value("tokenberg_revocations") >= 1.0);
    // Requests that differ only in their request id may share a record.
    within_a_second("all is recorded", || {
        let figures = scrape(&operations);
        let records = figures.value("tokenberg_audit_records_total");
        let unwritten = ["tokenberg_audit_lag_seconds", "tokenberg_audit_waiting"];
        unwritten.iter().all(|series| figures.value(series) == 0.0) && (6.0..=11.0).contains(&records)
    });
    // One for each wrong secret, and one for the first use of the right one, which a person chose.
    assert!(figures.value("tokenberg_stretched_digests_total") >= 4.0);
    assert!(figures.value("tokenberg_connections_total") >= 5.0);
    assert!(figures.value("tokenberg_snapshot_revision") > begun.value("tokenberg_snapshot_revision"));
    assert!(figures.value("tokenberg_snapshot_age_seconds") < 10.0);
    assert!(figures.value("tokenberg_signing_key_age_seconds") >= 0.0);
    let next = figures.value("tokenberg_next_key_signs_timestamp_seconds");
    assert!(next > figures.value("process_start_time_seconds"));
    assert_eq!(
        figures.value(&format!("tokenberg_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        1.0
    );
    let kid = place.run(&["key", "list", "--json"]).done().json()[0]["kid"].as_str().unwrap().to_owned();
    for secret in [RIGHT, "Xq7", "nobody", &token, &token[..20], &added, "root", "c1", &kid, "sqlite"] {
        assert!(!figures.text.contains(secret), "{secret}");
    }
}

#[test]
fn ks_06_fetches_of_issuers_keys_are_counted() {
    let issuer = Place::new();
    let other = issuer.serve(&[]);
    let token = other.ask("root", RIGHT).token();
    let place = Place::new();
    for (url, jwks_uri) in [
        (other.url.as_str(), format!("{}/.well-known/jwks.json", other.url)),
        ("http://127.0.0.1:9", "http://127.0.0.1:9/keys".to_owned()),
    ] {
        let with = ["--jwks-uri", &jwks_uri, "--audience", &other.url, "--accept", "access_token"];
        place.run(&[&["issuer", "add", url][..], &with].concat()).done();
    }
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = operations(&server);
    const DOWN: &str = "http://127.0.0.1:9";
    let fetches = |issuer: &str| {
        let figures = scrape(&operations);
        ["fetched", "failed"].map(|outcome| {
            let labels = format!("issuer=\"{issuer}\",outcome=\"{outcome}\"");
            figures.value(&format!("tokenberg_issuer_key_fetches_total{{{labels}}}"))
        })
    };
    let times = |issuer: &str| {
        let figures = scrape(&operations);
        ["fetched", "end"].map(|what| {
            let series = format!("tokenberg_issuer_keys_{what}_timestamp_seconds{{issuer=\"{issuer}\"}}");
            figures.values.get(&series).copied()
        })
    };
    assert_eq!([fetches(&other.url), fetches(DOWN)], [[0.0; 2]; 2]);
    assert_eq!([times(&other.url), times(DOWN)], [[None; 2]; 2]);
    let exchange = |token: &str| {
        server.tokens(&format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=root&client_secret={RIGHT}\
             &subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        ))
    };
    exchange(&token);
    within_a_second("it is counted", || [fetches(&other.url), fetches(DOWN)] == [[1.0, 0.0], [0.0; 2]]);
    // The keys are used for a day, if no other fetch succeeds.
    let [Some(fetched), Some(end)] = times(&other.url) else { panic!("no times") };
    let begun = scrape(&operations).value("process_start_time_seconds");
    assert!(fetched >= begun && (end - fetched - 86_400.0).abs() < 60.0, "{fetched} {end}");
    // The same with the other issuer in its payload; the invalid signature is found after the keys of that issuer are fetched.
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
    claims["iss"] = DOWN.into();
    parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
    assert_eq!(exchange(&parts.join(".")).status, 503);
    within_a_second("it is counted", || [fetches(&other.url), fetches(DOWN)] == [[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(times(DOWN), [None; 2]);
    // Only registered issuers are labels.
    place.run(&["issuer", "remove", &other.url]).done();
    within_a_second("its series end", || !scrape(&operations).text.contains(&other.url));
}

#[test]
fn se_07_the_store_is_measured_in_the_background() {
    let place = Place::new();
    let secret = place.add("c1", &["--secret-expires", "10d"]);
    let server = place.serve(&["--ops-listen", "127.0.0.1:0", "--audit-retention", "30d"]);
    let operations = operations(&server);
    let end = "tokenberg_secret_end_timestamp_seconds";
    within_a_second("it is measured", || scrape(&operations).values.contains_key(end));
    let figures = scrape(&operations);
    let begun = figures.value("process_start_time_seconds");
    assert!((figures.value(end) - begun - 864_000.0).abs() < 600.0);
    assert!((figures.value("tokenberg_audit_oldest_timestamp_seconds") - begun).abs() < 600.0);
    // At least the store that was made, the client and the key.
    assert!(figures.value("tokenberg_audit_stored_records") >= 3.0);
    let size = f64::from(u32::try_from(fs::metadata(place.path("tokenberg.db")).unwrap().len()).unwrap());
    assert!((4096.0..=size.max(1e6)).contains(&figures.value("tokenberg_audit_stored_bytes")));
    assert_eq!(figures.value("tokenberg_audit_retention_seconds"), 30.0 * 86_400.0);
    assert_eq!(figures.value("tokenberg_store_connections_limit"), 5.0);
    let open = |state: &str| figures.value(&format!("tokenberg_store_connections{{state=\"{state}\"}}"));
    assert!((1.0..=5.0).contains(&(open("busy") + open("idle"))));
    let count = |kind: &str| {
        let series = format!("tokenberg_store_transaction_duration_seconds_count{{kind=\"{kind}\"}}");
        scrape(&operations).value(&series)
    };
    let before = ["read", "change"].map(count);
    assert!(before.iter().all(|count| *count > 0.0));
    let token = server.ask("c1", &secret).token();
    let about = format!("client_id=c1&client_secret={secret}&token={token}");
    assert_eq!(post(&format!("{}/v1/oauth/revoke", server.url), None, &about).status, 200);
    assert!(count("change") > before[1] && count("read") > before[0]);
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The names of all metrics in the text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|w| w.starts_with("tokenberg_") || w.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn se_07_dashboard_alerts_and_docs_name_metrics_that_exist() {
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = operations(&server);
    place.run(&["key", "rotate"]).done();
    let next = "tokenberg_next_key_signs_timestamp_seconds";
    within_a_second("the next key is seen", || scrape(&operations).families.contains_key(next));
    let figures = scrape(&operations);
    let exported: BTreeSet<String> = figures
        .values
        .keys()
        .map(|series| series.split('{').next().unwrap().to_owned())
        .chain(figures.families.keys().cloned())
        .collect();
    let mut named = BTreeSet::new();
    for file in ["grafana-dashboard.json", "alerts.yaml", "operations.md", "deploy/upgrade-note.md"] {
        let text = fs::read_to_string(docs().join(file)).unwrap();
        let here = names(&text);
        assert!(here.is_subset(&exported), "{file}: {:?}", here.difference(&exported).collect::<Vec<_>>());
        named.extend(here);
    }
    let described = names(&fs::read_to_string(docs().join("operations.md")).unwrap());
    let undescribed: Vec<_> = figures.families.keys().filter(|name| !described.contains(*name)).collect();
    assert!(undescribed.is_empty(), "docs/operations.md does not say what {undescribed:?} count");
    // The operator sees each of them in the help.
    let shown =
        ["grafana-dashboard.json", "alerts.yaml"].map(|f| fs::read_to_string(docs().join(f)).unwrap());
    let shown = names(&shown.concat());
    let is_shown = |family: &String| shown.iter().any(|name| name.starts_with(family.as_str()));
    let unseen: Vec<_> = figures.families.keys().filter(|family| !is_shown(family)).collect();
    assert!(unseen.is_empty(), "neither dashboard nor alerts have {unseen:?}");
    let dashboard: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(docs().join("grafana-dashboard.json")).unwrap()).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}
