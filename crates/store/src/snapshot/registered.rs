//! The clients in memory, by identifier and by foreign identity, cheap to change.

use crate::shards::Shards;
use std::borrow::Borrow;
use std::sync::Arc;
use tokenberg_core::registration::{Federation, SpiffeId, StoredSecret};
use tokenberg_core::{Client, ClientId, Issuer};

/// The clients of one moment. A clone shares everything until one of the two changes.
#[derive(Clone)]
pub(crate) struct Registered {
    by_id: Shards<ById>,
    /// Only of clients with federations; a change of another client does not copy it.
    identities: Arc<Shards<Identity>>,
}

impl Registered {
    /// An empty set with room for this many clients.
    pub(crate) fn with_room_for(clients: usize) -> Self {
        Self { by_id: Shards::with_room_for(clients), identities: Arc::new(Shards::new()) }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.find(id).map(|by_id| &by_id.0)
    }

    /// All clients, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.iter().map(|by_id| &by_id.0)
    }

    /// Disables the client, if there is one.
    pub(crate) fn disable(&mut self, id: &str) {
        if let Some(client) = self.find(id).filter(|client| client.enabled) {
            let mut client = Client::clone(client);
            client.enabled = false;
            self.put(Arc::new(client));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds the client. Replaces one of the same name.
    pub(crate) fn put(&mut self, client: impl Into<Arc<Client>>) {
        let client = client.into();
        if let Some(before) = self.by_id.put(ById(client.clone())) {
            self.disclaim(&before.0);
        }
        for federation in &client.rights.federations {
            self.change(federation, |clients| {
                if !clients.contains(&client.id) {
                    clients.push(client.id.clone());
                }
            });
        }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(before) = self.by_id.remove(id) {
            self.disclaim(&before.0);
        }
    }

    /// Adds a secret to the client, if there is such a client.
    pub(crate) fn add_secret(&mut self, client: &str, secret: StoredSecret) {
        if let Some(by_id) = self.by_id.find_mut(client) {
            Arc::make_mut(&mut by_id.0).secrets.add(secret);
        }
    }

    /// Removes the identities of the client.
    fn disclaim(&mut self, before: &Client) {
        for federation in &before.rights.federations {
            self.change(federation, |clients| clients.retain(|other| *other != before.id));
        }
    }

    fn change(&mut self, federation: &Federation, change: impl FnOnce(&mut Vec<ClientId>)) {
        let name = name(&federation.issuer, &federation.subject);
        let identities = Arc::make_mut(&mut self.identities);
        let mut clients = identities.find(&name).map_or_else(Vec::new, |identity| identity.clients.clone());
        change(&mut clients);
        if clients.is_empty() {
            identities.remove(&name);
        } else {
            identities.put(Identity { name: name.into(), clients });
        }
    }

    /// The one enabled client that the identity authenticates; `None` if two clients have it.
    pub(crate) fn federated(&self, issuer: &Issuer, subject: &str) -> Option<&Arc<Client>> {
        let mut found: Option<&Arc<Client>> = None;
        let mut is_ambiguous = false;
        let mut look = |name: &str| {
            let clients = self.identities.find(name).map_or(&[][..], |identity| &identity.clients);
            for client in clients.iter().filter_map(|id| self.find(id.as_str())).filter(|c| c.enabled) {
                is_ambiguous |= found.is_some_and(|other| other.id != client.id);
                found = Some(client);
            }
        };
        if !issuer.is_spiffe() {
            look(&name(issuer, subject));
        } else if let Ok(id) = subject.parse::<SpiffeId>() {
            look(&name(issuer, subject));
            // spiffe://td/a/b is below spiffe://td/a/* and spiffe://td/*.
            let mut above = id.as_str();
            while let Some((rest, _)) =
                above.rsplit_once('/').filter(|_| above.len() > id.trust_domain().len())
            {
                look(&name(issuer, &format!("{rest}/*")));
                above = rest;
            }
        }
        found.filter(|_| !is_ambiguous)
    }
}

/// One text for both; an issuer has no space.
fn name(issuer: &Issuer, subject: &str) -> String {
    format!("{issuer} {subject}")
}

/// A client that is found by its exact identifier, without a copy of it.
#[derive(Clone)]
struct ById(Arc<Client>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.id.as_str()
    }
}

/// A foreign identity as it is registered, and its clients: one, unless the database was changed by hand.
#[derive(Clone)]
struct Identity {
    name: Box<str>,
    clients: Vec<ClientId>,
}

