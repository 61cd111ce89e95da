//! What would have to change for a client to authenticate, as far as the record of its refused request says it.

use super::command::{about, fit};
use super::record::{Record, whole};
use super::right_remedy::federate;
use crate::{Answers, AuthMethod, Client, ClientId, Issuer};
use serde_json::Value;

/// A sentence without its end.
pub(super) fn remedy(record: Record<'_>, ours: &Issuer, answers: &(impl Answers + ?Sized)) -> String {
    let named: Option<ClientId> = record.text("client").and_then(|id| id.parse().ok());
    let known = named.as_ref().and_then(|id| answers.client(id));
    let presented = Assertion::of(record);
    match (known, presented) {
        (Some(known), presented) => of_registered(&known, presented.as_ref(), ours),
        (None, Some(presented)) => presented.unknown(ours, answers),
        (None, None) if record.text("client").is_some() => {
            "the operator has to compare the identifier with `tokenberg client list`, in this store, and register it with \
             tokenberg client add ID if it is missing"
                .to_owned()
        }
        (None, None) => {
            "the client has to send its credential: Authorization: Basic, client_secret or client_assertion".to_owned()
        }
    }
}

fn of_registered(known: &Client, presented: Option<&Assertion<'_>>, ours: &Issuer) -> String {
    let command = |name: &str| about(&format!("tokenberg client {name}"), known.id.as_str(), "");
    let show = command("show");
    match known.rights.auth_method {
        AuthMethod::ClientSecret => format!(
            "the client has to send a live secret; `{show}` lists them, and `{}` makes another one",
            command("secret add")
        ),
        AuthMethod::PrivateKeyJwt => format!(
            "the client has to sign its assertion with a registered key; `{show}` lists the keys, and `{}` makes another one",
            about("tokenberg client key new", known.id.as_str(), " --out FILE")
        ),
        AuthMethod::TlsClientAuth => {
            format!("the client has to connect with a valid certificate of its name; `{show}` shows the name")
        }
        AuthMethod::Public => format!(
            "the client {} has no credential, so it has to exchange an ID token that was issued to it, and send its \
             client_id in the form, without a secret",
            known.id
        ),
        AuthMethod::Federated => match presented {
            Some(presented) => presented.of_client(known, ours),
            None => format!(
                "the client has to send one of its identities as client_assertion; `{show}` lists them"
            ),
        },
    }
}

/// The identity that a request presented as its client, which may not have been verified.
struct Assertion<'a> {
    issuer: Issuer,
    subject: &'a str,
    audience: Option<&'a str>,
}

impl<'a> Assertion<'a> {
    fn of(record: Record<'a>) -> Option<Self> {
        let token = record.list("presented").find(|token| token["parameter"] == "client_assertion")?;
        let claim = |name: &str| token.get(name).and_then(Value::as_str).and_then(whole).and_then(fit);
        let audience = claim("aud").filter(|audience| !audience.starts_with('['));
        Some(Self { issuer: claim("iss")?.parse().ok()?, subject: claim("sub")?, audience })
    }

    fn of_client(&self, known: &Client, ours: &Issuer) -> String {
        let Self { issuer, subject, audience } = self;
        let registered = known.rights.federations.iter().find(|known| known.is_of(issuer, subject));
        let Some(registered) = registered else {
            return format!("`{}`", federate(known.id.as_str(), issuer, subject, &[]));
        };
        let accepted = registered.audience.as_deref().unwrap_or(ours.as_str());
        match audience.filter(|audience| *audience != accepted) {
            Some(audience) => {
                let more = [("--audience", Some(audience)), ("--uid", registered.uid.as_deref())];
                format!(
                    "the workload has to request its token for {accepted}; or, if only this server accepts that audience, `{}`",
                    federate(known.id.as_str(), issuer, &registered.subject, &more)
                )
            }
            None => "the workload has to send a valid token of this identity; the reason of the decision has the fault"
                .to_owned(),
        }
    }

    /// The remedy where no client is known.
    fn unknown(&self, ours: &Issuer, answers: &(impl Answers + ?Sized)) -> String {
        let Self { issuer, subject, .. } = self;
        if answers.issuer(issuer.as_str()).is_none() {
            return format!(
                "the operator has to trust {issuer} (tokenberg issuer add), if the client is a workload of it"
            );
        }
        match answers.federated(issuer, subject) {
            Some(client) => self.of_client(&client, ours),
            None => format!(
                "the operator has to register the identity for a client: {}",
                federate("ID", issuer, subject, &[])
            ),
        }
    }
}
