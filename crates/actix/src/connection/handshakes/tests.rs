//! Tests which handshakes are displaced.

use super::*;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

type Begun = (Permit, Receiver<()>);

fn handshakes(most: usize, share: usize) -> Handshakes {
    let proxies = ["198.51.100.0/24".parse().unwrap()].into_iter().collect();
    Handshakes::new(most, share, proxies, Arc::default())
}

fn begin(handshakes: &Handshakes, address: &str) -> Begun {
    handshakes.begin(address.parse().unwrap())
}

fn displaced(begun: &mut [Begun]) -> Vec<usize> {
    let is_displaced = |begun: &mut Begun| begun.1.try_recv() == Err(TryRecvError::Closed);
    begun.iter_mut().enumerate().filter_map(|(at, begun)| is_displaced(begun).then_some(at)).collect()
}

/// Makes all begin at this time.
fn all_began(handshakes: &Handshakes, at: Instant) {
    for queues in handshakes.lock().sources.values_mut() {
        queues.silent.iter_mut().chain(&mut queues.speaking).for_each(|waiting| waiting.since = at);
    }
}

/// Lets the grace of all pass.
fn age(handshakes: &Handshakes) {
    all_began(handshakes, Instant::now().checked_sub(GRACE).unwrap());
}

#[test]
fn ht_10_ht_20_a_source_displaces_its_own_handshakes_and_those_first_that_are_silent() {
    let handshakes = handshakes(100, 3);
    let mut others = vec![begin(&handshakes, "192.0.2.2"), begin(&handshakes, "2001:db8::2")];
    let mut own: Vec<Begun> = (0..3).map(|_| begin(&handshakes, "192.0.2.1")).collect();
    own[0].0.speaks();
    all_began(&handshakes, Instant::now() + Duration::from_secs(3600));
    own.push(begin(&handshakes, "192.0.2.1"));
    assert_eq!(displaced(&mut own), [0; 0], "a burst is no flood");
    age(&handshakes);
    own.push(begin(&handshakes, "::ffff:192.0.2.1"));
    assert_eq!(displaced(&mut own), [1], "the oldest that has sent nothing");
    own.push(begin(&handshakes, "192.0.2.1"));
    own.push(begin(&handshakes, "192.0.2.1"));
    assert_eq!(displaced(&mut own), [1, 2, 3]);
    own.push(begin(&handshakes, "192.0.2.1"));
    assert_eq!(displaced(&mut own), [0, 1, 2, 3], "and then the oldest");
    let mut site: Vec<Begun> = (0..4).map(|n| begin(&handshakes, &format!("2001:db8:0:1::{n}"))).collect();
    age(&handshakes);
    site.push(begin(&handshakes, "2001:db8:0:1:ffff::"));
    assert_eq!(displaced(&mut site), [0], "an IPv6 network of 64 bits is one source");
    assert_eq!(displaced(&mut others), [0; 0]);
    drop((others, own, site));
    let under_way = handshakes.lock();
    assert!(under_way.sources.is_empty() && under_way.count == 0);
}

#[test]
fn ht_10_ht_20_if_all_permits_are_in_use_the_source_with_the_most_makes_room() {
    let handshakes = handshakes(8, 100);
    let mut few = vec![begin(&handshakes, "192.0.2.2"), begin(&handshakes, "192.0.2.3")];
    let mut many: Vec<Begun> = (0..9).map(|_| begin(&handshakes, "192.0.2.1")).collect();
    assert_eq!(displaced(&mut many), [0, 1, 2]);
    few.push(begin(&handshakes, "192.0.2.4"));
    assert_eq!((displaced(&mut many), displaced(&mut few)), (vec![0, 1, 2, 3], vec![]));
    drop(many);
    let mut each_one: Vec<Begun> = (0..5).map(|n| begin(&handshakes, &format!("203.0.113.{n}"))).collect();
    each_one.push(begin(&handshakes, "203.0.113.99"));
    assert_eq!((displaced(&mut few), displaced(&mut each_one)), (vec![0], vec![]), "the oldest of all");
    drop((few, each_one));
    // If all are young, the client of one that has sent nothing has only just come.
    let mut burst: Vec<Begun> = (0..8).map(|_| begin(&handshakes, "192.0.2.1")).collect();
    burst[..7].iter().for_each(|begun| begun.0.speaks());
    all_began(&handshakes, Instant::now() + Duration::from_secs(3600));
    burst.push(begin(&handshakes, "192.0.2.1"));
    assert_eq!(displaced(&mut burst), [0]);
}

#[test]
fn ht_10_ht_22_a_trusted_proxy_has_no_share() {
    let handshakes = handshakes(8, 2);
    let mut proxied: Vec<Begun> = (0..7).map(|_| begin(&handshakes, "198.51.100.1")).collect();
    age(&handshakes);
    proxied.push(begin(&handshakes, "198.51.100.1"));
    assert_eq!(displaced(&mut proxied), [0; 0]);
    proxied.push(begin(&handshakes, "198.51.100.1"));
    assert_eq!(displaced(&mut proxied), [0], "but the limit for all");
}

#[test]
fn se_07_handshakes_are_counted_by_their_outcome() {
    let handshakes = handshakes(8, 4);
    let begun: Vec<Begun> = (0..3).map(|_| begin(&handshakes, "192.0.2.1")).collect();
    let mut begun = begun.into_iter();
    begun.next().unwrap().0.ended(Handshake::Completed);
    drop(begun.next());
    let mut exposition = crate::Exposition::default();
    handshakes.metrics.expose(&mut exposition);
    let text = exposition.into_text();
    for line in [
        "tokenberg_tls_handshakes 1",
        "tokenberg_tls_handshakes_total{outcome=\"completed\"} 1",
        "tokenberg_tls_handshakes_total{outcome=\"failed\"} 1",
        "tokenberg_tls_handshakes_total{outcome=\"displaced\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}
