//! Compares answers with the model.

use super::cast::{CERTIFICATES, WATCH};
use super::player::Player;
use super::site::{Introspected, Site};
use crate::Ask;
use crate::laws::{Asks, Bound, By, Expected, Presented, Principal, Realm, Request};
use std::collections::BTreeSet;
use tokenberg_core::AccessTokenClaims;
use tokenberg_core::token::Thumbprint;

impl<S: Site> Player<S> {
    /// Compares the claims of a token with the required ones.
    pub(super) fn check(&self, request: &Request, expected: &Expected, claims: &AccessTokenClaims) {
        let described = || format!("\n{}\n{claims:?}\n{expected:?}", self.described(request));
        let chain: Vec<Principal> = claims.actor.iter().flat_map(|a| a.chain()).map(actor).collect();
        assert_eq!(expected.client, claims.client_id.as_str(), "another client{}", described());
        assert_eq!(expected.sub, claims.subject.as_str(), "4: another subject{}", described());
        assert_eq!(expected.principal, principal(claims), "4: another principal{}", described());
        assert_eq!(expected.chain, chain, "5, 6: other actors{}", described());
        let marked = claims.to_json().contains_key("amr");
        assert_eq!(expected.principal.realm == Realm::Unsecured, marked, "11: the marker{}", described());
        let scope: BTreeSet<String> = claims.scope.tokens().map(str::to_owned).collect();
        assert_eq!(expected.scope, scope, "1: another scope{}", described());
        let audience: BTreeSet<String> = claims.audience.iter().map(ToString::to_string).collect();
        assert_eq!(expected.audience, audience, "2: another audience{}", described());
        let session = expected.session.as_deref().unwrap_or(claims.token_id.as_str());
        assert_eq!(session, claims.session.id.as_str(), "3: another session{}", described());
        let times = [claims.session.start, claims.session.end, claims.expires_at].map(|at| at.as_seconds());
        assert_eq!(
            [expected.start, expected.end, expected.expires],
            times,
            "3: start, end, exp{}",
            described()
        );
        assert_eq!(self.thumbprints(expected.bound), bound(claims), "7: bound otherwise{}", described());
        let extra: serde_json::Map<_, _> =
            expected.extra.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        assert_eq!(extra, claims.extra.as_map().cloned().unwrap_or_default(), "other claims{}", described());
    }

    /// The thumbprints of the key and the certificate.
    pub(super) fn thumbprints(&self, bound: Bound) -> [Option<String>; 2] {
        let key = bound.key.map(|key| self.keys.proofs[key].thumbprint().as_str().to_owned());
        let of = |number: usize| Thumbprint::of(self.site.certificate(number).thumbprint).as_str().to_owned();
        [key, bound.certificate.map(of)]
    }

    /// The request, and the tokens that it presents.
    pub(super) fn described(&self, request: &Request) -> String {
        let mut described = format!("{request:?} at {}", self.site.now());
        if let Asks::Exchange { subject, actor } = &request.asks {
            for presented in [Some(subject), actor.as_ref()].into_iter().flatten() {
                if let Presented::Own(index) = presented {
                    let token = &self.model.tokens[*index];
                    described += &format!("\n{index}: {token:?} ended: {:?}", self.model.ended(token));
                }
            }
        }
        described
    }

    /// IN-10: introspection and catalogs agree with the outcome of an exchange.
    pub(super) fn look(&mut self, index: usize) {
        self.look_by(index, WATCH);
        let token = self.model.tokens[index].clone();
        let Some(audience) = token.audience.first() else { return };
        let from = self.site.now();
        let Some(accepted) = self.site.is_accepted(&token, audience) else { return };
        let expected = [from, self.site.now()].map(|now| self.model.is_active(&token, now));
        self.tally.looks += 1;
        assert!(
            expected.contains(&accepted),
            "IN-10: accepted by a catalog: {accepted}; {:?}\n{token:?}",
            self.model.unusable(&token, from)
        );
    }