impl Borrow<str> for Identity {
    fn borrow(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::Rights;
    use tokenberg_core::registration::AllowedScope;

    fn client(id: &str, federations: &[(&str, &str)]) -> Client {
        let federation = |(issuer, subject): &(&str, &str)| Federation {
            issuer: Issuer::foreign(issuer).unwrap(),
            subject: (*subject).into(),
            audience: None,
            uid: None,
        };
        let mut rights = Rights::new(AllowedScope::Every);
        rights.federations = federations.iter().map(federation).collect();
        Client::new(id.parse().unwrap(), Vec::new(), rights)
    }

    const K8S: &str = "https://k8s.test";
    const TD: &str = "spiffe://td.test";

    fn found(registered: &Registered, issuer: &str, subject: &str) -> Option<String> {
        registered.federated(&Issuer::foreign(issuer).unwrap(), subject).map(|c| c.id.to_string())
    }

    #[test]
    fn wl_04_wl_10_an_identity_is_exact_or_below_a_prefix() {
        let mut registered = Registered::with_room_for(0);
        registered.put(client("none", &[]));
        registered.put(client("sa", &[(K8S, "system:serviceaccount:ns:sa"), (K8S, "a/*")]));
        registered.put(client("one", &[(TD, "spiffe://td.test/ns/a")]));
        registered.put(client("below", &[(TD, "spiffe://td.test/ns/b/*")]));
        for (issuer, subject, is) in [
            (K8S, "system:serviceaccount:ns:sa", Some("sa")),
            (K8S, "system:serviceaccount:ns:sa2", None),
            (K8S, "system:serviceaccount:ns:s", None),
            (K8S, "a/*", Some("sa")),
            (K8S, "a/b", None),
            ("https://k8s.tes", "t system:serviceaccount:ns:sa", None),
            ("https://other.test", "system:serviceaccount:ns:sa", None),
            (TD, "spiffe://td.test/ns/a", Some("one")),
            (TD, "spiffe://td.test/ns/a/x", None),
            (TD, "spiffe://td.test/ns/ab", None),
            (TD, "spiffe://td.test/ns/b", None),
            (TD, "spiffe://td.test/ns/b/c", Some("below")),
            (TD, "spiffe://td.test/ns/b/c/d", Some("below")),
            (TD, "spiffe://td.test/ns/bc/d", None),
            (TD, "spiffe://td.test/ns/b/../c", None),
            (TD, "spiffe://td.test/ns/b/*", None),
            (TD, "spiffe://td.test", None),
            ("spiffe://other.test", "spiffe://td.test/ns/a", None),
            (TD, "", None),
        ] {
            assert_eq!(found(&registered, issuer, subject).as_deref(), is, "{issuer} {subject}");
        }
        registered.put(client("whole", &[("spiffe://o.test", "spiffe://o.test/*")]));
        assert_eq!(found(&registered, "spiffe://o.test", "spiffe://o.test/a").as_deref(), Some("whole"));
        assert_eq!(found(&registered, "spiffe://o.test", "spiffe://o.test"), None);
    }

    #[test]
    fn wl_14_an_identity_that_two_enabled_clients_claim_authenticates_neither() {
        let mut registered = Registered::with_room_for(0);
        registered.put(client("a", &[(TD, "spiffe://td.test/x/*")]));
        registered.put(client("b", &[(TD, "spiffe://td.test/x/y")]));
        assert_eq!(found(&registered, TD, "spiffe://td.test/x/y"), None);
        assert_eq!(found(&registered, TD, "spiffe://td.test/x/z").as_deref(), Some("a"));
        let mut disabled = client("b", &[(TD, "spiffe://td.test/x/y")]);
        disabled.enabled = false;
        registered.put(disabled);
        assert_eq!(found(&registered, TD, "spiffe://td.test/x/y").as_deref(), Some("a"));
        registered.put(client("c", &[(TD, "spiffe://td.test/x/y"), (TD, "spiffe://td.test/*")]));
        assert_eq!(found(&registered, TD, "spiffe://td.test/x/y"), None);
        registered.remove("a");
        // A client that is found in two ways is one client.
        assert_eq!(found(&registered, TD, "spiffe://td.test/x/y").as_deref(), Some("c"));
    }

    #[test]
    fn wl_14_a_removed_identity_is_dropped_and_an_older_moment_keeps_it() {
        let mut registered = Registered::with_room_for(0);
        registered.put(client("a", &[(K8S, "x"), (K8S, "y")]));
        let before = registered.clone();
        registered.put(client("a", &[(K8S, "y")]));
        registered.put(client("n", &[]));
        assert_eq!((found(&registered, K8S, "x"), found(&before, K8S, "x").as_deref()), (None, Some("a")));
        registered.put(client("b", &[(K8S, "x")]));
        assert_eq!(found(&registered, K8S, "x").as_deref(), Some("b"));
        registered.remove("a");
        registered.remove("unknown");
        assert_eq!((found(&registered, K8S, "y"), registered.len()), (None, 2));
        assert_eq!(registered.identities.len(), 1);
        let before = registered.clone();
        registered.put(client("n", &[]));
        registered.remove("n");
        assert!(Arc::ptr_eq(&before.identities, &registered.identities), "the index is unaffected");
    }
}
