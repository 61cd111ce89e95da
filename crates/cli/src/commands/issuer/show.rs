//! `tokenberg issuer list` and `show`: the trusted issuers, and how far each is trusted.

use super::naming;
use crate::commands::jwks_file;
use crate::output::{self, Output, facts, state};
use crate::store_access::StoreLocation;
use crate::{clock, moment_text};
use serde_json::{Value, json};
use tokenberg_core::issuer::{AcceptedAs, ScopeMapping};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{ClientId, Issuer, KeySource, Trust};
use tokenberg_store::IssuerRecord;

/// Prints all issuers.
///
/// # Errors
/// If the store fails.
pub(super) async fn list(location: StoreLocation, output: Output) -> anyhow::Result<()> {
    let store = location.open_to_read().await?;
    let issuers = store.issuers().await?;
    store.close().await;
    output.show(
        || issuers.iter().map(value).collect(),
        || {
            let heading = ["ISSUER", "STATE", "NAMES", "ACCEPTED AS", "KEYS"];
            let row = |record: &IssuerRecord| {
                [
                    record.trusted.issuer.to_string(),
                    state(record.trusted.enabled).to_owned(),
                    naming::shown(&record.trusted.trust),
                    accepted(&record.trusted.trust, ","),
                    keys(&record.trusted.trust.keys),
                ]
            };
            output::list(heading, issuers.iter().map(row))
        },
    )?;
    Ok(())
}

/// Prints one issuer.
///
/// # Errors
/// If the issuer is not trusted, or the store fails.
pub(super) async fn one(location: StoreLocation, issuer: &Issuer, output: Output) -> anyhow::Result<()> {
    let now = clock::now()?;
    let store = location.open_to_read().await?;
    let record = store.issuer(issuer).await?;
    let clients = store.federated_with(issuer).await?;
    store.close().await;
    output.show(
        || {
            let mut whole = value(&record);
            whole["clients"] = json!(clients);
            whole
        },
        || {
            let trust = &record.trusted.trust;
            facts(&[
                ("issuer", issuer.to_string()),
                ("state", state(record.trusted.enabled).to_owned()),
                ("created", moment_text::with_distance(record.created_at, now)),
                ("keys", keys(&trust.keys)),
                ("accepted as", accepted(trust, ", ")),
                ("audiences", trust.audiences.join(", ")),
                (
                    "algorithms",
                    trust.algorithms.iter().map(Algorithm::to_string).collect::<Vec<_>>().join(", "),
                ),
                ("subject claim", trust.subject_claim.to_string()),
                ("subject prefix", trust.subject_prefix.as_deref().unwrap_or_default().to_owned()),
                ("names", naming::explained(trust).to_owned()),
                ("scope", trust.scope.to_string()),
                ("map", trust.map.iter().map(ScopeMapping::to_string).collect::<Vec<_>>().join(", ")),
                ("leeway", trust.leeway.to_string()),
                ("maximum token age", trust.max_age.to_string()),
                ("session outlives user's token", if trust.outlives_subject { "yes" } else { "" }.to_owned()),
                ("plain http", if trust.insecure_http { "allowed, for trials" } else { "" }.to_owned()),
                (
                    "clients with its identities",
                    clients.iter().map(ClientId::as_str).collect::<Vec<_>>().join(", "),
                ),
            ])
        },
    )?;
    Ok(())
}

fn value(record: &IssuerRecord) -> Value {
    let trust = &record.trusted.trust;
    json!({
        "issuer": record.trusted.issuer,
        "enabled": record.trusted.enabled,
        "created_at": moment_text::written(record.created_at),
        "keys": match &trust.keys {
            KeySource::Jwks(jwks) => json!({"jwks": jwks_file::shown(jwks)}),
            KeySource::JwksUri(address) => json!({"jwks_uri": address}),
            KeySource::Discovery => json!({"discovery": true}),
        },
        "accept": trust.accept,
        "audiences": trust.audiences,
        "algorithms": trust.algorithms,
        "subject_claim": trust.subject_claim,
        "subject_prefix": trust.subject_prefix,
        "subject_names": trust.subject_names,
        "scope": trust.scope,
        "map": trust.map,
        "leeway": trust.leeway.as_seconds(),
        "max_age": trust.max_age.as_seconds(),
        "outlives_subject": trust.outlives_subject,
        "insecure_http": trust.insecure_http,
    })
}

fn accepted(trust: &Trust, between: &str) -> String {
    if trust.accept.is_empty() {
        return "(workload identities)".to_owned();
    }
    trust.accept.iter().map(|kind: &AcceptedAs| kind.as_str()).collect::<Vec<_>>().join(between)
}

fn keys(source: &KeySource) -> String {
    match source {
        KeySource::Jwks(jwks) => jwks_file::summary(jwks),
        KeySource::JwksUri(address) => address.to_string(),
        KeySource::Discovery => "(discovered)".to_owned(),
    }
}