    /// Introspection by this client, which may know of a token that it serves or that is its own (D17).
    pub(super) fn look_by(&mut self, index: usize, client: &'static str) {
        let token = self.model.tokens[index].clone();
        let by = self.way(client);
        let ask = self.authenticated(Ask::token(&token.text), by);
        let certificate = self.certificate_of(client);
        let shows = certificate && self.site.shows_certificates();
        let ask = if shows { ask.certificate(self.site.certificate(0)) } else { ask };
        let from = self.site.now();
        let described = self.site.introspect(&ask);
        self.tally.looks += 1;
        let stands = [from, self.site.now()].map(|now| self.is_authenticated(by, now));
        let registration = self.model.register.client(client);
        let may_know = token.client == client
            || registration.is_some_and(|client| {
                client.serves.iter().any(|audience| token.audience.contains(*audience))
            });
        let expected = [(from, stands[0]), (self.site.now(), stands[1])];
        let expected = expected.map(|(now, stands)| match (stands, may_know) {
            (false, _) => "refused",
            (true, true) if self.model.is_active(&token, now) => "active",
            (true, true | false) => "inactive",
        });
        let was = match described {
            Introspected::Active(_) => "active",
            Introspected::Inactive => "inactive",
            Introspected::Refused => "refused",
        };
        assert!(
            expected.contains(&was),
            "IN-10: {was} to {client}, {:?}\n{token:?} at {from}",
            self.model.unusable(&token, from)
        );
    }

    /// Whether the client authenticates with its certificate.
    fn certificate_of(&self, client: &str) -> bool {
        let credential = super::cast::registration(client, self.tempo).credential;
        credential == crate::laws::Credential::Certificate(CERTIFICATES[0])
    }

    /// Whether the client can be authenticated in this way at the time `now`.
    fn is_authenticated(&self, by: By, now: i64) -> bool {
        let mut request = self.request(by, Asks::Itself, "", None, true);
        // Introspection and revocation ask for no proof of a key.
        request.proven.key = None;
        self.model.authenticated(&request, now).is_ok()
    }

    /// Checks some tokens, different ones each time.
    pub(super) fn look_at_some(&mut self, some: usize) {
        for n in 0..some.max(1) {
            if let Some(index) = self.token(self.made as usize * 7 + n * 3) {
                self.look(index);
            }
        }
    }

    /// RFC 7009: a client revokes a token; its own, or that of another client (D18).
    pub(super) fn revoke_by_client(&mut self, index: usize, by: Option<&'static str>) {
        let token = self.model.tokens[index].clone();
        let reach = match &token.branch {
            Some(_) => "a branch",
            None if token.principal == Principal::client(token.client) => "a session of the client",
            None => "a session for another principal",
        };
        for ended in self.around(|player| player.send_revocation(index, by)) {
            let how = if self.model.tokens[ended].family() == token.family() {
                "of it"
            } else {
                "obtained with it"
            };
            self.note(format!("RFC 7009 revoked {reach}: ended a token {how}"));
        }
    }

    fn send_revocation(&mut self, index: usize, by: Option<&'static str>) {
        let token = self.model.tokens[index].clone();
        let client = by.unwrap_or(token.client);
        let by = self.way(client);
        let ask = self.authenticated(Ask::token(&token.text), by);
        let shows = self.certificate_of(client) && self.site.shows_certificates();
        let ask = if shows { ask.certificate(self.site.certificate(0)) } else { ask };
        let from = self.site.now();
        let accepted = self.site.revoke(&ask);
        let is_unknown = self.model.register.is_key_revoked(&token.key);
        let stands = [from, self.site.now()].map(|now| self.is_authenticated(by, now));
        let is_good = stands.map(|stands| stands && (is_unknown || client == token.client));
        assert!(is_good.contains(&accepted), "RV-04: revoked by {client}: {token:?}");
        if accepted && !is_unknown {
            self.model.revoke_by_client(index);
        }
        self.look(index);
        self.look_at_some(2);
    }
}

fn actor(actor: &tokenberg_core::token::Actor) -> Principal {
    let realm = actor.issuer.as_ref().map_or(Realm::Ours, |issuer| known(issuer.as_str()));
    Principal::new(realm, actor.subject.as_str())
}

fn principal(claims: &AccessTokenClaims) -> Principal {
    let realm = match &claims.session.subject_issuer {
        Some(issuer) => known(issuer.as_str()),
        None if claims.session.unsecured => Realm::Unsecured,
        None => Realm::Ours,
    };
    Principal::new(realm, claims.issuer_subject().as_str())
}

fn known(issuer: &str) -> Realm {
    super::cast::ISSUERS.into_iter().find(|known| *known == issuer).map_or(Realm::Ours, Realm::Of)
}

fn bound(claims: &AccessTokenClaims) -> [Option<String>; 2] {
    let text = |thumbprint: &Option<Thumbprint>| thumbprint.as_ref().map(|it| it.as_str().to_owned());
    claims.confirmation.as_ref().map(|cnf| [text(&cnf.key), text(&cnf.certificate)]).unwrap_or_default()
}
