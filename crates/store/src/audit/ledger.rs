//! The ledger: what the installation's chain last recorded of each client, issuer, key, disabled subject and revocation.
//!
//! A record says what was changed; the ledger is the sum of all records. Before old records expire, `stated.rs` writes the ledger
//! into records of the event `stated`. Older versions wrote neither these nor all fields: a missing field is [`Fact::Unknown`],
//! and is not compared.

use crate::audit::facts::{Fact, FactName, Facts, Kind, Name, tag_of, tag_of_json};
use crate::audit::{Links, STORE_MADE};
use crate::revocations::{ALL_SUBJECTS, CLIENT, SESSION, SUBJECT, TOKEN};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The event of records that repeat the ledger.
pub(crate) const STATED: &str = "stated";

/// The last recorded state of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The record that set it.
    pub(crate) number: i64,
    /// `None` if it was removed.
    pub(crate) facts: Option<Facts>,
    /// Whether no record says that it was added, so that only later changes are known.
    pub(crate) is_partial: bool,
}

/// The recorded state of everything.
pub(crate) struct Ledger<'a> {
    links: &'a Links,
    /// The first record that is kept.
    first: i64,
    things: HashMap<Name, Entry>,
    /// Statements of everything, by their names.
    statements: HashMap<String, Statement>,
    begins_with_store: bool,
    gaps: Vec<Gap>,
}

/// A repetition of the whole ledger, in one or several records.
struct Statement {
    /// The record up to which it goes.
    as_of: i64,
    of: i64,
    parts: HashSet<i64>,
}

/// A record whose change started from another value than the one recorded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) name: Name,
    pub(crate) fact: FactName,
    pub(crate) number: i64,
}

impl<'a> Ledger<'a> {
    /// The empty ledger of a chain that keeps records from this number on.
    pub(crate) fn new(links: &'a Links, first: i64) -> Self {
        Self {
            links,
            first,
            things: HashMap::new(),
            statements: HashMap::new(),
            begins_with_store: false,
            gaps: Vec::new(),
        }
    }

    pub(crate) fn things(&self) -> &HashMap<Name, Entry> {
        &self.things
    }

    /// The record up to which the chain says everything: that of the last complete statement, or the first of the store.
    /// `None` if the chain is not complete.
    pub(crate) fn complete_as_of(&self) -> Option<i64> {
        let is_complete = |statement: &&Statement| {
            statement.as_of >= self.first - 1 && i64::try_from(statement.parts.len()) == Ok(statement.of)
        };
        let stated = self.statements.values().filter(is_complete).map(|statement| statement.as_of).max();
        stated.or_else(|| self.begins_with_store.then_some(0))
    }

    /// Changes that started from a value which no record had set.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Reads the next record.
    pub(crate) fn read(&mut self, number: i64, text: &str) {
        let Ok(record) = serde_json::from_str::<Value>(text) else { return };
        match record["event"].as_str() {
            Some(STORE_MADE) => self.begins_with_store |= number == 1,
            Some(STATED) => self.read_statement(&record),
            Some(_) | None => {}
        }
        if let Some(change) = record["change"].as_str() {
            self.read_change(number, change, &record);
        }
    }

    fn read_statement(&mut self, record: &Value) {
        let number = |name: &str| record[name].as_i64();
        let (Some(as_of), Some(part), Some(of)) = (number("as_of"), number("part"), number("of")) else {
            return;
        };
        let id = record["id"].as_str().unwrap_or_default().to_owned();
        let statement = || Statement { as_of, of, parts: HashSet::new() };
        self.statements.entry(id).or_insert_with(statement).parts.insert(part);
        for thing in record["things"].as_array().into_iter().flatten() {
            let (Some(kind), Some(key)) = (thing[0].as_str().and_then(Kind::parse), thing[1].as_str()) else {
                continue;
            };
            let name = Name { kind, key: key.into() };
            // A change made while the statement was being written is newer.
            if self.things.get(&name).is_none_or(|entry| entry.number <= as_of) {
                self.put(thing[3].as_i64().unwrap_or(as_of), name, Facts::from_json(&thing[2]));
            }
        }
    }

