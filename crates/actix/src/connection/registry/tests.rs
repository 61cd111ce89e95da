//! Tests which connections are ended, and when.

use super::tracked::{ACTIVITY_BITS, Need};
use super::*;
use std::sync::atomic::Ordering;

const TIMEOUTS: Timeouts = Timeouts {
    keep_alive: Duration::from_secs(75),
    head: Duration::from_secs(5),
    disconnect: Duration::from_secs(1),
    write: Duration::from_secs(10),
};

fn connections(most: usize, most_of_a_source: usize) -> Connections {
    let proxies = ["198.51.100.0/24".parse().unwrap()].into_iter().collect();
    Connections::new((most, most_of_a_source), proxies, TIMEOUTS, Arc::default())
}

/// A connection that answers.
fn busy(connections: &Connections, address: &str) -> Option<Permit> {
    let permit = connections.open(at(address));
    permit.iter().for_each(|permit| permit.connection.begins());
    permit
}

fn at(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Makes it do this since so many milliseconds after the epoch.
fn does(permit: &Permit, activity: Activity, since: u64) {
    permit.connection.activity.store(since << ACTIVITY_BITS | activity as u64, Ordering::Relaxed);
}

#[test]
fn ht_10_ab_03_each_source_has_its_own_bound_and_leaves_no_entry() {
    let connections = connections(1000, 2);
    let held = (busy(&connections, "192.0.2.1"), busy(&connections, "::ffff:192.0.2.1"));
    assert!(held.0.is_some() && held.1.is_some());
    assert!(connections.open(at("192.0.2.1")).is_none());
    let other = connections.open(at("192.0.2.2"));
    assert!(other.is_some());
    let site = (busy(&connections, "2001:db8::1"), busy(&connections, "2001:db8::2"));
    assert!(
        connections.open(at("2001:db8::3")).is_none() && connections.open(at("2001:db8:0:1::3")).is_some()
    );
    let proxied: Vec<_> = (0..9).map(|_| connections.open(at("198.51.100.7"))).collect();
    assert!(proxied.iter().all(Option::is_some), "HT-22: a trusted proxy is not counted");
    drop((held, other, site, proxied));
    let open = connections.lock();
    assert!(open.sources.is_empty() && open.all.is_empty() && open.tally.count == 0);
}

#[test]
fn ht_10_the_longest_idle_connection_of_a_source_makes_room_for_its_next() {
    let connections = connections(1000, 3);
    let permits: Vec<Permit> = (0..3).map(|_| busy(&connections, "192.0.2.1").unwrap()).collect();
    let other = connections.open(at("192.0.2.2")).unwrap();
    does(&other, Activity::Idle, 1);
    does(&permits[0], Activity::Idle, 30);
    does(&permits[1], Activity::Head, 20);
    let fourth = busy(&connections, "192.0.2.1").unwrap();
    let ended = |permit: &Permit| permit.connection.has_to_end();
    assert!(ended(&permits[1]) && !ended(&permits[0]) && !ended(&permits[2]) && !ended(&other));
    // Its permit is free before it notices, and is not freed again when it does.
    drop(permits);
    drop(fourth);
    assert_eq!(connections.lock().tally.count, 1);
}

#[test]
fn ht_10_clients_that_sent_the_least_make_room_first_and_young_ones_last() {
    let connections = connections(1000, 1000);
    let open = || connections.open(at("192.0.2.1")).unwrap();
    let [silent, speaking, requested, young, younger] = [(); 5].map(|()| open());
    speaking.connection.speaks();
    requested.connection.begins();
    requested.connection.speaks();
    younger.connection.begins();
    for (permit, activity, since) in [
        (&silent, Activity::Handshake, 700),
        (&speaking, Activity::Head, 600),
        (&requested, Activity::Idle, 500),
        (&young, Activity::Handshake, 760),
        (&younger, Activity::Idle, 770),
    ] {
        does(permit, activity, since);
    }
    let now = Duration::from_secs(1);
    let keys = [&silent, &speaking, &requested, &young, &younger]
        .map(|p| p.connection.idle_since(now, Need::Few).unwrap());
    assert!(keys.is_sorted(), "{keys:?}");
}

#[test]
fn ht_10_idle_and_stalled_connections_make_room_before_all_permits_are_in_use() {
    let connections = connections(64, usize::MAX);
    let permits: Vec<Permit> = (0..56).map(|_| busy(&connections, "192.0.2.1").unwrap()).collect();
    let ended = || permits.iter().filter(|permit| permit.connection.has_to_end()).count();
    let more = busy(&connections, "192.0.2.2");
    assert_eq!((more.is_some(), ended()), (true, 0), "none is ended that is answering");
    does(&permits[7], Activity::Idle, 50);
    does(&permits[8], Activity::Idle, 40);
    does(&permits[9], Activity::Ending, 60);
    // A search without a result a moment ago is not repeated.
    connections.lock().tally.searched_for_nothing =
        Some((connections.0.epoch.elapsed() + FRUITLESS, Need::Few));
    let more = (more, busy(&connections, "192.0.2.2"));
    assert_eq!(ended(), 0);
    connections.lock().tally.searched_for_nothing = None;
    let more = (more, connections.open(at("192.0.2.2")));
    assert!(ended() == 2 && !permits[9].connection.has_to_end());
    permits[3].connection.stalled_since.store(1, Ordering::Relaxed);
    let now = Duration::from_secs(2);
    let idle_since =
        |at: usize, now| permits[at].connection.idle_since(now, Need::Few).map(|(_, since)| since);
    assert_eq!(idle_since(3, now), Some(Duration::from_millis(1)));
    assert_eq!(idle_since(3, Duration::from_millis(500)), None, "it may only be slow");
    does(&permits[4], Activity::Body, 2);
    assert_eq!(idle_since(4, now), Some(Duration::from_millis(2)));
    assert_eq!(idle_since(4, Duration::from_millis(500)), None, "nor may this");
    drop(more);
}

#[test]
fn ht_10_a_full_server_makes_room_before_the_next_connection() {
    type Slow = fn(&Permit);
    let slow: [(&str, Slow); 4] = [
        ("no body", |permit| does(permit, Activity::Body, 1)),
        ("reads nothing", |permit| permit.connection.stalled_since.store(1, Ordering::Relaxed)),
        ("no head", |permit| does(permit, Activity::Head, 1)),
        ("nothing", |permit| does(permit, Activity::Idle, 1)),
    ];
    for (what, slow) in slow {
        let connections = connections(64, usize::MAX);
        let has_sent_a_request = what == "no body" || what == "reads nothing";
        let open = || connections.open(at("192.0.2.1")).unwrap();
        let permits: Vec<Permit> = (0..64).map(|_| open()).collect();
        for permit in &permits {
            if has_sent_a_request { permit.connection.begins() } else { permit.connection.speaks() }
        }
        permits[1..].iter().for_each(slow);
        permits[0].connection.begins();
        let ended = || permits.iter().filter(|permit| permit.connection.has_to_end()).count();
        connections.relieve(Duration::from_millis(50));
        assert_eq!((ended(), permits[0].is_needed()), (0, true), "{what}: it may be on its way");
        connections.relieve(Duration::from_millis(150));
        assert_eq!((ended(), permits[0].is_needed()), (10, false), "{what}");
        // There is room, so a slow client may stay.
        connections.relieve(Duration::from_millis(150));
        assert_eq!((ended(), permits[0].connection.has_to_end()), (10, false), "{what}");
    }
}

#[test]
fn ht_10_a_source_that_has_its_number_of_slow_connections_makes_room_for_its_next() {
    let connections = connections(1000, 3);
    let permits: Vec<Permit> = (0..3).map(|_| busy(&connections, "192.0.2.1").unwrap()).collect();
    // The others are answered meanwhile.
    does(&permits[0], Activity::Body, 0);
    let begun = Instant::now();
    let next = loop {
        if let Some(permit) = connections.open(at("192.0.2.1")) {
            break permit;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "a body that does not come blocks others");
        std::thread::yield_now();
    };
    assert!(connections.0.epoch.elapsed() >= Duration::from_millis(100), "it may be on its way");
    let ended = permits.iter().map(|permit| permit.connection.has_to_end());
    assert_eq!(ended.collect::<Vec<_>>(), [true, false, false]);
    // One that has sent nothing makes room immediately, because the next is refused otherwise.
    assert!(connections.open(at("192.0.2.1")).is_some() && next.connection.has_to_end());
}

#[test]
fn ht_08_ht_10_connections_beyond_their_time_limits_are_ended() {
    let connections = connections(1000, 1000);
    let permit = connections.open(at("192.0.2.1")).unwrap();
    let tracked = permit.connection();
    for (activity, stalled, limit, by) in [
        (Activity::Idle, false, 80, Some(EndedBy::Idle)),
        (Activity::Head, false, 6, Some(EndedBy::SlowHead)),
        (Activity::Ending, false, 2, Some(EndedBy::Stalled)),
        (Activity::Handshake, false, 3600, None),
        (Activity::Body, false, 3600, None),
        (Activity::Busy, false, 3600, None),
        (Activity::Busy, true, 10, Some(EndedBy::Stalled)),
        (Activity::Idle, true, 10, Some(EndedBy::Stalled)),
    ] {
        does(&permit, activity, 1000);
        tracked.stalled_since.store(if stalled { 1000 } else { 0 }, Ordering::Relaxed);
        let after = |seconds: u64| tracked.over(Duration::from_secs(1 + seconds), TIMEOUTS);
        assert_eq!((after(limit), after(limit + 1)), (None, by), "{activity:?}");
    }
}
