//! Runs histories in the scripted world: the core alone, with a controlled clock.

use super::cast::{CERTIFICATES, Tempo};
use super::event::Event;
use super::player::{Keys, Player};
use super::site::{Introspected, Outcome, Reply, Site};
use crate::foreign::{certificate, trusted};
use crate::laws::{Change, Credential, HouseRules, Principal, Realm, Registration, Terms, Token};
use crate::{Answer, Ask, ForeignKey, ISSUER, World, client};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokenberg_core::answers::{SubjectStatus, TokenStatus};
use tokenberg_core::issuer::SubjectNames;
use tokenberg_core::registration::{CertificateName, Federation};
use tokenberg_core::token::Possession;
use tokenberg_core::{
    AccessTokenClaims, Answers, AuthMethod, Client, CompactJws, GrantType, Introspection, Issuer, Lifetime,
    PeerCertificate, Revocation, TokenVerification, TrustedIssuer,
};

/// A history in a separate world.
pub struct History(Player<OnWorld>);

impl History {
    /// A world in which everything is registered, and nothing has happened.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::in_world(World::new())
    }

    /// The same, where an embedding program decides, too, by [`HouseRules`].
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn with_hook() -> Self {
        let mut world = World::new();
        world.endpoint = world.endpoint.decided_by(Arc::new(HouseRules));
        let mut history = Self::in_world(world);
        history.0.model.has_hook = true;
        history
    }

    fn in_world(mut world: World) -> Self {
        let keys = Keys::default();
        let [idp, q] = [keys.issuers[0].jwks(), keys.issuers[1].jwks()];
        // The clock may be set back, and the key has to be older than that.
        world.pass(3600);
        ["c1", "c2"].into_iter().for_each(|id| world.unregister(id));
        let jwks = BTreeMap::from([(super::IDP, idp), (super::Q, q)]);
        let site = OnWorld { world, jwks, signer: keys.signer.jwks() };
        Self(Player::new(site, keys, Tempo { token: 3600, session: 4 * 3600 }, "w", 12))
    }

    /// Plays one event.
    ///
    /// # Panics
    /// If an answer is not what the laws say.
    pub fn play(&mut self, event: &Event) {
        self.0.play(event);
    }

    /// The player, with its expectations and its results.
    #[must_use]
    pub fn player(&self) -> &Player<OnWorld> {
        &self.0
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

/// The scripted world as the site of a history.
pub struct OnWorld {
    world: World,
    jwks: BTreeMap<&'static str, Box<str>>,
    signer: Box<str>,
}

impl Site for OnWorld {
    fn now(&self) -> i64 {
        self.world.now.as_seconds()
    }

    fn ask(&mut self, ask: &Ask) -> Reply {
        let (now, minted) = (self.now(), self.world.minted());
        let outcome = match self.world.check(ask.clone()) {
            Answer::Ok(granted) => Outcome::Granted {
                token: granted.response.access_token.expose().to_owned(),
                claims: Box::new(granted.claims.clone()),
            },
            Answer::Refused(refusal, _) => {
                assert_eq!(self.world.minted(), minted, "a refusal mints nothing");
                Outcome::Refused(refusal.to_string())
            }
            Answer::Outage(outage) => panic!("{outage}"),
        };
        Reply { from: now, to: now, outcome }
    }

    fn introspect(&mut self, ask: &Ask) -> Introspected {
        match self.world.introspect(ask) {
            Ok(active @ Introspection::Active(_)) => {
                Introspected::Active(serde_json::from_str(&active.to_json()).expect("it is JSON"))
            }
            Ok(Introspection::Inactive(_)) => Introspected::Inactive,
            Err(_) => Introspected::Refused,
        }
    }

    fn revoke(&mut self, ask: &Ask) -> bool {
        self.world.revoke(ask).is_ok()
    }

    fn is_accepted(&mut self, token: &Token, audience: &str) -> Option<bool> {
        let verification = TokenVerification::new(ISSUER.parse().unwrap(), vec![audience.into()]);
        let framed = CompactJws::parse(&token.text).unwrap();
        let cnf = AccessTokenClaims::read(framed.unverified_payload()).unwrap().confirmation;
        let possession =
            cnf.map(|cnf| Possession { key: cnf.key, certificate: cnf.certificate }).unwrap_or_default();
        let verified = self.world.keys().verify(&framed, self.world.now);
        let claims = verification.claims(&framed, verified, self.world.now, &possession);
        let accepted = claims.and_then(|claims| {
            let status = TokenStatus::of(&self.world, &claims);
            verification.recalled(claims, status)
        });
        Some(accepted.is_ok())
    }

    fn change(&mut self, change: &Change, token: Option<&Token>) -> i64 {
        let revokes_before = matches!(
            change,
            Change::RemoveClient { .. }
                | Change::RemoveIssuer { .. }
                | Change::RevokeClient { .. }
                | Change::RevokeSubject { .. }
                | Change::RevokeIssuer { .. }
        );
        if revokes_before {
            // As the command line does: the next second, so that all that was issued is from before.
            self.world.pass(1);
        }
        let before = self.now();
        match change {
            Change::Client { id, registration } => {
                let client = self.client_of(id, registration);
                self.world.register(client);
            }
            Change::EnableClient { id, enabled } => self.world.change(id, |c| c.enabled = *enabled),
            Change::RemoveClient { id } => {
                self.world.unregister(id);
                self.world.before.removed_client(id, before);
            }
            Change::Identity { client, issuer, subject, stands } => self.world.change(client, |client| {
                let federations = &mut client.rights_mut().federations;
                let is_it = |known: &Federation| known.is_of(&Issuer::foreign(issuer).unwrap(), subject);
                federations.retain(|known| !is_it(known));
                federations.extend(stands.then(|| federation(issuer, subject)));
            }),
            Change::Issuer { issuer, terms } => self.trust(issuer, terms),
            Change::EnableIssuer { issuer, enabled } => {
                let known = self.world.issuers.iter_mut().find(|known| known.issuer.as_str() == *issuer);
                known.expect("the issuer is trusted").enabled = *enabled;
            }
            Change::RemoveIssuer { issuer } => {
                self.world.issuers.retain(|known| known.issuer.as_str() != *issuer);
                self.world.before.issuer(issuer, before);
            }
            Change::Subject { principal, others, disabled } => {
                self.shut_out(principal, *disabled);
                for name in others {
                    self.shut_out(&Principal::new(principal.realm, name), *disabled);
                }
            }
            Change::RevokeToken { .. } => {
                let session = tokenberg_core::TokenId::parse(&token.expect("a token is named").session);
                self.world.revoked.push(Revocation::Session(session.expect("a session of ours")));
            }
            Change::RevokeClient { id, ago } => {
                self.world.before.client(id, before - ago);
                return before - ago;
            }
            Change::RevokeSubject { realm, name, others, ago } => {
                let issuer = |realm: Realm| match realm {
                    Realm::Of(issuer) => issuer,
                    Realm::Ours | Realm::Unsecured => ISSUER,
                };
                self.world.before.subject(realm.map(issuer), name, before - ago);
                for (realm, name) in others {
                    self.world.before.subject(Some(issuer(*realm)), name, before - ago);
                }
                return before - ago;
            }
            Change::RevokeIssuer { issuer, ago } => {
                self.world.before.issuer(issuer, before - ago);
                return before - ago;
            }
            Change::RotateKey => self.world.rotate(),
            Change::RevokeKey { .. } => self.world.revoke_key(&token.expect("a token is named").key),
        }
        before
    }

    fn pass(&mut self, seconds: i64) {
        self.world.pass(u32::try_from(seconds).unwrap_or(0));
    }

    fn step_back(&mut self, seconds: u32) -> bool {
        let back = self.now() - i64::from(seconds);
        self.world.now = tokenberg_core::Timestamp::from_seconds(back).unwrap();
        true
    }

    fn restart(&mut self, _: bool) {}

    fn secret(&self, client: &str) -> String {
        format!("secret of {client}")
    }

    fn shows_certificates(&self) -> bool {
        true
    }

    fn certificate(&self, number: usize) -> PeerCertificate {
        certificate(CERTIFICATES[number], u8::try_from(number).unwrap_or(0))
    }
}

impl OnWorld {
    fn client_of(&self, id: &str, registration: &Registration) -> Client {
        let mut client = client(id, &self.secret(id), registration.scope);
        client.enabled = registration.enabled;
        let rights = Arc::make_mut(&mut client.rights);
        let seconds = |seconds: i64| Lifetime::from_seconds(u32::try_from(seconds).unwrap_or(0));
        rights.grants =
            GrantType::ALL.into_iter().zip(registration.grants).filter(|g| g.1).map(|g| g.0).collect();
        rights.audiences = registration.audiences.iter().map(|audience| (*audience).into()).collect();
        rights.token_lifetime = seconds(registration.token_lifetime);
        rights.session_lifetime = seconds(registration.session_lifetime);
        let patterns = |patterns: &[crate::laws::Pattern]| {
            patterns.iter().map(|pattern| pattern.to_string().parse().unwrap()).collect()
        };
        rights.may_act_for = patterns(&registration.may_act_for);
        rights.may_impersonate = patterns(&registration.may_impersonate);
        rights.may_assert_users =
            registration.may_assert_users.iter().map(|user| user.parse().unwrap()).collect();
        rights.serves = registration.serves.iter().map(|audience| (*audience).into()).collect();
        rights.dpop_bound = registration.dpop_bound;
        rights.federations = registration.identities.iter().map(|(i, s)| federation(i, s)).collect();
        match registration.credential {
            Credential::Secret => {}
            Credential::Certificate(subject) => {
                client.secrets = Vec::new().into();
                rights.auth_method = AuthMethod::TlsClientAuth;
                rights.certificate = Some(CertificateName::Subject(subject.into()));
            }
            Credential::Key => {
                client.secrets = Vec::new().into();
                rights.auth_method = AuthMethod::PrivateKeyJwt;
                rights.jwks = Some(self.signer.clone());
            }
            Credential::None => {
                client.secrets = Vec::new().into();
                rights.auth_method = AuthMethod::Federated;
            }
            Credential::Public => {
                client.secrets = Vec::new().into();
                rights.auth_method = AuthMethod::Public;
            }
        }
        client
    }

    fn trust(&mut self, issuer: &'static str, terms: &Terms) {
        let mut new = trusted(issuer, &ForeignKey::new(None));
        new.enabled = terms.enabled;
        new.trust.keys = tokenberg_core::KeySource::Jwks(self.jwks[issuer].clone());
        let all = tokenberg_core::issuer::AcceptedAs::ALL.to_vec();
        new.trust.accept = if terms.names_subjects { all } else { Vec::new() };
        new.trust.leeway = Lifetime::from_seconds(5);
        new.trust.audiences = vec!["everybody".into()];
        new.trust.scope = terms.scope.parse().unwrap();
        new.trust.subject_prefix = terms.prefix.map(Into::into);
        new.trust.subject_names = if terms.shared { SubjectNames::Shared } else { SubjectNames::Separate };
        new.trust.outlives_subject = terms.outlives;
        match self.world.issuers.iter_mut().find(|known| known.issuer == new.issuer) {
            Some(known) => *known = TrustedIssuer { ..new },
            None => self.world.issuers.push(new),
        }
    }

    fn shut_out(&mut self, principal: &Principal, disabled: bool) {
        let issuer = match principal.realm {
            Realm::Of(issuer) => issuer.parse().ok(),
            Realm::Ours | Realm::Unsecured => None,
        };
        self.world.subjects.retain(|known| known.0 != issuer || known.1 != principal.name);
        let status = SubjectStatus { disabled, ..SubjectStatus::default() };
        self.world.subjects.push((issuer, principal.name.clone(), status));
    }
}

fn federation(issuer: &str, subject: &str) -> Federation {
    let issuer = Issuer::foreign(issuer).unwrap();
    Federation { issuer, subject: subject.into(), audience: None, uid: None }
}
