//! Records acknowledged changes, and checks that they still hold.

use crate::load::Asking;
use crate::site::ROOT;
use std::sync::Mutex;

/// A fact that was acknowledged to a client.
#[derive(Clone)]
pub enum Fact {
    /// The token was revoked.
    Revoked(String),
    /// The request with this assertion was granted.
    Used(String),
    /// The client has this secret.
    Client(String, String),
    /// The client is disabled, and this was its secret.
    Disabled(String, String),
}

/// All facts, each checked once after it was noted, and once more at the end.
#[derive(Default)]
pub struct Facts {
    all: Mutex<Vec<Fact>>,
    fresh: Mutex<Vec<Fact>>,
}

impl Facts {
    pub fn note(&self, fact: Fact) {
        self.fresh.lock().unwrap().push(fact);
    }

    pub fn len(&self) -> usize {
        self.all.lock().unwrap().len() + self.fresh.lock().unwrap().len()
    }

    /// A client that was added and is not disabled.
    pub fn a_client(&self) -> Option<(String, String)> {
        let mut fresh = self.fresh.lock().unwrap();
        let at = fresh.iter().position(|fact| matches!(fact, Fact::Client(..)))?;
        match fresh.remove(at) {
            Fact::Client(id, secret) => Some((id, secret)),
            Fact::Revoked(_) | Fact::Used(_) | Fact::Disabled(..) => None,
        }
    }

    /// Checks whether those that were noted lately still hold.
    pub fn check_fresh(&self, asking: &Asking<'_>, url: &str) {
        let fresh = std::mem::take(&mut *self.fresh.lock().unwrap());
        check(&fresh, asking, url);
        self.all.lock().unwrap().extend(fresh);
    }

    /// Checks all facts once more.
    pub fn check_all(&self, asking: &Asking<'_>, url: &str) {
        self.check_fresh(asking, url);
        check(&self.all.lock().unwrap(), asking, url);
    }

    /// Checks all facts that a check leaves as they are: an assertion that is accepted again is used from then on.
    pub fn check_lasting(&self, asking: &Asking<'_>, url: &str) {
        let fresh = self.fresh.lock().unwrap();
        let lasting: Vec<Fact> = self.all.lock().unwrap().iter().chain(&*fresh).cloned().collect();
        let lasting: Vec<Fact> = lasting.into_iter().filter(|fact| !matches!(fact, Fact::Used(_))).collect();
        check(&lasting, asking, url);
    }
}

fn check(facts: &[Fact], asking: &Asking<'_>, url: &str) {
    let tokens = format!("{url}/v1/oauth/tokens");
    let credentials = |id: &str, secret: &str| {
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
    };
    for fact in facts {
        match fact {
            Fact::Revoked(token) => {
                asking.about(url, "introspect", token, ROOT, Some(false));
            }
            Fact::Used(form) => {
                asking.expect(&tokens, form, |status, _| status == 401);
            }
            Fact::Client(id, secret) => {
                asking.expect(&tokens, &credentials(id, secret), |status, _| status == 200);
            }
            Fact::Disabled(id, secret) => {
                asking.expect(&tokens, &credentials(id, secret), |status, _| status == 401);
            }
        }
    }
}
