//! Makes changes again that a restore lost, from exported lines of the audit: only those that restrict something.

use crate::moment_text;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use tokenberg_core::{ClientId, Issuer, Subject, Timestamp};
use tokenberg_store::{NewRevocation, Store, StoreError};

/// Records of changes, in the order of the file.
pub(crate) struct Records(Vec<Record>);

struct Record {
    number: i64,
    /// Milliseconds since 1970.
    at: i64,
    fields: Value,
}

/// What was made again.
#[derive(Default)]
pub(crate) struct Replayed {
    /// A clause for each change that was made.
    pub(crate) applied: Vec<String>,
    /// The same for each change of something that the restored store does not have.
    pub(crate) absent: Vec<String>,
}

/// Reads lines as `tokenberg audit` prints them; `-` is standard input.
///
/// # Errors
/// If they cannot be read, or one is no record.
pub(crate) fn read(path: &Path) -> anyhow::Result<Records> {
    let failed = || format!("cannot read {}", path.display());
    let lines: Box<dyn BufRead> = if path.as_os_str() == OsStr::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).with_context(failed)?))
    };
    let mut records = Vec::new();
    for (at, line) in (1..).zip(lines.lines()) {
        let line = line.with_context(failed)?;
        if !line.trim().is_empty() {
            let record = record(&line).with_context(|| {
                format!("line {at} of {} is no line of `tokenberg audit`", path.display())
            })?;
            records.extend(record);
        }
    }
    Ok(Records(records))
}

/// The record of a line, if it is about a change.
fn record(line: &str) -> Option<Option<Record>> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let (chain, number) = (fields["chain"].as_str()?, fields["number"].as_i64()?);
    let at = fields["time"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let is_change = chain == "installation" && fields["change"].is_string();
    Some(is_change.then_some(Record { number, at, fields }))
}

/// The last known state of clients or issuers.
#[derive(Default)]
struct Fate {
    is_disabled: bool,
    is_removed: bool,
}

/// The restrictions that the lost records add up to. Something that was disabled and enabled again is not among them.
#[derive(Default)]
struct Restrictions {
    revocations: Vec<(String, NewRevocation)>,
    secrets: Vec<(ClientId, String, Timestamp)>,
    clients: BTreeMap<ClientId, Fate>,
    issuers: BTreeMap<String, Fate>,
    subjects: BTreeMap<(Option<String>, String), bool>,
}

/// Makes the restrictions again that the store does not have.
///
/// # Errors
/// If the store fails, or a record has a name or a time that is none.
pub(crate) async fn apply(store: &Store, records: Records, now: Timestamp) -> anyhow::Result<Replayed> {
    let mut restrictions = Restrictions::default();
    for record in &records.0 {
        if !store.has_change(record.number, record.at).await? {
            let read = restrictions.read(&record.fields);
            read.with_context(|| format!("cannot read record {} of the chain installation", record.number))?;
        }
    }
    let Restrictions { revocations, secrets, clients, issuers, subjects } = restrictions;
    let mut done = Replayed::default();
    for (what, revocation) in revocations {
        done.note(what, store.revoke(&revocation).await)?;
    }
    for (client, secret, until) in secrets {
        let what = format!("secret {secret} of client {client} ends at {}", moment_text::written(until));
        done.note(what, store.expire_secret(&client, &secret, until).await)?;
    }
    for (client, fate) in clients {
        if fate.is_removed {
            done.note(format!("client {client} is removed"), store.remove_client(now, &client).await)?;
        } else if fate.is_disabled {
            done.note(format!("client {client} is disabled"), store.set_enabled(&client, false).await)?;
        }
    }
    for ((issuer, subject), _) in subjects.into_iter().filter(|(_, is_disabled)| *is_disabled) {
        let of = issuer.as_ref().map_or_else(String::new, |issuer| format!(" of {issuer}"));
        let issuer = issuer.map(|issuer| issuer.parse::<Issuer>()).transpose()?;
        let disabled = store.disable_subject(now, issuer.as_ref(), &subject.parse()?).await;
        done.note(format!("user {subject}{of} is disabled"), disabled)?;
    }
    for (issuer, fate) in issuers {
        let name: Issuer = issuer.parse()?;
        if fate.is_removed {
            done.note(format!("issuer {issuer} is removed"), store.remove_issuer(now, &name).await)?;
        } else if fate.is_disabled {
            done.note(format!("issuer {issuer} is disabled"), store.set_issuer_enabled(&name, false).await)?;
        }
    }
    Ok(done)
}

impl Replayed {
    fn note(&mut self, what: String, done: Result<(), StoreError>) -> anyhow::Result<()> {
        match done {
            Ok(()) => self.applied.push(what),
            Err(
                StoreError::NoSuchClient { .. }
                | StoreError::NoSuchSecret { .. }
                | StoreError::NoSuchIssuer { .. },
            ) => self.absent.push(what),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Restrictions {
    fn read(&mut self, record: &Value) -> anyhow::Result<()> {
        let text = |name: &str| record[name].as_str();
        let time =
            |name: &str| Ok(Timestamp::from_seconds(record[name].as_i64().context("a time is missing")?)?);
        let client =
            || -> anyhow::Result<ClientId> { Ok(text("client").context("the client is missing")?.parse()?) };
        let issuer = || text("issuer").context("the issuer is missing").map(str::to_owned);
        match text("change").unwrap_or_default() {
            "client disabled" => self.clients.entry(client()?).or_default().is_disabled = true,
            "client enabled" => self.clients.entry(client()?).or_default().is_disabled = false,
            "client removed" => self.clients.entry(client()?).or_default().is_removed = true,
            "issuer disabled" => self.issuers.entry(issuer()?).or_default().is_disabled = true,
            "issuer enabled" => self.issuers.entry(issuer()?).or_default().is_disabled = false,
            "issuer removed" => self.issuers.entry(issuer()?).or_default().is_removed = true,
            change @ ("subject disabled" | "subject enabled") => {
                let subject = text("subject").context("the subject is missing")?.to_owned();
                let issuer = text("issuer").filter(|issuer| !issuer.is_empty()).map(str::to_owned);
                self.subjects.insert((issuer, subject), change == "subject disabled");
            }
            "secret end set" => {
                let secret = text("secret").context("the secret is missing")?.to_owned();
                self.secrets.push((client()?, secret, time("until")?));
            }
            "revoked" => self.read_revocation(record, time)?,
            _ => {}
        }
        Ok(())
    }

    /// Revocations of single tokens and sessions are left out: the keys that signed these are gone.
    fn read_revocation(
        &mut self,
        record: &Value,
        time: impl Fn(&str) -> anyhow::Result<Timestamp>,
    ) -> anyhow::Result<()> {
        let text = |name: &str| record[name].as_str();
        let issuer = text("issuer").map(str::parse::<Issuer>).transpose()?;
        let (what, revocation) = match (text("client"), text("subject"), issuer) {
            (Some(id), _, _) => {
                (format!("client {id}"), NewRevocation::Client { id: id.parse()?, before: time("before")? })
            }
            (None, Some(name), issuer) => {
                let subject: Subject = name.parse()?;
                (format!("user {name}"), NewRevocation::Subject { issuer, subject, before: time("before")? })
            }
            (None, None, Some(issuer)) => {
                (format!("users of {issuer}"), NewRevocation::Issuer { issuer, before: time("before")? })
            }
            (None, None, None) => return Ok(()),
        };
        self.revocations.push((format!("tokens of {what} are revoked"), revocation));
        Ok(())
    }
}
