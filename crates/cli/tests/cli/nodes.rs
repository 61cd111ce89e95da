//! Several nodes on one PostgreSQL act as one, and a node that cannot reach it behaves as specified; conformance OP-20, OP-21.

use crate::foreign::{assertion_form, claims};
use crate::support::{Answer, Place, Said, Server, files, get, post, within_a_second};
use serde_json::json;
use std::time::Duration;
use tokenberg_testkit::{ForeignKey, Line, POSTGRES_PASSWORD, Postgres, Wire, url_at};

/// Nodes on one database, each with its own connection to it.
struct Nodes {
    place: Place,
    url: String,
    key_file: String,
}

impl Nodes {
    fn on(url: String) -> Self {
        let place = Place::new();
        let key_file = place.path("shared.key").display().to_string();
        Self { place, url, key_file }
    }

    fn start(&self, url: &str, more: &[&str]) -> Result<Server, Said> {
        let variables = [("TOKENBERG_STORE", url), ("TOKENBERG_KEY_FILE", &self.key_file)];
        let arguments = [&["--issuer", "http://localhost", "--ops-listen", "127.0.0.1:0"], more].concat();
        self.place.start(&arguments, &variables)
    }

    fn node(&self, url: &str, more: &[&str]) -> Node {
        let server = self.start(url, more).unwrap_or_else(|said| panic!("did not start: {}", said.err));
        let lines = server.lines();
        let operations = lines[0].strip_prefix("operations on ").unwrap().to_owned();
        let secret =
            lines.iter().find_map(|line| line.strip_prefix("client secret")).map(|s| s.trim().to_owned());
        Node { server, operations, secret }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let variables = [("TOKENBERG_STORE", self.url.as_str()), ("TOKENBERG_KEY_FILE", &self.key_file)];
        self.place.run_with(arguments, "", &variables)
    }

    fn add(&self, id: &str) -> String {
        let said = self.run(&["client", "add", id, "--json"]).done();
        said.json()["client_secret"].as_str().unwrap().to_owned()
    }

    /// Asserts that no password is in any file that was written, logs included.
    fn logged_no_password(&self) {
        for (path, bytes) in files(&self.place.path("")) {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(POSTGRES_PASSWORD), "{}", path.display());
        }
    }
}

struct Node {
    server: Server,
    operations: String,
    secret: Option<String>,
}

impl Node {
    fn introspect(&self, id: &str, secret: &str, token: &str) -> Answer {
        let form = format!("client_id={id}&client_secret={secret}&token={token}");
        post(&format!("{}/v1/oauth/introspect", self.server.url), None, &form)
    }

    fn revoke(&self, id: &str, secret: &str, token: &str) -> Answer {
        let form = format!("client_id={id}&client_secret={secret}&token={token}");
        post(&format!("{}/v1/oauth/revoke", self.server.url), None, &form)
    }

