//! Records of the audit as events of the Open Cybersecurity Schema Framework, one a line, for a SIEM: <https://schema.ocsf.io/1.6.0>.
//!
//! | record | class |
//! |---|---|
//! | a decision of the token endpoint or of revocation, an opened page | Authentication (3002) |
//! | a decision of introspection, or for a proxy | API Activity (6003) |
//! | a change | Entity Management (3004) |
//! | a server began or ended | Application Lifecycle (6002) |
//! | anything else | Base Event (0) |
//!
//! What has no attribute there is in `unmapped`, by its name in the record.

use crate::output::in_sight;
use serde_json::{Map, Value, json};
use tokenberg_core::Outcome;
use tokenberg_store::AuditEntry;

/// The version of the schema.
const VERSION: &str = "1.6.0";

/// What is not said by a record and has to be in an event.
const UNKNOWN: &str = "unknown";

/// The members that an event has in attributes of its own.
const MAPPED: [&str; 15] = [
    "outcome",
    "change",
    "event",
    "reason",
    "request_id",
    "source",
    "port",
    "client",
    "subject",
    "subject_issuer",
    "issuer_subject",
    "session",
    "endpoint",
    "node",
    "actors",
];

/// One line of JSON, in which no character can control a terminal.
pub(super) fn line(entry: &AuditEntry) -> String {
    let mut line = in_sight(&event(entry).to_string());
    line.push('\n');
    line
}

fn event(entry: &AuditEntry) -> Value {
    let record: Option<Map<String, Value>> = serde_json::from_str(&entry.record).ok();
    let Some(record) = record else {
        let what = json!({"severity_id": HIGH, "message": "the row is no record", "raw_data": entry.record});
        return with_base(entry, &Map::new(), "damaged", (0, 0, 99), what);
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    match (text("outcome"), text("change"), text("event")) {
        (Some(outcome), ..) => decision(entry, &record, outcome),
        (None, Some(change), _) => changed(entry, &record, change),
        (None, None, event) => happened(entry, &record, event.unwrap_or(UNKNOWN)),
    }
}

/// `severity_id`: Informational, Low, High.
const INFORMATIONAL: u8 = 1;
const LOW: u8 = 2;
const HIGH: u8 = 4;

/// Category, class and activity.
type Class = (u32, u32, u32);

/// The attributes of every event, and those of this one.
fn with_base(
    entry: &AuditEntry,
    record: &Map<String, Value>,
    code: &str,
    (category, class, activity): Class,
    own: Value,
) -> Value {
    let unmapped = record.iter().filter(|(name, _)| !MAPPED.contains(&name.as_str()));
    let unmapped: Map<String, Value> = unmapped.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut metadata = json!({
        "version": VERSION,
        "product": {"name": "Tokenberg", "vendor_name": "Tokenberg", "version": env!("CARGO_PKG_VERSION")},
        "uid": format!("{}/{}", entry.chain, entry.number),
        "log_name": entry.chain,
        "sequence": entry.number,
        "event_code": code,
    });
    if let Some(request) = record.get("request_id") {
        metadata["correlation_uid"] = request.clone();
    }
    let mut event = json!({
        "activity_id": activity,
        "category_uid": category,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "severity_id": INFORMATIONAL,
        "time": entry.at,
        "metadata": metadata,
    });
    if !unmapped.is_empty() {
        event["unmapped"] = unmapped.into();
    }
    if let (Value::Object(event), Value::Object(own)) = (&mut event, own) {
        event.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    }
    event
}

fn decision(entry: &AuditEntry, record: &Map<String, Value>, outcome: &str) -> Value {
    let is_error = Outcome::is_error(outcome);
    let endpoint = record.get("endpoint").and_then(Value::as_str).unwrap_or_default();
    let grant = record.get("grant").and_then(Value::as_str).unwrap_or_default();
    let mut own = json!({
        "severity_id": if is_error { LOW } else { INFORMATIONAL },
        "status_id": if is_error { 2 } else { 1 },
        "status": if is_error { "Failure" } else { "Success" },
        "status_code": outcome,
        "status_detail": record.get("reason"),
        "src_endpoint": source(record),
        "actor": actor(record),
    });
    let is_about_a_session = !endpoint.ends_with("/introspect") && !endpoint.ends_with("/verify");
    if !is_about_a_session {
        own["api"] = json!({"operation": endpoint});
        return with_base(entry, record, outcome, (6, 6003, 2), own);
    }
    let activity = match grant {
        _ if endpoint.ends_with("/revoke") => 2,
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            own["activity_name"] = "Token Exchange".into();
            99
        }
        _ => 1,
    };
    own["user"] = user(record);
    own["service"] = json!({"name": "Tokenberg", "uid": endpoint});
    own["auth_protocol_id"] = 6.into();
    own["auth_protocol"] = "OAUTH 2.0".into();
    if let Some(session) = record.get("session").or_else(|| record.get("jti")) {
        own["session"] = json!({"uid": session});
    }
    with_base(entry, record, outcome, (3, 3002, activity), own)
}

