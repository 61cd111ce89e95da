//! Three nodes on one store, the load on them, and whether they agree about what was acknowledged.

use crate::facts::Facts;
use crate::load::{Asking, Load};
use crate::node::{Node, about};
use crate::site::{ROOT, Site};
use crate::support::within_a_second;
use crate::tally::{Tally, count};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long each client waits between its rounds, so that three nodes leave a small machine some time.
const PACE: Duration = Duration::from_millis(25);

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub tally: Tally,
    pub facts: Facts,
    pub site: Site,
}

impl Cluster {
    pub fn of(site: Site) -> Self {
        Self::with(site, &[], &[])
    }

    pub fn with(site: Site, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let nodes = (0..3).map(|_| Node::of(&site, more, variables)).collect();
        Self { nodes, tally: Tally::default(), facts: Facts::default(), site }
    }

    /// Runs clients on every node while something happens, which gets the load of each node.
    pub fn during(&self, fault: impl FnOnce(&[Load<'_>])) {
        let load = |node: &Node| {
            let mut load = Load::of(&self.site, &node.server.url, &self.tally, &self.facts);
            load.pace = PACE;
            load
        };
        let loads: Vec<_> = self.nodes.iter().map(load).collect();
        nest(&loads, Box::new(|| fault(&loads)));
    }

    /// Waits until every node acknowledges a revocation and the others know of it. Nodes read changes in their order, so each then
    /// knows all that were acknowledged before. Returns how long it took until all acknowledged one.
    pub fn until_recovered(&self) -> Duration {
        let begun = Instant::now();
        let markers: Vec<String> = self.nodes.iter().map(revoked).collect();
        let back = begun.elapsed();
        for node in &self.nodes {
            for marker in &markers {
                within_a_second("every node knows of the revocation", || !node.is_active(marker));
            }
        }
        back
    }

    /// How many answers of all nodes contradict what was acknowledged: a revoked token that is active, an assertion that is
    /// accepted again.
    pub fn honored(&self) -> usize {
        self.count_wrongs(Facts::check_all)
    }

    /// The same without used assertions, to be asked again and again.
    pub fn lastingly_honored(&self) -> usize {
        self.count_wrongs(Facts::check_lasting)
    }

    fn count_wrongs(&self, check: impl Fn(&Facts, &Asking<'_>, &str)) -> usize {
        let ask = |node: &Node| {
            let probe = Tally::default();
            check(&self.facts, &Asking::new(&probe), &node.server.url);
            assert_eq!((count(&probe.unavailable), count(&probe.lost)), (0, 0), "{}", node.server.log());
            probe.wrongs()
        };
        self.nodes.iter().map(ask).sum()
    }
}

/// A token that this node has revoked, as soon as it can.
fn revoked(node: &Node) -> String {
    let mut last = None;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        let token = node.token();
        let answer = node.about("revoke", &token);
        if answer.status == 200 {
            return token;
        }
        last = Some(answer);
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no revocation is acknowledged: {last:?} {}", node.server.log());
}

fn nest(loads: &[Load<'_>], fault: Box<dyn FnOnce() + '_>) {
    match loads.split_first() {
        None => fault(),
        Some((first, rest)) => first.during(2, || nest(rest, fault)),
    }
}

/// Revokes tokens at a steady rate, and in turns at every node; returns the answers that were not 200, and the slowest.
pub fn revoke_steadily(nodes: &[Node], tokens: &[String], per_second: u32) -> (Vec<String>, Duration) {
    let pause = Duration::from_secs(1) / per_second;
    let urls: Vec<&str> = nodes.iter().map(|node| node.server.url.as_str()).collect();
    let is_late = AtomicBool::new(false);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let begun = Instant::now();
        let sent = tokens.iter().enumerate().map(|(n, token)| {
            let at = pause * u32::try_from(n).unwrap();
            std::thread::sleep(at.saturating_sub(begun.elapsed()));
            if begun.elapsed() > at + Duration::from_secs(1) {
                is_late.store(true, Ordering::Relaxed);
            }
            let url = urls[n % urls.len()];
            scope.spawn(move || {
                let begun = Instant::now();
                let answer = about(url, "revoke", token);
                (answer, begun.elapsed())
            })
        });
        let sent: Vec<_> = sent.collect();
        sent.into_iter().map(|one| one.join().unwrap()).collect()
    });
    if is_late.load(Ordering::Relaxed) {
        println!("this machine is too busy to send {per_second} requests a second");
    }
    let slowest = answers.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let refused = answers.iter().filter(|(answer, _)| answer.status != 200).map(|(a, _)| format!("{a:?}"));
    (refused.collect(), slowest)
}

/// Tokens of `root` from the nodes in turn.
pub fn tokens(nodes: &[Node], count: usize) -> Vec<String> {
    (0..count).map(|n| nodes[n % nodes.len()].server.ask(ROOT.0, ROOT.1).token()).collect()
}
