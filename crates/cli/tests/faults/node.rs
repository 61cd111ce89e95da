//! A server with its operations: what it says of itself, and what it answers.

use crate::site::{ROOT, Site};
use crate::support::{Answer, Server, get, post, within_a_second};
use std::path::Path;

pub struct Node {
    pub server: Server,
    operations: String,
}

impl Node {
    pub fn of(site: &Site, more: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::by(env!("CARGO_BIN_EXE_tokenberg").as_ref(), site, more, variables)
    }

    /// A server with a listener for operations at an address that the options name.
    pub fn at(site: &Site, more: &[&str]) -> Self {
        Self::listening(site.serve_with(more, &[]))
    }

    /// A server of another build.
    pub fn by(binary: &Path, site: &Site, more: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::listening(site.serve_by(
            binary,
            &[&["--ops-listen", "127.0.0.1:0"][..], more].concat(),
            variables,
        ))
    }

    fn listening(server: Server) -> Self {
        let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
        Self { server, operations }
    }

    /// Status and text of `/readyz`.
    pub fn ready(&self) -> (u16, String) {
        let answer = get(&format!("{}/readyz", self.operations));
        (answer.status, answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until `/readyz` answers this status with these words.
    pub fn until_ready_says(&self, status: u16, words: &str) {
        let mut last = None;
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(60) {
            let (found, text) = self.ready();
            if found == status && text.contains(words) {
                return;
            }
            last = Some((found, text));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("never {status} {words:?}: {last:?} {}", self.server.log());
    }

    pub fn figure(&self, series: &str) -> Option<f64> {
        let figures = get(&format!("{}/metrics", self.operations)).body.as_str().unwrap().to_owned();
        let line =
            figures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map(|value| value.parse().unwrap())
    }

    pub fn until_figure(&self, series: &str, is_right: impl Fn(f64) -> bool) {
        within_a_second(series, || self.figure(series).is_some_and(&is_right));
    }

    /// The names of the published keys.
    pub fn kids(&self) -> Vec<String> {
        let keys = get(&format!("{}/.well-known/jwks.json", self.server.url)).body["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    pub fn token(&self) -> String {
        self.server.ask(ROOT.0, ROOT.1).token()
    }

    pub fn about(&self, what: &str, token: &str) -> Answer {
        about(&self.server.url, what, token)
    }

    pub fn is_active(&self, token: &str) -> bool {
        let answer = self.about("introspect", token);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["active"] == true
    }
}

/// Introspects or revokes a token at this server.
pub fn about(url: &str, what: &str, token: &str) -> Answer {
    let form = format!("client_id={}&client_secret={}&token={token}", ROOT.0, ROOT.1);
    post(&format!("{url}/v1/oauth/{what}"), None, &form)
}