/// Where a request came from.
fn source(record: &Map<String, Value>) -> Value {
    match (record.get("source"), record.get("port")) {
        (Some(ip), Some(port)) => json!({"ip": ip, "port": port}),
        (Some(ip), None) => json!({"ip": ip}),
        (None, _) => json!({"name": UNKNOWN}),
    }
}

/// The client, and who acted for the subject.
fn actor(record: &Map<String, Value>) -> Value {
    let mut actor = json!({"app_uid": record.get("client").cloned().unwrap_or_else(|| UNKNOWN.into())});
    if let Some(present) = record.get("actors").and_then(Value::as_array).and_then(|actors| actors.first()) {
        actor["user"] = json!({"name": present});
    }
    actor
}

/// The subject; of a refused request, as far as the record names one, or else the client.
fn user(record: &Map<String, Value>) -> Value {
    let client = record.get("client");
    let Some(subject) = record.get("subject").or(client) else {
        return json!({"name": UNKNOWN, "type_id": 0});
    };
    let is_client = Some(subject) == client && !record.contains_key("subject_issuer");
    let mut user = json!({"name": subject, "type_id": if is_client { 4 } else { 1 }});
    if let Some(uid) = record.get("issuer_subject") {
        user["uid"] = uid.clone();
    }
    if let Some(issuer) = record.get("subject_issuer") {
        user["domain"] = issuer.clone();
    }
    user
}

fn changed(entry: &AuditEntry, record: &Map<String, Value>, change: &str) -> Value {
    let activity = match change.rsplit(' ').next().unwrap_or_default() {
        "added" => 1,
        "removed" | "pruned" => 4,
        "enabled" => 8,
        "disabled" => 9,
        "revoked" => 11,
        _ => 3,
    };
    let named = ["key", "token", "session", "client", "issuer", "subject"];
    let named = named.into_iter().find_map(|kind| Some((kind, record.get(kind)?)));
    let (kind, name) = named.map_or(("store", Value::from("store")), |(kind, name)| (kind, name.clone()));
    let own = json!({
        "status_id": 1,
        "status": "Success",
        "message": change,
        "entity": {"name": name, "type": kind, "type_id": 99},
        "actor": {"user": {"name": record.get("source").cloned().unwrap_or_else(|| UNKNOWN.into())}},
        // Which of them it was about; the entity has one.
        "unmapped": record.iter().filter(|(name, _)| *name != "change").map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>(),
    });
    with_base(entry, record, change, (3, 3004, activity), own)
}

fn happened(entry: &AuditEntry, record: &Map<String, Value>, event: &str) -> Value {
    let app = json!({"name": "Tokenberg", "vendor_name": "Tokenberg", "uid": record.get("node").cloned().unwrap_or_else(|| entry.chain.as_str().into())});
    match event {
        "node began" => with_base(entry, record, event, (6, 6002, 3), json!({"app": app, "message": event})),
        "ended" | "node ended" => {
            with_base(entry, record, event, (6, 6002, 4), json!({"app": app, "message": event}))
        }
        "page opened" => {
            let own = json!({"user": {"name": "operator", "type_id": 2}, "service": {"name": "Tokenberg", "uid": "/ui"},
                "status_id": 1, "message": event, "src_endpoint": page_source(record)});
            with_base(entry, record, event, (3, 3002, 1), own)
        }
        _ => {
            let is_loss = ["went back", "lost"].iter().any(|word| event.contains(word));
            let severity = if is_loss { HIGH } else { INFORMATIONAL };
            with_base(entry, record, event, (0, 0, 99), json!({"severity_id": severity, "message": event}))
        }
    }
}