    fn read_change(&mut self, number: i64, change: &str, record: &Value) {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let client = || Name::new(Kind::Client, &[text("client")]);
        let issuer = || Name::new(Kind::Issuer, &[text("issuer")]);
        let subject = || Name::new(Kind::DisabledSubject, &[text("issuer"), text("subject")]);
        let enabled = |enabled: bool| [(FactName::Enabled, Fact::Number(enabled.into()))];
        let rights = || (FactName::Rights, tag_of_json(self.links, &record["rights"]));
        let trust = || (FactName::Trust, tag_of_json(self.links, &record["trust"]));
        match change {
            "client added" => {
                let mut facts = Facts::from([rights()]);
                facts.set(FactName::Enabled, Fact::Number(1));
                add_secret(&mut facts, record);
                self.put(number, client(), facts);
            }
            "client enabled" => self.set(number, client(), enabled(true)),
            "client disabled" => self.set(number, client(), enabled(false)),
            "client changed" => {
                let rights = rights();
                if let (Some(Fact::Tag(known)), Some(before)) =
                    (self.fact(&client(), &FactName::Rights), record.get("rights_before"))
                    && Fact::from_json(before) != Fact::Tag(known)
                {
                    self.gaps.push(Gap { name: client(), fact: FactName::Rights, number });
                }
                self.set(number, client(), [rights]);
            }
            "client removed" => {
                self.remove(number, client());
                self.revoke_before(number, CLIENT, "", text("client"), &record["revoked_before"]);
                // An earlier version names no issuer, and has revoked the name whosever it is.
                let issuer = text("subject_issuer");
                self.revoke_before(number, SUBJECT, issuer, text("client"), &record["revoked_before"]);
            }
            "secret added" => {
                let mut facts = Facts::default();
                add_secret(&mut facts, record);
                let facts: Vec<_> = facts.iter().map(|(name, fact)| (name.clone(), fact)).collect();
                self.set(number, client(), facts);
            }
            "secret end set" => {
                let end = FactName::SecretEnd(text("secret").into());
                let known = self.fact(&client(), &end);
                let until = record["until"].as_i64();
                let earlier = match (known, until) {
                    // An end is never postponed.
                    (Some(Fact::Number(known)), Some(until)) => Fact::Number(known.min(until)),
                    (Some(Fact::Unknown), _) => Fact::Unknown,
                    (_, until) => Fact::of(until),
                };
                self.set(number, client(), [(end, earlier)]);
            }
            "key added" => self.add_key(number, record),
            "key end set" => {
                let until = Fact::of_field(record.get("verifies_until"));
                self.set(number, key(text("key")), [(FactName::VerifiesUntil, until)]);
            }
            "key removed" => self.remove(number, key(text("key"))),
            "key revoked" => self.revoke_key(number, record),
            "issuer added" => {
                let mut facts = Facts::from([trust()]);
                facts.set(FactName::Enabled, Fact::Number(1));
                self.put(number, issuer(), facts);
            }
            "issuer changed" => {
                let trust = trust();
                self.set(number, issuer(), [trust]);
            }
            "issuer enabled" => self.set(number, issuer(), enabled(true)),
            "issuer disabled" => self.set(number, issuer(), enabled(false)),
            "issuer removed" => {
                self.remove(number, issuer());
                self.revoke_before(number, SUBJECT, text("issuer"), "", &record["revoked_before"]);
            }
            "subject disabled" => {
                let since = Fact::of_field(record.get("since"));
                self.put(number, subject(), [(FactName::Since, since)].into());
            }
            "subject enabled" => self.remove(number, subject()),
            "revoked" => self.revoke(number, record),
            _ => {}
        }
    }

    fn add_key(&mut self, number: i64, record: &Value) {
        let id = record["key"].as_str().unwrap_or_default();
        for dropped in texts(&record["dropped"]) {
            self.remove(number, key(dropped));
        }
        match record.get("ending") {
            Some(ending) => {
                let end = Fact::of_field(record.get("end"));
                texts(ending).for_each(|id| self.set(number, key(id), [(FactName::VerifiesUntil, end)]));
            }
            // The key took over from others; an older version did not record which of them it ended.
            None if record["dropped"].is_array() => self.clear_ends(number),
            None => {}
        }
        let facts = self.key_facts(record);
        self.put(number, key(id), facts);
    }

