//! The server as the site of a history: its process, its socket, and the command line beside it.

use crate::commands;
use crate::following::Following;
use crate::identities::{Identities, TLS};
use crate::mutations;
use crate::support::{Place, Server};
use crate::wire::{Answer, Sent, Wire, check};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokenberg_core::{AccessTokenClaims, CompactJws, PeerCertificate, Timestamp};
use tokenberg_testkit::history::{CERTIFICATES, Introspected, Keys, Outcome, Reply, Site};
use tokenberg_testkit::laws::{Change, Token};
use tokenberg_testkit::{Ask, ISSUER, SeededBytes};

/// The number of requests, by outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub requests: usize,
    pub granted: usize,
    pub mutated: usize,
    pub replayed: usize,
    pub garbage: usize,
    pub commands: usize,
    pub starts: usize,
    pub kills: usize,
}

pub struct OnServer {
    pub place: Place,
    pub sums: Sums,
    identities: Identities,
    server: Option<Server>,
    wire: Wire,
    operations: String,
    /// The store, once there is one.
    following: Option<Following>,
    secrets: BTreeMap<String, String>,
    registered: BTreeSet<String>,
    chance: SeededBytes,
    /// A request whose single-use identifiers are used up, and until when they would be valid.
    used: Option<(Sent, i64)>,
    /// The latest requests and their answers, for the report of a fault.
    latest: VecDeque<String>,
}

impl OnServer {
    pub fn new(seed: u64, keys: &Keys) -> Self {
        let place = Place::new();
        let identities = Identities::new(&place);
        for (name, key) in [("idp.test.jwks", &keys.issuers[0]), ("q.test.jwks", &keys.issuers[1])] {
            place.file(name, &key.jwks());
        }
        place.file("signer.jwks", &keys.signer.jwks());
        let mut site = Self {
            place,
            sums: Sums::default(),
            wire: Wire::to(String::new(), None),
            identities,
            server: None,
            operations: String::new(),
            following: None,
            secrets: BTreeMap::new(),
            registered: BTreeSet::new(),
            chance: SeededBytes::new(seed ^ 0x5eed),
            used: None,
            latest: VecDeque::new(),
        };
        site.start();
        site
    }

    fn start(&mut self) {
        let has_tls = self.chance.below(3) != 0;
        let mut options = vec!["--issuer", ISSUER, "--ops-listen", "127.0.0.1:0", "--workers", "2"];
        options.extend(["--failures-per-client", "1000000", "--failures-per-source", "1000000"]);
        if has_tls {
            options.extend(TLS);
        }
        let server = self.place.serve(&options);
        let line = server.line().expect("a second line says where operations are");
        self.operations = line.strip_prefix("operations on ").expect("where operations are").to_owned();
        self.wire = Wire::to(server.address(), has_tls.then(|| self.identities.clone()));
        self.server = Some(server);
        self.sums.starts += 1;
        let place = &self.place;
        self.following.get_or_insert_with(|| Following::open(place));
    }

    /// Sends a request, and checks what holds for every answer.
    pub fn send(&mut self, sent: &Sent) -> Answer {
        self.sums.requests += 1;
        let answer = self.wire.exchange(sent);
        if self.latest.len() == 6 {
            self.latest.pop_front();
        }
        self.latest.push_back(format!("{sent:?}\n{answer:?}"));
        check(sent, &answer);
        answer
    }

