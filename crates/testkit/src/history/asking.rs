//! Encodes a request of the model for the wire.

use super::cast::{ISSUERS, registration};
use super::player::Player;
use super::site::Site;
use crate::laws::{Asks, By, Credential, Foreign, Presented, Request};
use crate::{Ask, ISSUER, unsecured};
use serde_json::{Map, Value, json};
use tokenberg_core::{Timestamp, TokenType};

/// The audience that is registered for every issuer.
const EVERYBODY: &str = "everybody";

impl<S: Site> Player<S> {
    /// The encoded request.
    pub(super) fn ask_of(&mut self, request: &Request) -> Ask {
        let ask = match &request.asks {
            Asks::Itself => Ask::credentials(),
            Asks::Grant(assertion) => Ask::jwt_bearer(&self.signed(assertion, ISSUER)),
            Asks::Exchange { subject, actor } => {
                // A client without a credential gets its own ID tokens from the provider.
                let audience = match request.by {
                    By::Credential(client)
                        if registration(client, self.tempo).credential == Credential::Public =>
                    {
                        client
                    }
                    By::Credential(_) | By::Identity { .. } | By::Bearer(_) => EVERYBODY,
                };
                let (subject, kind) = self.written(subject, audience);
                let mut ask = Ask::exchange_of(&subject, kind);
                if let Some(actor) = actor {
                    let (actor, kind) = self.written(actor, EVERYBODY);
                    ask = ask.with("actor_token", &actor).with("actor_token_type", kind.as_urn());
                }
                ask
            }
        };
        let mut ask = self.authenticated(ask, request.by);
        if !request.scope.is_empty() {
            ask = ask.with("scope", request.scope);
        }
        for audience in &request.audience {
            ask = ask.with("audience", audience);
        }
        if let Some(key) = request.proven.key {
            let (id, now) = (self.fresh(), self.site.now());
            let now = Timestamp::from_seconds(now).expect("a time of this century");
            ask = ask.dpop(&self.keys.proofs[key].proof(now, &id, &json!({})));
        }
        match request.proven.certificate {
            Some(number) => ask.certificate(self.site.certificate(number)),
            None => ask,
        }
    }

    /// One of the ways in which the client authenticates now, another one each time.
    pub(super) fn way(&self, client: &'static str) -> By {
        let initial = registration(client, self.tempo);
        let own = usize::from(initial.credential != Credential::None);
        let known = self.model.register.client(client).filter(|known| own + known.identities.len() > 0);
        let identities = &known.unwrap_or(&initial).identities;
        match self.made as usize % (own + identities.len()) {
            0 if own > 0 => By::Credential(client),
            number => By::Identity { client, issuer: identities[number - own].0 },
        }
    }

    /// The request, authenticated in this way.
    pub(super) fn authenticated(&mut self, ask: Ask, by: By) -> Ask {
        let now = self.site.now();
        let client = match by {
            By::Bearer(index) => return ask.bearer(&self.model.tokens[index].text),
            By::Identity { client, issuer } => {
                let initial = registration(client, self.tempo);
                let subject = initial.identities.iter().find(|known| known.0 == issuer).map(|known| known.1);
                let claims =
                    json!({"iss": issuer, "sub": subject, "aud": ISSUER, "iat": now, "exp": now + 60});
                return ask.assertion(&self.key_of(issuer).sign(&claims));
            }
            By::Credential(client) => client,
        };
        match registration(client, self.tempo).credential {
            Credential::Secret => ask.basic(client, &self.site.secret(client)),
            Credential::Certificate(_) => ask.with("client_id", client),
            Credential::Key => {
                let id = self.fresh();
                let claims = json!({"iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": id});
                ask.assertion(&self.keys.signer.sign(&claims))
            }
            Credential::None | Credential::Public => ask.with("client_id", client),
        }
    }

    fn written(&self, presented: &Presented, audience: &str) -> (String, TokenType) {
        match presented {
            Presented::Own(index) => (self.model.tokens[*index].text.clone(), TokenType::AccessToken),
            Presented::Foreign(foreign) => {
                let kind = if foreign.issued % 2 == 0 { TokenType::IdToken } else { TokenType::Jwt };
                (self.signed(foreign, audience), kind)
            }
            Presented::Unsecured(name) => {
                let claims =
                    json!({"sub": name, "iat": self.site.now(), "scope": "ns:write", "act": {"sub": "x"}});
                (unsecured(&claims), TokenType::Jwt)
            }
        }
    }

    /// A token of the issuer. Its own claim about scope is ignored.
    fn signed(&self, foreign: &Foreign, audience: &str) -> String {
        let mut claims = json!({"iss": foreign.issuer, "sub": foreign.name, "aud": audience, "iat": foreign.issued,
            "exp": foreign.expires, "scope": "ns:write"});
        if let Some(may_act) = foreign.may_act {
            claims["may_act"] = json!({"sub": may_act.name});
            if let Some(issuer) = may_act.issuer {
                claims["may_act"]["iss"] = issuer.into();
            }
        }
        let [key, certificate] = self.thumbprints(foreign.bound);
        let members = [("jkt", key), ("x5t#S256", certificate)];
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        let cnf: Map<String, Value> = members.collect();
        if !cnf.is_empty() {
            claims["cnf"] = cnf.into();
        }
        self.key_of(foreign.issuer).sign(&claims)
    }

    fn key_of(&self, issuer: &str) -> &crate::ForeignKey {
        &self.keys.issuers[usize::from(issuer != ISSUERS[0])]
    }

    /// An identifier that was not used before.
    fn fresh(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }
}
