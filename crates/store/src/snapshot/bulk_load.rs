//! Reads whole tables at a start, as few long texts: each row that a database returns separately costs microseconds.

use crate::database::time;
use crate::error::StoreError;
use crate::hex::from_hex;
use crate::registrations::{KnownRights, WrittenRights};
use crate::revocations::RevokedIds;
use crate::snapshot::registered::Registered;
use std::collections::VecDeque;
use std::sync::Arc;
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::text::ShortText;
use tokenberg_core::{Client, SecretDigest};

// The separators of fields and of records in the statements of `Dialect`. Neither identifiers nor JSON contain these control
// characters, so a row that does is damaged.
const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// Collects all clients: first the clients, then their secrets.
pub(crate) struct AllClients<'a> {
    /// Clients whose secrets are not read yet, in the order in which they were read.
    waiting: VecDeque<Arc<Client>>,
    registered: Registered,
    /// Secrets that were not read in the order of their clients.
    strays: Vec<(ShortText, StoredSecret)>,
    rights: WrittenRights<'a>,
    count: i64,
}

/// How many clients are searched for that of a secret. If it is not among them, it is looked up later.
const AHEAD: usize = 8;

impl<'a> AllClients<'a> {
    /// Makes room for `count` clients.
    pub(crate) fn new(count: i64, known: &'a KnownRights) -> Self {
        let expected = usize::try_from(count).unwrap_or(0);
        Self {
            waiting: VecDeque::with_capacity(expected),
            registered: Registered::with_room_for(expected),
            strays: Vec::new(),
            rights: WrittenRights::new(known),
            count,
        }
    }

    pub(crate) fn add(&mut self, records: &str) -> Result<(), StoreError> {
        for record in records.split(RECORD) {
            let [id, enabled, rights] = fields(record, "the client")?;
            let damaged = || StoreError::damaged(format!("the client {id:?}"));
            let (name, rights) = (id.parse().map_err(|_| damaged())?, self.rights.read(rights, id)?);
            let mut client = Client::new(name, Vec::new(), rights);
            client.enabled = enabled.parse::<i64>().map_err(|_| damaged())? != 0;
            self.waiting.push_back(Arc::new(client));
        }
        Ok(())
    }

    pub(crate) fn add_secrets(&mut self, records: &str) -> Result<(), StoreError> {
        for record in records.split(RECORD) {
            let [client, id, digest, expires_at] = fields(record, "a secret of the client")?;
            let damaged = || StoreError::damaged(format!("a secret of the client {client:?}"));
            let digest = SecretDigest(from_hex(digest).ok_or_else(damaged)?);
            let expires_at = match expires_at {
                "" => None,
                end => Some(time(end.parse().map_err(|_| damaged())?)?),
            };
            let secret = StoredSecret { id: id.into(), digest, expires_at };
            match self.next(client) {
                Some(client) => client.secrets.add(secret),
                None => self.strays.push((client.into(), secret)),
            }
        }
        Ok(())
    }

    /// Takes the client if it is one of the next: secrets mostly have the order of their clients, and a look-up costs more.
    fn next(&mut self, id: &str) -> Option<&mut Client> {
        let before = self.waiting.iter().take(AHEAD).position(|client| client.id.as_str() == id)?;
        self.waiting.drain(..before).for_each(|client| self.registered.put(client));
        self.waiting.front_mut().and_then(Arc::get_mut)
    }

    /// Returns all clients, if as many were read as exist.
    pub(crate) fn finish(mut self) -> Result<Registered, StoreError> {
        self.waiting.drain(..).for_each(|client| self.registered.put(client));
        for (client, secret) in self.strays {
            self.registered.add_secret(client.as_str(), secret);
        }
        let came = i64::try_from(self.registered.len()).unwrap_or(i64::MAX);
        if came == self.count {
            Ok(self.registered)
        } else {
            Err(StoreError::damaged("the table of clients"))
        }
    }
}

/// Adds the revocations.
pub(crate) fn add_revoked_ids(revoked: &mut RevokedIds, records: &str) -> Result<(), StoreError> {
    records.split(RECORD).try_for_each(|record| {
        let [kind, id] = fields(record, "the revocation")?;
        revoked.add(kind, id)
    })
}

/// Splits a record into its fields. If there are more or fewer, the error contains the first field.
fn fields<'a, const N: usize>(record: &'a str, what: &str) -> Result<[&'a str; N], StoreError> {
    let mut split = record.split(FIELD);
    let fields = [(); N].map(|()| split.next());
    match fields.iter().all(Option::is_some) && split.next().is_none() {
        true => Ok(fields.map(Option::unwrap_or_default)),
        false => Err(StoreError::damaged(format!("{what} {:?}", fields[0].unwrap_or_default()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::Rights;
    use tokenberg_core::registration::AllowedScope;

    fn rights() -> String {
        serde_json::to_string(&Rights::new(AllowedScope::Every)).unwrap()
    }

    fn fault(outcome: Result<(), StoreError>) -> String {
        outcome.map_or_else(|fault| fault.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn a_record_with_missing_or_surplus_fields_is_damaged_and_named() {
        let known = KnownRights::default();
        let mut all = AllClients::new(1, &known);
        let rights = rights();
        for (record, named) in [
            (format!("c1\u{1f}1\u{1f}{rights}\u{1f}"), r#"the client "c1""#),
            ("c1\u{1f}1".to_owned(), r#"the client "c1""#),
            (String::new(), r#"the client """#),
            (format!("c1\u{1f}yes\u{1f}{rights}"), r#"the client "c1""#),
            (format!("\u{1f}1\u{1f}{rights}"), r#"the client """#),
            (format!("é\u{1f}1\u{1f}{rights}"), r#"the client "é""#),
            (format!("c0\u{1f}1\u{1f}{rights}\u{1e}c1\u{1f}1\u{1f}{{}}"), r#"the client "c1""#),
        ] {
            let is = fault(all.add(&record));
            assert_eq!(is, format!("the store is damaged: {named} cannot be read"));
        }
        let digest = "0aF9".repeat(16);
        for secret in [
            format!("c1\u{1f}s\u{1f}{digest}"),
            format!("c1\u{1f}s\u{1f}{}\u{1f}", &digest[2..]),
            format!("c1\u{1f}s\u{1f}{}\u{1f}", digest.replace('F', "g")),
            format!("c1\u{1f}s\u{1f}{digest}\u{1f}soon"),
        ] {
            let is = fault(all.add_secrets(&secret));
            assert_eq!(is, r#"the store is damaged: a secret of the client "c1" cannot be read"#);
        }
        all.add_secrets(&format!("c0\u{1f}s\u{1f}{digest}\u{1f}\u{1e}unknown\u{1f}s\u{1f}{digest}\u{1f}7"))
            .unwrap_or_else(|e| panic!("{e}"));
        let registered = all.finish().unwrap_or_else(|e| panic!("{e}"));
        let secret = &registered.find("c0").unwrap().secrets[0];
        assert_eq!((secret.id.as_str(), &secret.digest.0[..3]), ("s", &[0x0a, 0xf9, 0x0a][..]));
        let mut revoked = RevokedIds::new();
        for bad in ["token", "token\u{1f}a\u{1f}b", "what\u{1f}a"] {
            assert!(add_revoked_ids(&mut revoked, bad).is_err());
        }
    }

    #[test]
    fn a_missing_client_is_detected() {
        let known = KnownRights::default();
        let mut all = AllClients::new(2, &known);
        all.add(&format!("c1\u{1f}1\u{1f}{}", rights())).unwrap_or_else(|e| panic!("{e}"));
        assert!(all.finish().is_err());
    }
}