    fn key_facts(&self, record: &Value) -> Facts {
        let algorithm = record["alg"].as_str();
        Facts::from([
            (FactName::Algorithm, algorithm.map_or(Fact::Unknown, |alg| tag_of(self.links, alg))),
            (FactName::CreatedAt, Fact::of_field(record.get("created_at"))),
            (FactName::SignsFrom, Fact::of_field(record.get("signs_from"))),
            (FactName::VerifiesUntil, Fact::of_field(record.get("verifies_until"))),
        ])
    }

    fn revoke_key(&mut self, number: i64, record: &Value) {
        self.remove(number, key(record["key"].as_str().unwrap_or_default()));
        let Some(signer) = record["now_signing"].as_str() else {
            match record.get("goes_on") {
                Some(Value::String(id)) => {
                    self.set(number, key(id), [(FactName::VerifiesUntil, Fact::Nothing)]);
                }
                Some(_) => {}
                None => self.clear_ends(number),
            }
            return;
        };
        if record["published"] == true || self.things.contains_key(&key(signer)) {
            let from = Fact::of_field(record.get("signs_from"));
            self.set(number, key(signer), [(FactName::SignsFrom, from)]);
        } else {
            // The spare key, which no record has named before.
            let facts = self.key_facts(record);
            self.put(number, key(signer), facts);
        }
    }

    fn clear_ends(&mut self, number: i64) {
        let keys: Vec<Name> = self.things.keys().filter(|name| name.kind == Kind::Key).cloned().collect();
        for name in keys {
            self.set(number, name, [(FactName::VerifiesUntil, Fact::Unknown)]);
        }
    }

    fn revoke(&mut self, number: i64, record: &Value) {
        let text = |name: &str| record[name].as_str();
        for kind in [TOKEN, SESSION] {
            if let (Some(id), Some(until)) = (text(kind), record["until"].as_i64()) {
                self.raise(number, Name::new(Kind::RevokedId, &[kind, id]), FactName::Until, until);
            }
        }
        for kind in [CLIENT, SUBJECT] {
            if let Some(name) = text(kind) {
                self.revoke_before(number, kind, text("issuer").unwrap_or_default(), name, &record["before"]);
            }
        }
        if let (Some(issuer), None) = (text("issuer"), text(SUBJECT)) {
            self.revoke_before(number, SUBJECT, issuer, ALL_SUBJECTS, &record["before"]);
        }
    }

    fn revoke_before(&mut self, number: i64, kind: &str, issuer: &str, name: &str, before: &Value) {
        if let Some(before) = before.as_i64() {
            let name = Name::new(Kind::RevokedBefore, &[kind, issuer, name]);
            self.raise(number, name, FactName::Before, before);
        }
    }

    /// The later time counts.
    fn raise(&mut self, number: i64, name: Name, fact: FactName, time: i64) {
        match self.fact(&name, &fact) {
            Some(Fact::Number(known)) if known >= time => {}
            Some(_) | None => self.put(number, name, [(fact, Fact::Number(time))].into()),
        }
    }

    fn fact(&self, name: &Name, fact: &FactName) -> Option<Fact> {
        self.things.get(name)?.facts.as_ref()?.get(fact)
    }

    fn put(&mut self, number: i64, name: Name, facts: Facts) {
        self.things.insert(name, Entry { number, facts: Some(facts), is_partial: false });
    }

    /// Changes the recorded state of a thing. One that was removed stays removed: no record has added it again.
    fn set(&mut self, number: i64, name: Name, facts: impl IntoIterator<Item = (FactName, Fact)>) {
        let new = || Entry { number, facts: Some(Facts::default()), is_partial: true };
        let entry = self.things.entry(name).or_insert_with(new);
        let Some(known) = &mut entry.facts else { return };
        entry.number = number;
        for (name, fact) in facts {
            known.set(name, fact);
        }
    }

    fn remove(&mut self, number: i64, name: Name) {
        self.things.insert(name, Entry { number, facts: None, is_partial: false });
    }
}

fn key(id: &str) -> Name {
    Name::new(Kind::Key, &[id])
}

fn texts(array: &Value) -> impl Iterator<Item = &str> {
    array.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The secret that a record names, if it names one.
fn add_secret(facts: &mut Facts, record: &Value) {
    if let Some(id) = record["secret"].as_str() {
        facts.set(FactName::SecretEnd(id.into()), Fact::Nothing);
        let digest = record.get("secret_tag").map_or(Fact::Unknown, Fact::from_json);
        facts.set(FactName::SecretDigest(id.into()), digest);
    }
}