    /// The latest requests with their answers, and the end of the log.
    pub fn report(&self) -> String {
        let log = self.server.as_ref().map(Server::log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        let latest: Vec<&str> = self.latest.iter().map(String::as_str).collect();
        format!("{}\n\nlog:\n{}", latest.join("\n\n"), lines.join("\n"))
    }

    /// Sends bytes that are no valid request, or barely one.
    pub fn send_garbage(&mut self) {
        let sent = mutations::garbage(&mut self.chance);
        let answer = self.send(&sent);
        assert_ne!(answer.status, 200, "{sent:?} {answer:?}");
        self.sums.garbage += 1;
    }

    fn send_mutated(&mut self, (how, mutated): &(&str, Sent)) {
        let answer = self.send(mutated);
        assert_ne!(answer.status, 200, "granted although {how}: {mutated:?}\n{answer:?}");
        self.sums.mutated += 1;
    }

    fn sent(&self, ask: &Ask, path: &str) -> Sent {
        let form = String::from_utf8(ask.form().to_vec()).expect("a form of ASCII");
        let pair = |pair: &str| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        let shown = ask.peer_certificate().map(|presented| {
            let is_it = |number: &usize| self.identities.thumbprint(*number) == presented.thumbprint;
            (0..CERTIFICATES.len()).find(is_it).expect("one of ours")
        });
        let mut sent = Sent {
            method: "POST",
            path: path.to_owned(),
            headers: Vec::new(),
            form: form.split('&').filter_map(pair).collect(),
            raw: None,
            shown,
        };
        sent.header("Content-Type", "application/x-www-form-urlencoded");
        ask.authorizations().for_each(|value| sent.header("Authorization", value));
        ask.proofs().for_each(|value| sent.header("DPoP", value));
        sent
    }

    /// Checks that single-use identifiers stay used up, also after a restart.
    fn replay(&mut self) {
        let Some((sent, until)) = self.used.clone().filter(|used| self.now() < used.1) else { return };
        let answer = self.send(&sent);
        assert_ne!(answer.status, 200, "used twice before {until}: {sent:?}");
        self.sums.replayed += 1;
    }

    fn following(&self) -> &Following {
        self.following.as_ref().expect("the server has made a store")
    }

    /// Runs a command, and waits until the server has followed it.
    fn run(&mut self, arguments: &[String]) -> serde_json::Value {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--json"]).collect();
        let ours = [("TOKENBERG_ISSUER", ISSUER)];
        let printed = self.place.run_with(&arguments, "", &ours).done().json();
        self.sums.commands += 1;
        self.following().wait_for(&self.operations);
        printed
    }

    /// Shuts the server down in order.
    pub fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal("TERM");
            server.ended();
        }
    }

    /// The secrets that were printed.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.values().map(String::as_str)
    }
}

