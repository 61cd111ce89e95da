//! Sends requests during a fault: a few clients that never stop, and that know the permitted answers.

use crate::facts::{Fact, Facts};
use crate::site::{ROOT, Site};
use crate::tally::{Tally, add, count};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use ureq::tls::TlsConfig;

/// The outcome of a request.
pub enum Outcome {
    Answered(u16, Value),
    Unavailable,
    Lost,
}

/// A client with its own connections.
pub struct Asking<'a> {
    agent: ureq::Agent,
    tally: &'a Tally,
}

impl<'a> Asking<'a> {
    pub fn new(tally: &'a Tally) -> Self {
        Self::with(tally, 10)
    }

    /// A client that opens a connection for every request.
    pub fn without_reuse(tally: &'a Tally) -> Self {
        Self::with(tally, 0)
    }

    fn with(tally: &'a Tally, idle: usize) -> Self {
        // Certificates change during the test, and no other process is on a loopback address.
        let tls = TlsConfig::builder().disable_verification(true).build();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls);
        let config = config.max_idle_connections(idle).timeout_global(Some(Duration::from_secs(20)));
        Self { agent: config.build().new_agent(), tally }
    }

    pub fn post(&self, url: &str, form: &str) -> Outcome {
        add(&self.tally.sent);
        let request = self.agent.post(url).header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.send(form).and_then(|mut answer| {
            let may_retry = answer.headers().contains_key("Retry-After");
            Ok((answer.status().as_u16(), may_retry, answer.body_mut().read_to_string()?))
        });
        match answer {
            Ok((503, true, _)) => {
                add(&self.tally.unavailable);
                Outcome::Unavailable
            }
            Ok((status, _, text)) => {
                add(&self.tally.answered);
                Outcome::Answered(status, serde_json::from_str(&text).unwrap_or_default())
            }
            Err(_) => {
                // The server is not there; an immediate retry would only inflate the statistics.
                std::thread::sleep(Duration::from_millis(5));
                add(&self.tally.lost);
                Outcome::Lost
            }
        }
    }

    /// Sends a request, and returns the answer if it is as expected; anything else but 503 and a lost connection is wrong.
    pub fn expect(&self, url: &str, form: &str, is_right: impl Fn(u16, &Value) -> bool) -> Option<Value> {
        match self.post(url, form) {
            Outcome::Answered(status, body) if is_right(status, &body) => Some(body),
            Outcome::Answered(status, body) => {
                let asked =
                    form.split('&').filter(|p| !p.contains("secret") && p.len() < 80).collect::<Vec<_>>();
                self.tally.wrong(format!("{status} {body} to {}", asked.join("&")));
                None
            }
            Outcome::Unavailable | Outcome::Lost => None,
        }
    }

    pub fn token(&self, url: &str, (id, secret): (&str, &str)) -> Option<String> {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let body = self.expect(&format!("{url}/v1/oauth/tokens"), &form, |status, _| status == 200)?;
        Some(body["access_token"].as_str().unwrap().to_owned())
    }

    pub fn about(
        &self,
        url: &str,
        what: &str,
        token: &str,
        (id, secret): (&str, &str),
        active: Option<bool>,
    ) -> bool {
        let form = format!("token={token}&client_id={id}&client_secret={secret}");
        let is_right =
            |status: u16, body: &Value| status == 200 && active.is_none_or(|active| body["active"] == active);
        self.expect(&format!("{url}/v1/oauth/{what}"), &form, is_right).is_some()
    }

    pub fn renew(&self, url: &str, token: &str, (id, secret): (&str, &str)) -> bool {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id={id}&client_secret={secret}\
             &subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        );
        self.expect(&format!("{url}/v1/oauth/tokens"), &form, |status, _| status == 200).is_some()
    }
}

/// No identifier is used twice, whatever the round.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The server that the load is sent to, and whether the load is over.
pub struct Load<'a> {
    pub site: &'a Site,
    pub url: Mutex<String>,
    pub credential: Mutex<(String, String)>,
    pub tally: &'a Tally,
    pub facts: &'a Facts,
    pub is_over: AtomicBool,
    /// How long each client waits after a round.
    pub pace: Duration,
}

impl<'a> Load<'a> {
    pub fn of(site: &'a Site, url: &str, tally: &'a Tally, facts: &'a Facts) -> Self {
        Self {
            site,
            url: Mutex::new(url.to_owned()),
            credential: Mutex::new((ROOT.0.to_owned(), ROOT.1.to_owned())),
            tally,
            facts,
            is_over: AtomicBool::new(false),
            pace: Duration::ZERO,
        }
    }

    /// Runs the load on some threads while `fault` happens.
    pub fn during(&self, threads: usize, fault: impl FnOnce()) {
        std::thread::scope(|scope| {
            for n in 0..threads {
                let asking =
                    if n % 2 == 0 { Asking::new(self.tally) } else { Asking::without_reuse(self.tally) };
                scope.spawn(move || {
                    while !self.is_over.load(Ordering::Relaxed) {
                        self.round(&asking);
                        std::thread::sleep(self.pace);
                    }
                });
            }
            // If the fault fails, the load has to end, too.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(fault));
            self.is_over.store(true, Ordering::Relaxed);
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// Waits until so many more requests were answered, so that a fault comes in the middle of them.
    pub fn until_answered(&self, more: u64) {
        let (begun, before) = (Instant::now(), count(&self.tally.answered));
        while count(&self.tally.answered) < before + more as usize
            && begun.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a token request, an introspection, a renewal, a revocation and an assertion.
    fn round(&self, asking: &Asking<'_>) {
        let url = self.url.lock().unwrap().clone();
        let (id, secret) = self.credential.lock().unwrap().clone();
        let who = (id.as_str(), secret.as_str());
        let Some(token) = asking.token(&url, who) else { return };
        asking.about(&url, "introspect", &token, who, Some(true));
        asking.renew(&url, &token, who);
        if asking.about(&url, "revoke", &token, who, None) {
            self.facts.note(Fact::Revoked(token));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let form = self.site.assertion(&number.to_string());
        let is_first = asking.expect(&format!("{url}/v1/oauth/tokens"), &form, |status, _| status == 200);
        if is_first.is_some() {
            self.facts.note(Fact::Used(form));
        }
    }
}
