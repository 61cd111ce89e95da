//! How a request is made: the same purpose by `curl` and in the settings of each engine.

use crate::frame::{self, Tab};
use crate::parts::Parts;
use crate::shown;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use maud::{Markup, html};
use serde::Deserialize;

const PURPOSES: [(&str, &str); 3] = [
    ("token", "A token for the client itself"),
    ("user", "A token that acts for a user"),
    ("renew", "A fresh token for one that ends"),
];
const METHODS: [(&str, &str); 3] = [
    ("basic", "Secret in the Authorization header"),
    ("post", "Secret in the form"),
    ("assertion", "Signed assertion"),
];

/// What is to be shown.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    purpose: String,
    method: String,
    client: String,
    scope: String,
}

/// `GET /ui/request`
pub(crate) async fn show(parts: Data<Parts>, wanted: Query<Wanted>) -> HttpResponse {
    let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { shown::text(text) };
    let (client, scope) = (or(&wanted.client, "CLIENT_ID"), or(&wanted.scope, "catalog"));
    let endpoint = format!("{}/v1/oauth/tokens", parts.issuer.as_str().trim_end_matches('/'));
    let content = html! {
        form.filter method="get" action="/ui/request" {
            (choice("purpose", "Purpose", &PURPOSES, &wanted.purpose))
            (choice("method", "Authentication", &METHODS, &wanted.method))
            label { "Client" input name="client" value=(wanted.client) autocomplete="off"; }
            label { "Scope" input name="scope" value=(wanted.scope) placeholder="catalog" autocomplete="off"; }
            button { "Show" }
        }
        p.dim { "Words in capitals are to be replaced. Secrets do not belong into this form." }
        h2 { "curl" }
        pre.command { (curl(&endpoint, &wanted, &client, &scope)) }
        @if wanted.purpose != "renew" && wanted.method != "assertion" {
            @for (engine, text) in engines(&endpoint, wanted.purpose == "user", &client, &scope) {
                h2 { (engine) }
                pre.command { (text) }
            }
        }
    };
    frame::page(StatusCode::OK, Tab::Request, "Build a request", content)
}

fn choice(name: &str, label: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        label { (label)
            select name=(name) { @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } } }
        }
    }
}

fn curl(endpoint: &str, wanted: &Wanted, client: &str, scope: &str) -> String {
    let quoted = tokenberg_core::explanation::quoted;
    let mut lines = vec![format!("curl {}", quoted(endpoint))];
    let mut field = |name: &str, value: &str| {
        lines.push(format!("  --data-urlencode {}", quoted(&format!("{name}={value}"))));
    };
    const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    let for_user = wanted.purpose == "user";
    // A value that `curl` reads from a file: a token or a secret must not be an argument.
    let mut files = Vec::new();
    if for_user || wanted.purpose == "renew" {
        field("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        let kind = if for_user { "urn:ietf:params:oauth:token-type:id_token" } else { ACCESS_TOKEN };
        field("subject_token_type", kind);
        files.push(("subject_token", "SUBJECT_TOKEN_FILE"));
    } else {
        field("grant_type", "client_credentials");
    }
    if for_user {
        field("actor_token_type", ACCESS_TOKEN);
        files.push(("actor_token", "ACTOR_TOKEN_FILE"));
    }
    field("scope", scope);
    match wanted.method.as_str() {
        "post" => {
            field("client_id", client);
            files.push(("client_secret", "SECRET_FILE"));
        }
        "assertion" => {
            field("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            files.push(("client_assertion", "ASSERTION_FILE"));
        }
        _ => lines.push(format!("  --user {}", quoted(&format!("{client}:SECRET")))),
    }
    lines.extend(files.iter().map(|(name, file)| format!("  --data-urlencode {name}@{file}")));
    lines.join(" \\\n")
}

/// The same in the settings of engines; `for_user` is whether the engine acts for its users.
fn engines(endpoint: &str, for_user: bool, client: &str, scope: &str) -> Vec<(&'static str, String)> {
    let credential = format!("{client}:SECRET");
    let in_python = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let in_sql = |text: &str| text.replace('\'', "''");
    let spark = format!(
        "spark.sql.catalog.NAME=org.apache.iceberg.spark.SparkCatalog\nspark.sql.catalog.NAME.type=rest\n\
         spark.sql.catalog.NAME.uri=CATALOG_URL\nspark.sql.catalog.NAME.oauth2-server-uri={endpoint}\n\
         spark.sql.catalog.NAME.credential={credential}\nspark.sql.catalog.NAME.scope={scope}"
    );
    let trino = format!(
        "connector.name=iceberg\niceberg.catalog.type=rest\niceberg.rest-catalog.uri=CATALOG_URL\n\
         iceberg.rest-catalog.security=OAUTH2\niceberg.rest-catalog.oauth2.server-uri={endpoint}\n\
         iceberg.rest-catalog.oauth2.credential={credential}\niceberg.rest-catalog.oauth2.scope={scope}\n\
         iceberg.rest-catalog.session={}",
        if for_user { "USER" } else { "NONE" }
    );
    if for_user {
        return vec![("Trino", trino)];
    }
    let pyiceberg = format!(
        "from pyiceberg.catalog import load_catalog\n\ncatalog = load_catalog(\n    \"NAME\",\n    type=\"rest\",\n    \
         uri=\"CATALOG_URL\",\n    credential=\"{}\",\n    scope=\"{}\",\n    **{{\"oauth2-server-uri\": \"{endpoint}\"}},\n)",
        in_python(&credential),
        in_python(scope)
    );
    let flink = format!(
        "CREATE CATALOG NAME WITH (\n  'type' = 'iceberg',\n  'catalog-type' = 'rest',\n  'uri' = 'CATALOG_URL',\n  \
         'oauth2-server-uri' = '{endpoint}',\n  'credential' = '{}',\n  'scope' = '{}'\n)",
        in_sql(&credential),
        in_sql(scope)
    );
    let duckdb = format!(
        "CREATE SECRET token (\n  TYPE ICEBERG,\n  CLIENT_ID '{}',\n  CLIENT_SECRET 'SECRET',\n  \
         OAUTH2_SERVER_URI '{endpoint}',\n  OAUTH2_SCOPE '{}'\n);\nATTACH 'WAREHOUSE' AS NAME (TYPE ICEBERG, ENDPOINT 'CATALOG_URL', SECRET token);",
        in_sql(client),
        in_sql(scope)
    );
    vec![("PyIceberg", pyiceberg), ("Spark", spark), ("Trino", trino), ("Flink", flink), ("DuckDB", duckdb)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_be_pasted() {
        let wanted = |purpose: &str, method: &str| Wanted {
            purpose: purpose.into(),
            method: method.into(),
            ..Wanted::default()
        };
        let text = curl("https://as.test/v1/oauth/tokens", &wanted("user", "post"), "a@=b", "catalog");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(" \\")), "{text}");
        for part in ["'client_id=a@=b'", "subject_token@SUBJECT_TOKEN_FILE", "client_secret@SECRET_FILE"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = curl("https://as.test/v1/oauth/tokens", &wanted("", ""), "it's", "catalog");
        assert!(text.contains(r"--user 'it'\''s:SECRET'"), "{text}");
        for (engine, text) in engines("https://as.test/v1/oauth/tokens", false, "a'b\"c", "catalog") {
            assert!(text.lines().count() > 3, "{engine}: {text}");
        }
    }
}
