//! `tokenberg explain --request ID`: explains a decision from its record in the audit.

use super::{audit_text, explanation_text};
use crate::common::Common;
use crate::failure::AlreadyReported;
use crate::one_request::OneRequest;
use crate::output::{Output, without_controls};
use crate::store_access::{StoreLocation, wait_for};
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;
use tokenberg_core::Timestamp;
use tokenberg_core::explanation::{RecordedDecision, Verdict, explain_recorded};
use tokenberg_store::{AuditEntry, AuditPosition, AuditSelection};

/// Prints what the record says, and what would be decided about such a request now.
///
/// # Errors
/// If no decision or several have this identifier, the store cannot be read, or such a request would be refused.
pub(super) fn run(
    common: &Common,
    request: &OneRequest,
    id: &str,
    now: Timestamp,
    at: &dyn Fn(Timestamp) -> String,
    output: Output,
) -> anyhow::Result<()> {
    let entry = find(common, id)?;
    let record: Map<String, Value> = serde_json::from_str(&entry.record)?;
    let endpoint = request.endpoint();
    let decision = request.answered(common, now, false, |answers, blocking| {
        let decision = explain_recorded(&endpoint, &record, now, answers, blocking);
        decision.ok_or_else(|| anyhow::anyhow!("the record of the request {id} is not one of a decision"))
    })?;
    output.show(|| value(&entry, &decision, at), || text(&entry, &decision, at))?;
    let is_granted = match &decision.now {
        Some(decided) => matches!(decided.verdict, Verdict::Granted(_)),
        None => !decision.is_refused,
    };
    if is_granted { Ok(()) } else { Err(AlreadyReported.into()) }
}

/// The only record of the request.
fn find(common: &Common, id: &str) -> anyhow::Result<AuditEntry> {
    let location = StoreLocation::of(common)?;
    let mut found: Vec<AuditEntry> = Vec::new();
    wait_for(async {
        let store = location.open_to_read().await?;
        let selection = AuditSelection { request: Some(id.into()), ..AuditSelection::default() };
        let take = |entry: AuditEntry| {
            found.extend(Some(entry).filter(|entry| entry.record.starts_with('{')));
            if found.len() > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let read = store.read_audit_backwards(&mut AuditPosition::default().selecting(selection), take).await;
        store.close().await;
        Ok(read?)
    })?;
    anyhow::ensure!(
        found.len() < 2,
        "several requests begin with {id}; `tokenberg audit --request {id}` lists them"
    );
    found.pop().ok_or_else(|| {
        anyhow::anyhow!(
            "the audit has no decision about the request {id}; it may have expired, or not be written yet"
        )
    })
}

fn text(entry: &AuditEntry, decision: &RecordedDecision, at: &dyn Fn(Timestamp) -> String) -> String {
    let mut lines = vec![format!("recorded at {}", audit_text::written(entry.at))];
    lines.extend(decision.findings.iter().map(|(name, sentence)| format!("{name:<9}  {sentence}")));
    if let Some(now) = &decision.now {
        lines.push("\nsuch a request now, with a valid credential and genuine tokens:".to_owned());
        lines.push(explanation_text::text(now, at));
    }
    // What is decided now has said the same.
    let is_said = decision.now.as_ref().is_some_and(|now| !matches!(now.verdict, Verdict::Granted(_)));
    if let Some(remedy) = decision.remedy.as_ref().filter(|_| !is_said) {
        lines.push(format!("to allow it: {remedy}"));
    }
    without_controls(&lines.join("\n"))
}

fn value(entry: &AuditEntry, decision: &RecordedDecision, at: &dyn Fn(Timestamp) -> String) -> Value {
    let findings = decision.findings.iter().map(|(name, sentence)| json!({"rule": name, "says": sentence}));
    json!({
        "recorded": {
            "time": audit_text::written(entry.at),
            "chain": entry.chain,
            "number": entry.number,
            "rules": findings.collect::<Vec<_>>(),
            "refused": decision.is_refused,
        },
        "now": decision.now.as_ref().map(|now| explanation_text::value(now, at)),
        "to_allow_it": decision.remedy,
    })
}
