//! The runbooks for users, identity providers and requests: OP-13, TX-37, SE-06.

use crate::cluster::Cluster;
use crate::node::Node;
use crate::runbook::Runbook;
use crate::site::{ISSUER, Site};
use crate::support::{Answer, post, within_a_second};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use tokenberg_testkit::{ForeignKey, Postgres};

const NODES: &str = "PostgreSQL, 3 nodes";
const IDP: &str = "https://idp.example";

/// Three nodes that trust a provider, and a client that acts for its users.
struct Users {
    cluster: Cluster,
    key: ForeignKey,
    secret: String,
}

impl Users {
    fn new() -> Option<Self> {
        let cluster = Cluster::of(Site::on_postgres(Postgres::shared()?));
        let key = ForeignKey::new(Some("one"));
        cluster.site.place.file("idp.json", &key.jwks());
        let add = ["issuer", "add", IDP, "--jwks", "idp.json", "--accept", "id_token", "--audience", ISSUER];
        cluster.site.run(&add).done();
        let client = ["client", "add", "trino", "--may-act-for", "https://idp.example|*", "--json"];
        let said = cluster.site.run(&[&client[..], &["--label", "owner=alice"]].concat()).done().json();
        let users = Self { cluster, key, secret: said["client_secret"].as_str().unwrap().to_owned() };
        for node in users.nodes() {
            within_a_second("users are let in", || users.exchange(node, "alice").status == 200);
        }
        Some(users)
    }

    fn nodes(&self) -> &[Node] {
        &self.cluster.nodes
    }

    /// The client exchanges an ID token of this user.
    fn exchange(&self, node: &Node, user: &str) -> Answer {
        self.exchange_by(&self.key, node, user)
    }

    fn exchange_by(&self, key: &ForeignKey, node: &Node, user: &str) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": IDP, "sub": user, "aud": ISSUER, "iat": now, "exp": now + 300});
        node.server.tokens(&format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=trino&client_secret={}\
             &subject_token={}&subject_token_type=urn:ietf:params:oauth:token-type:id_token",
            self.secret,
            key.sign(&claims)
        ))
    }

    /// Whether the token is active for the client that has it.
    fn is_active(&self, node: &Node, token: &str) -> bool {
        let form = format!("client_id=trino&client_secret={}&token={token}", self.secret);
        let answer = post(&format!("{}/v1/oauth/introspect", node.server.url), None, &form);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["active"] == true
    }

    /// Waits until the record is written; decisions are written every 100 ms.
    fn until_recorded(&self, filter: &[&str], count: usize) {
        within_a_second("it is recorded", || {
            let said = self.cluster.site.run(&[&["audit"], filter].concat()).done();
            said.out.lines().count() >= count
        });
    }
}

#[test]
fn op_13_tx_37_the_runbook_for_a_compromised_provider_ends_what_the_attacker_got() {
    let Some(users) = Users::new() else { return };
    let (site, nodes) = (&users.cluster.site, users.nodes());
    let stolen = users.exchange(&nodes[0], "bob").token();
    assert!(nodes.iter().all(|node| users.is_active(node, &stolen)));
    users.until_recorded(&["--issuer", IDP, "--outcome", "granted", "--subject", "bob"], 1);
    let fresh = ForeignKey::new(Some("two"));
    site.place.file("fresh.json", &fresh.jwks());
    let variables = [("ISSUER", IDP), ("JWKS", "fresh.json")];
    let runbook = Runbook::open(site, "identity-provider-compromised", &variables);
    let seen = runbook.follow().out;
    assert!(seen.contains("\"subject\":\"bob\""), "{seen}");
    runbook.begin();
    runbook.follow();
    for node in nodes {
        within_a_second("its users are refused", || users.exchange(node, "bob").status != 200);
        within_a_second("its tokens are refused", || !users.is_active(node, &stolen));
    }
    runbook.follow();
    runbook.follow();
    runbook.follow();
    for node in nodes {
        within_a_second("users sign in again", || users.exchange_by(&fresh, node, "bob").status == 200);
        assert_ne!(users.exchange(node, "bob").status, 200, "the stolen key signs no more");
        assert!(!users.is_active(node, &stolen), "what the attacker got stays revoked");
    }
    runbook.done(NODES, "what the attacker got is revoked at every node, and users can sign in again");
}

#[test]
fn op_13_tx_37_the_runbook_for_a_user_who_left_ends_the_user_and_the_users_clients() {
    let Some(users) = Users::new() else { return };
    let (site, nodes) = (&users.cluster.site, users.nodes());
    let own = site.run(&["client", "add", "notebook", "--label", "owner=alice", "--json"]).done().json();
    let own = own["client_secret"].as_str().unwrap();
    let (alice, bob) = (users.exchange(&nodes[0], "alice").token(), users.exchange(&nodes[1], "bob").token());
    assert!(nodes.iter().all(|node| users.is_active(node, &alice)));
    users.until_recorded(&["--subject", "alice", "--issuer", IDP, "--outcome", "granted"], 4);
    for node in nodes {
        within_a_second("the client works", || node.server.ask("notebook", own).status == 200);
    }
    let variables = [("USER_NAME", "alice"), ("USER_ID", "alice"), ("ISSUER", IDP), ("CLIENT", "notebook")];
    let runbook = Runbook::open(site, "user-left", &variables);
    let seen = runbook.follow().out;
    assert!(seen.contains("notebook") && seen.contains("\"outcome\":\"granted\""), "{seen}");
    runbook.begin();
    runbook.follow();
    runbook.follow();
    for node in nodes {
        within_a_second("the user is refused", || users.exchange(node, "alice").status != 200);
        within_a_second("the user's tokens have ended", || !users.is_active(node, &alice));
        within_a_second("the client is refused", || node.server.ask("notebook", own).status == 401);
        assert!(users.is_active(node, &bob) && users.exchange(node, "bob").status == 200, "others go on");
    }
    runbook.done(NODES, "the user, its tokens and its client are refused at every node");
}