/// The address of a browser.
fn page_source(record: &Map<String, Value>) -> Value {
    record.get("from").map_or_else(|| json!({"name": UNKNOWN}), |ip| json!({"ip": ip}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(record: &Value) -> Value {
        let entry = AuditEntry {
            chain: "n1".to_owned(),
            number: 7,
            at: 1_795_298_280_123,
            record: record.to_string(),
        };
        let line = line(&entry);
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_is_valid(&event);
        event
    }

    /// The required attributes and constraints of the classes, from the schema's `events/` and `objects/`.
    fn assert_is_valid(event: &Value) {
        for name in
            ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"]
        {
            assert!(!event[name].is_null(), "{name}: {event}");
        }
        let number = |name: &str| event[name].as_u64().unwrap();
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"), "{event}");
        assert_eq!(number("category_uid"), number("class_uid") / 1000, "{event}");
        assert!(event["metadata"]["version"].is_string() && event["metadata"]["product"]["name"].is_string());
        let has_one = |object: &str, names: &[&str]| {
            assert!(names.iter().any(|name| event[object][name].is_string()), "{object}: {event}");
        };
        match number("class_uid") {
            3002 => {
                has_one("user", &["account", "name", "uid"]);
                has_one("service", &["name", "uid"]);
            }
            3004 => has_one("entity", &["name", "uid"]),
            6002 => has_one("app", &["name", "uid"]),
            6003 => {
                has_one("api", &["operation"]);
                has_one("src_endpoint", &["ip", "uid", "name", "hostname"]);
                has_one("actor", &["app_name", "app_uid"]);
            }
            class => assert_eq!(class, 0, "{event}"),
        }
        if !event["actor"].is_null() {
            assert!(
                event["actor"]["app_uid"].is_string() || event["actor"]["user"]["name"].is_string(),
                "{event}"
            );
        }
    }

    #[test]
    fn se_06_each_record_is_an_event_with_the_required_attributes_of_its_class() {
        let granted = of(
            &json!({"endpoint": "/v1/oauth/tokens", "request_id": "0f02", "source": "192.0.2.7", "port": 4,
            "client": "trino", "grant": "urn:ietf:params:oauth:grant-type:token-exchange", "subject": "okta:alice",
            "issuer_subject": "alice", "subject_issuer": "https://idp.example", "actors": ["trino"], "scope_out": "catalog",
            "jti": "t1", "outcome": "granted"}),
        );
        assert_eq!((&granted["type_uid"], &granted["status"]), (&300_299.into(), &"Success".into()));
        assert_eq!(
            granted["user"],
            json!({"name": "okta:alice", "uid": "alice", "domain": "https://idp.example", "type_id": 1})
        );
        assert_eq!(granted["actor"], json!({"app_uid": "trino", "user": {"name": "trino"}}));
        assert_eq!(granted["unmapped"]["scope_out"], "catalog");
        let refused =
            of(&json!({"endpoint": "/v1/oauth/tokens", "client": "etl", "grant": "client_credentials",
            "outcome": "invalid_client", "reason": "wrong secret"}));
        assert_eq!((&refused["type_uid"], &refused["status_id"]), (&300_201.into(), &2.into()));
        assert_eq!(
            (&refused["user"]["type_id"], &refused["status_detail"]),
            (&4.into(), &"wrong secret".into())
        );
        let introspected = of(&json!({"endpoint": "/v1/oauth/introspect", "outcome": "inactive"}));
        assert_eq!(introspected["class_uid"], 6003);
        let changed =
            of(&json!({"change": "client disabled", "client": "etl", "source": "command line of uid 0"}));
        assert_eq!((&changed["type_uid"], &changed["entity"]["name"]), (&300_409.into(), &"etl".into()));
        for (event, class) in
            [("node began", 6002), ("node ended", 6002), ("page opened", 3002), ("witness", 0)]
        {
            assert_eq!(of(&json!({"event": event, "node": "n1"}))["class_uid"], class, "{event}");
        }
        assert_eq!(of(&json!({"event": "records lost", "records": 3}))["severity_id"], 4);
        of(&json!({"change": "revoked", "token": "t1", "until": 7}));
        of(&json!({"outcome": "invalid_request"}));
        of(&json!("no record \u{1b}[2J"));
    }
}