    fn renew(&self, id: &str, secret: &str, token: &str) -> Answer {
        self.server.tokens(&format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id={id}&client_secret={secret}\
             &subject_token={token}&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
        ))
    }

    fn jwks(&self) -> Answer {
        get(&format!("{}/.well-known/jwks.json", self.server.url))
    }

    /// The metrics about following the store: ready, fault, and seconds since it was seen.
    fn following(&self) -> [f64; 3] {
        let figures = get(&format!("{}/metrics", self.operations)).body.as_str().unwrap().to_owned();
        ["ready", "store_fault", "snapshot_age_seconds"].map(|name| {
            let name = format!("tokenberg_{name} ");
            figures.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
        })
    }

    fn ready(&self) -> (u16, String) {
        let answer = get(&format!("{}/readyz", self.operations));
        (answer.status, answer.body.as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn op_20_two_nodes_on_one_postgresql_act_as_one() {
    let Some(postgres) = Postgres::shared() else { return };
    let nodes = Nodes::on(postgres.url(&postgres.database()));
    let [a, b] = std::thread::scope(|scope| {
        let start = || scope.spawn(|| nodes.node(&nodes.url, &[]));
        [start(), start()].map(|thread| thread.join().unwrap())
    });
    assert_eq!(
        [&a, &b].iter().filter(|n| n.secret.is_some()).count(),
        1,
        "exactly one created the first client"
    );
    let root = &a.secret.clone().or_else(|| b.secret.clone()).unwrap();
    assert_eq!(a.jwks().body, b.jwks().body);
    let token = a.server.ask("root", root).token();
    assert_eq!(
        b.introspect("root", root, &token).body["active"],
        true,
        "what one has signed, the other knows"
    );
    assert_eq!(b.renew("root", root, &token).status, 200);

    // Both nodes follow every change: by administration, and by a request at the other node.
    let secret = nodes.add("spark");
    for node in [&a, &b] {
        within_a_second("a new client works", || node.server.ask("spark", &secret).status == 200);
    }
    let token = b.server.ask("spark", &secret).token();
    assert_eq!(b.revoke("spark", &secret, &token).status, 200);
    assert_eq!(
        b.introspect("root", root, &token).body["active"],
        false,
        "known here before it is acknowledged"
    );
    within_a_second("the other node knows of it", || {
        a.introspect("spark", &secret, &token).body["active"] == false
    });
    assert_eq!(a.renew("spark", &secret, &token).status, 400);
    nodes.run(&["client", "disable", "spark"]).done();
    nodes.run(&["key", "rotate", "--now"]).done();
    for node in [&a, &b] {
        within_a_second("it is disabled", || node.server.ask("spark", &secret).status == 401);
        within_a_second("the new key is published", || {
            node.jwks().body["keys"].as_array().unwrap().len() == 2
        });
    }
    assert_eq!(a.jwks().body, b.jwks().body);
    // A node that dies loses no acknowledged change.
    drop(a);
    assert_eq!(b.server.ask("root", root).status, 200);
    let again = nodes.node(&nodes.url, &[]);
    assert!(again.secret.is_none() && again.introspect("root", root, &token).body["active"] == false);
    nodes.logged_no_password();
}

/// A client that authenticates by its key, and its assertions: each may be used once.
fn signer(nodes: &Nodes) -> impl Fn(&str) -> String + Sync {
    let key = ForeignKey::new(Some("own"));
    nodes.place.file("signer.json", &key.jwks());
    let method = ["--auth-method", "private_key_jwt", "--jwks", "signer.json"];
    nodes.run(&[&["client", "add", "signer"][..], &method].concat()).done();
    move |id| assertion_form(&key.sign(&claims("signer", "signer", "http://localhost", &json!({"jti": id}))))
}

#[test]
fn op_20_cj_07_an_assertion_is_accepted_once_by_all_nodes_together() {
    let Some(postgres) = Postgres::shared() else { return };
    let nodes = Nodes::on(postgres.url(&postgres.database()));
    let pair = [nodes.node(&nodes.url, &[]), nodes.node(&nodes.url, &[])];
    let sign = signer(&nodes);
    for node in &pair {
        within_a_second("the client is known", || node.server.tokens(&sign(&node.server.url)).status == 200);
    }
    let endpoints = pair.each_ref().map(|node| node.server.endpoint());
    for round in 0..5 {
        let form = sign(&format!("round {round}"));
        let ask = |n: usize| post(&endpoints[n % 2], None, &form).status;
        let mut answers = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|n| scope.spawn(move || ask(n))).collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        answers.sort_unstable();
        assert_eq!(answers, [200, 401, 401, 401, 401, 401, 401, 401], "round {round}");
    }
}

#[test]
fn op_21_without_postgresql_requests_are_answered_from_memory_and_no_write_is_acknowledged() {
    let Some(postgres) = Postgres::start() else { return };
    let nodes = Nodes::on(postgres.url(&postgres.database()));
    let node = nodes.node(&nodes.url, &["--max-staleness", "2s"]);
    let secret = nodes.add("spark");
    within_a_second("a new client works", || node.server.ask("spark", &secret).status == 200);
    let (kept, lost) = (node.server.ask("spark", &secret).token(), node.server.ask("spark", &secret).token());
    assert!(
        node.ready().1.contains("the store was last reached 0 s ago, of 2 s at most"),
        "{:?}",
        node.ready()
    );

    let sign = signer(&nodes);
    within_a_second("the client is known", || node.server.tokens(&sign("first")).status == 200);
    let (used, unused) = (sign("used"), sign("unused"));
    assert_eq!(node.server.tokens(&used).status, 200);

    postgres.stop("immediate");
    for assertion in [&used, &unused] {
        let unknown = node.server.tokens(assertion);
        assert_eq!(
            (unknown.status, unknown.code()),
            (503, "temporarily_unavailable"),
            "it may be used elsewhere"
        );
        assert!(unknown.retry_after.is_some());
    }
    let unwritten = node.revoke("spark", &secret, &lost);
    assert_eq!(
        (unwritten.status, unwritten.code()),
        (503, "temporarily_unavailable"),
        "never 200, never 401"
    );
    assert!(unwritten.retry_after.is_some());
    assert_eq!(node.revoke("spark", "wrong", &lost).status, 401);
    answers_from_memory(&node, &secret, &kept);
    within_a_second("it is too long ago", || node.ready().0 == 503);
    assert!(node.ready().1.contains("of 2 s at most"), "{:?}", node.ready());
    let [ready, fault, age] = node.following();
    assert!((ready, fault) == (0.0, 1.0) && age > 2.0, "{age}");
    let unknown = node.introspect("spark", &secret, &kept);
    assert_eq!(
        (unknown.status, unknown.retry_after.is_some()),
        (503, true),
        "it may have been revoked elsewhere"
    );
    assert_eq!(node.introspect("spark", "wrong", &kept).status, 401);
    answers_from_memory(&node, &secret, &kept);
    let said = nodes.start(&nodes.url, &[]).err().unwrap().refused();
    assert!(said.err.contains("cannot be opened") && said.err.contains("refused"), "{}", said.err);
    let said = nodes.run(&["client", "disable", "spark"]).refused();
    assert!(said.err.contains("cannot be opened"), "{}", said.err);

    postgres.start_again();
    within_a_second("it is ready again", || node.ready().0 == 200);
    within_a_second("the figures say so, too", || {
        let [ready, fault, age] = node.following();
        (ready, fault) == (1.0, 0.0) && age < 2.0
    });
    assert_eq!([&used, &unused, &unused].map(|form| node.server.tokens(form).status), [401, 200, 401]);
    assert_eq!(node.introspect("spark", &secret, &kept).body["active"], true);
    assert_eq!(node.revoke("spark", &secret, &lost).status, 200);
    assert_eq!(node.introspect("spark", &secret, &lost).body["active"], false);
    answers_from_memory(&node, &secret, &kept);
    nodes.run(&["client", "disable", "spark"]).done();
    within_a_second("it follows again", || node.server.ask("spark", &secret).status == 401);
    nodes.logged_no_password();
}

#[test]
fn op_21_a_stalled_node_answers_from_memory_and_does_not_block_other_nodes() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let nodes = Nodes::on(postgres.url(&database));
    let wire = Wire::to(postgres.port());
    let behind = nodes.node(&url_at(wire.port(), &database), &[]);
    let beside = nodes.node(&nodes.url, &[]);
    let secret = nodes.add("spark");
    for node in [&behind, &beside] {
        within_a_second("a new client works", || node.server.ask("spark", &secret).status == 200);
    }
    let token = behind.server.ask("spark", &secret).token();
    wire.set(Line::Stalled);
    let unwritten = behind.revoke("spark", &secret, &token);
    assert_eq!((unwritten.status, unwritten.retry_after.is_some()), (503, true));
    answers_from_memory(&behind, &secret, &token);
    // The default is long: neither this node alone nor all nodes together may leave the load balancer.
    let reports = |words: &str| behind.ready().0 == 200 && behind.ready().1.contains(words);
    within_a_second("it is reported and still ready", || reports("unavailable"));
    // The other node is not blocked by the work of the first.
    assert_eq!(beside.revoke("spark", &secret, &token).status, 200);
    assert_eq!(behind.introspect("spark", &secret, &token).status, 200);
    for line in [Line::Cut, Line::Open] {
        wire.set(line);
        std::thread::sleep(Duration::from_millis(300));
    }
    within_a_second("it catches up", || behind.introspect("spark", &secret, &token).body["active"] == false);
    assert!(behind.server.log().contains("can be followed again"), "{}", behind.server.log());
    nodes.logged_no_password();
}