#[test]
fn se_06_the_runbook_for_wrong_secrets_names_source_and_client_and_no_other_client_is_harmed() {
    let Some(postgres) = Postgres::shared() else { return };
    let more = ["--failures-per-client", "10"];
    let cluster = Cluster::with(Site::on_postgres(postgres), &more, &[]);
    let (site, node) = (&cluster.site, &cluster.nodes[0]);
    let said = site.run(&["client", "add", "etl", "--json"]).done().json();
    let secret = said["client_secret"].as_str().unwrap();
    within_a_second("the client works", || node.server.ask("etl", secret).status == 200);
    let statuses: Vec<u16> = (0..30).map(|n| node.server.ask("etl", &format!("guess-{n}")).status).collect();
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    within_a_second("it is recorded", || {
        site.run(&["audit", "--outcome", "invalid_client"]).done().out.contains("\"client\":\"etl\"")
    });
    let runbook = Runbook::open(site, "wrong-secrets", &[("CLIENT", "etl")]);
    let seen = runbook.follow().out;
    assert!(seen.contains("\"source\":\"127.0.0.1\"") && seen.contains("\"client\":\"etl\""), "{seen}");
    assert!(node.figure("tokenberg_failed_authentications_total").is_some_and(|failed| failed >= 10.0));
    assert!(runbook.follow().out.contains("live"));
    for node in &cluster.nodes {
        within_a_second("the right secret is accepted, from the same source, too", || {
            node.server.ask("etl", secret).status == 200
        });
    }
    runbook.done(NODES, "source and client are known; the client was served all the time");
}

#[test]
fn se_06_the_runbook_for_a_refused_client_names_the_reason_and_the_command_that_helps() {
    let Some(postgres) = Postgres::shared() else { return };
    let cluster = Cluster::of(Site::on_postgres(postgres));
    let (site, nodes) = (&cluster.site, &cluster.nodes);
    let said = site.run(&["client", "add", "etl", "--scope", "catalog ns:read", "--json"]).done().json();
    let secret = said["client_secret"].as_str().unwrap();
    let form = format!("grant_type=client_credentials&client_id=etl&client_secret={secret}&scope=ns:write");
    // Equal refusals at one time would be one record.
    within_a_second("the client is known", || nodes[0].server.ask("etl", secret).status == 200);
    let refused = nodes[0].server.tokens(&form).body["error_description"].as_str().unwrap().to_owned();
    let request = refused.rsplit("request ").next().unwrap().trim_end_matches(')').to_owned();
    within_a_second("it is recorded", || !site.run(&["audit", "--request", &request]).done().out.is_empty());
    let variables = [
        ("CLIENT", "etl"),
        ("SINCE", "1h"),
        ("REQUEST_ID", &request),
        ("SCOPE", "ns:write"),
        ("ALLOWED", "catalog ns:read ns:write"),
    ];
    let runbook = Runbook::open(site, "refused-requests", &variables);
    for _ in 0..2 {
        let seen = runbook.follow().out;
        assert!(seen.contains("\"outcome\":\"invalid_scope\"") && seen.contains("ns:write"), "{seen}");
    }
    assert!(runbook.follow().out.contains("client added"));
    let advice = runbook.follow_to(1).out;
    let command = "tokenberg client change etl --scope 'catalog ns:read ns:write'";
    assert!(advice.contains(command), "{advice}");
    runbook.follow();
    for node in nodes {
        within_a_second("the request is granted", || node.server.tokens(&form).status == 200);
    }
    runbook.done(NODES, "the reason is known, and the request is granted at every node");
}

#[test]
fn se_06_the_runbook_for_the_tokens_of_a_user_lists_them_all() {
    let Some(users) = Users::new() else { return };
    let site = &users.cluster.site;
    // One at each node is from the start.
    let tokens: Vec<String> =
        users.nodes().iter().map(|node| users.exchange(node, "alice").token()).collect();
    users.exchange(&users.nodes()[0], "bob").token();
    users.until_recorded(&["--subject", "alice", "--issuer", IDP, "--outcome", "granted"], 6);
    let variables = [("USER_ID", "alice"), ("ISSUER", IDP), ("FROM", "1h"), ("TO", "+1m")];
    let runbook = Runbook::open(site, "tokens-of-a-user", &variables);
    let seen = runbook.follow().out;
    assert!(!seen.contains("\"subject\":\"bob\""), "{seen}");
    for token in &tokens {
        let claims = site.place.run_with(&["inspect", "--json"], token, &[]).done().json();
        let jti = claims["claims"]["jti"].as_str().or_else(|| claims["payload"]["jti"].as_str()).unwrap();
        assert!(seen.contains(jti), "{jti}: {seen}");
    }
    runbook.follow();
    runbook.done(NODES, "all tokens are listed, and the audit is verified");
}