impl Site for OnServer {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        i64::try_from(since.as_secs()).expect("a time of this century")
    }

    fn ask(&mut self, ask: &Ask) -> Reply {
        let mut sent = self.sent(ask, "/v1/oauth/tokens");
        // Assertions of `private_key_jwt` have a `jti`, which is used up once the client is authenticated; those of workloads do not.
        let is_signed = sent.form.iter().any(|(name, value)| name == "client_assertion" && has_jti(value));
        let mutated = (self.chance.below(4) == 0).then(|| mutations::harmful(&sent, &mut self.chance));
        if let Some(mutated) = mutated.as_ref().filter(|_| !is_signed) {
            self.send_mutated(mutated);
        }
        if self.chance.below(4) == 0 {
            mutations::harmless(&mut sent, &mut self.chance);
        }
        let from = self.now();
        let answer = self.send(&sent);
        let to = self.now();
        if let Some(mutated) = mutated.as_ref().filter(|_| is_signed) {
            self.send_mutated(mutated);
        }
        let outcome = if answer.status == 200 {
            self.sums.granted += 1;
            if is_signed || sent.headers.iter().any(|(name, _)| name == "DPoP") {
                self.used = Some((sent.clone(), to + 55));
                if self.chance.below(4) == 0 {
                    self.replay();
                }
            }
            granted(&answer)
        } else {
            Outcome::Refused(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
        };
        Reply { from, to, outcome }
    }

    fn introspect(&mut self, ask: &Ask) -> Introspected {
        let sent = self.sent(ask, "/v1/oauth/introspect");
        let answer = self.send(&sent);
        if answer.status != 200 {
            return Introspected::Refused;
        }
        let body = answer.json();
        if body["active"] == true {
            return Introspected::Active(body);
        }
        assert_eq!(answer.body, br#"{"active":false}"#, "IN-04");
        Introspected::Inactive
    }

    fn revoke(&mut self, ask: &Ask) -> bool {
        let sent = self.sent(ask, "/v1/oauth/revoke");
        let answer = self.send(&sent);
        assert!(answer.status != 200 || matches!(&answer.body[..], b"" | b"{}"), "RV-02: {answer:?}");
        answer.status == 200
    }

    fn is_accepted(&mut self, _: &Token, _: &str) -> Option<bool> {
        None
    }

    fn change(&mut self, change: &Change, token: Option<&Token>) -> i64 {
        if let (Change::RevokeToken { .. }, Some(token)) = (change, token) {
            self.place.file("revoked.token", &token.text);
        }
        let mut before = None;
        let is_registered = matches!(change, Change::Client { id, .. } if self.registered.contains(*id));
        for arguments in commands::commands(change, is_registered, token, self.now()) {
            let printed = self.run(&arguments);
            if let (Change::Client { id, .. }, Some(secret)) = (change, commands::secret(&printed)) {
                self.secrets.insert((*id).to_owned(), secret);
            }
            before = commands::before(&printed);
        }
        match change {
            Change::Client { id, .. } => {
                self.registered.insert((*id).to_owned());
            }
            Change::RemoveClient { id } => {
                self.registered.remove(*id);
            }
            Change::RemoveIssuer { issuer } => before = self.following().revoked_before(issuer),
            Change::EnableClient { .. }
            | Change::Issuer { .. }
            | Change::EnableIssuer { .. }
            | Change::Subject { .. }
            | Change::RevokeToken { .. }
            | Change::RevokeClient { .. }
            | Change::RevokeSubject { .. }
            | Change::RevokeIssuer { .. }
            | Change::Identity { .. }
            | Change::RotateKey
            | Change::RevokeKey { .. } => {}
        }
        // A revocation of a single token has no such time.
        before.unwrap_or_else(|| self.now())
    }

    fn pass(&mut self, seconds: i64) {
        // Longer pauses are left to the scripted world.
        if seconds <= 3 {
            std::thread::sleep(Duration::from_secs(seconds.unsigned_abs()));
        }
    }

    fn step_back(&mut self, _: u32) -> bool {
        false
    }

    fn restart(&mut self, killed: bool) {
        if let Some(mut server) = self.server.take() {
            server.signal(if killed { "KILL" } else { "TERM" });
            server.ended();
            self.sums.kills += usize::from(killed);
        }
        self.start();
        self.replay();
    }

    fn secret(&self, client: &str) -> String {
        self.secrets.get(client).cloned().unwrap_or_else(|| "of a client without one".to_owned())
    }

    fn shows_certificates(&self) -> bool {
        self.wire.has_tls()
    }

    fn certificate(&self, number: usize) -> PeerCertificate {
        PeerCertificate {
            thumbprint: self.identities.thumbprint(number),
            fault: None,
            subject: CERTIFICATES[number].into(),
            common_names: 1,
            names: Vec::new(),
            not_after: Timestamp::from_seconds(self.now() + 3600).expect("a time of this century"),
        }
    }
}

fn has_jti(assertion: &str) -> bool {
    CompactJws::parse(assertion).is_ok_and(|token| token.unverified_payload().contains_key("jti"))
}

/// A token, and the content of the answer about it.
fn granted(answer: &Answer) -> Outcome {
    let body = answer.json();
    let members: BTreeSet<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = ["access_token", "expires_in", "issued_token_type", "scope", "token_type"];
    assert_eq!(members, expected.into(), "CC-01: {answer:?}");
    let token = body["access_token"].as_str().expect("a token").to_owned();
    let framed = CompactJws::parse(&token).expect("a token");
    assert!(framed.header().is_type("at+jwt"), "AT-01");
    let claims = AccessTokenClaims::read(framed.unverified_payload()).expect("claims");
    assert_eq!(claims.issuer.as_str(), ISSUER);
    assert_eq!(body["scope"], claims.scope.as_str(), "AT-04");
    let lifetime = claims.expires_at.as_seconds() - claims.issued_at.as_seconds();
    assert_eq!(body["expires_in"], lifetime, "IC-03");
    let is_bound = claims.confirmation.as_ref().is_some_and(|cnf| cnf.key.is_some());
    assert_eq!(body["token_type"], if is_bound { "DPoP" } else { "bearer" }, "IC-01");
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token", "TX-09");
    Outcome::Granted { token, claims: Box::new(claims) }
}