fn answers_from_memory(node: &Node, secret: &str, token: &str) {
    for _ in 0..3 {
        let fresh = node.server.ask("spark", secret).token();
        assert_eq!(node.server.ask("spark", "wrong").status, 401);
        assert_eq!(node.renew("spark", secret, &fresh).status, 200);
        assert_eq!(node.renew("spark", secret, token).status, 200);
        assert_eq!(node.jwks().status, 200);
    }
}

#[test]
fn op_12_a_store_on_postgresql_needs_a_key_and_check_reports_what_is_wrong() {
    let place = Place::new();
    let with = |url: &str, arguments: &[&str], more: &[(&str, &str)]| {
        place.run_with(arguments, "", &[&[("TOKENBERG_STORE", url)], more].concat())
    };
    let unreachable = url_at(1, "nothing");
    let said = with(&unreachable, &["client", "list"], &[]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--key-file") && said.err.contains("TOKENBERG_KEY"), "{}", said.err);
    let key = [("TOKENBERG_KEY_FILE", "k")];
    let said = with(&unreachable, &["check"], &key);
    assert!(said.code == 1 && said.out.contains("refused") && !said.out.contains("hush"), "{}", said.out);
    let said = with("postgres://u:hu/sh@h/d", &["client", "list"], &key);
    assert!(said.code == 2 && said.err.contains("%XX") && !said.err.contains("sh@h"), "{}", said.err);
    let said = place.run(&["check", "--store", &unreachable, "--key-file", "k"]);
    assert!(said.err.contains("TOKENBERG_STORE") && !said.err.contains("hush"), "{}", said.err);

    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.url(&postgres.database());
    let said = with(&url, &["check"], &key).done();
    assert!(said.out.contains("there is no store") && !place.path("k").exists(), "{}", said.out);
    with(&url, &["client", "list"], &key).refused();
    drop(place.serve_with(&["--issuer", "http://localhost"], &[("TOKENBERG_STORE", &url), key[0]]));
    let said = with(&url, &["check", "--json"], &key).done();
    assert!(
        said.out.contains("postgres://tokenberg@127.0.0.1") && !said.out.contains("hush"),
        "{}",
        said.out
    );
    assert!(with(&url, &["client", "list"], &key).done().out.contains("root"));
    let zeroes = "0".repeat(64);
    let said = with(&url, &["client", "list"], &[("TOKENBERG_KEY", &zeroes)]).refused();
    assert!(said.err.contains("sealed"), "{}", said.err);
}
