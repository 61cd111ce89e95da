//! Three nodes behind a load balancer of layer 4 are restarted one by one; conformance OP-30.

use crate::cluster::Cluster;
use crate::facts::Facts;
use crate::load::Load;
use crate::node::Node;
use crate::report::{End, Fault};
use crate::site::Site;
use crate::support::within_a_second;
use crate::tally::{Tally, count};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokenberg_testkit::{Postgres, free_port};

/// HAProxy in TCP mode, which asks every node whether it is ready.
struct Balancer {
    process: Child,
    url: String,
}

impl Balancer {
    /// `None` without HAProxy.
    fn start(site: &Site, nodes: &[[u16; 2]]) -> Option<Self> {
        let port = free_port();
        let server = |(n, [port, operations]): (usize, &[u16; 2])| {
            format!("    server node{n} 127.0.0.1:{port} check port {operations}\n")
        };
        let servers: String = nodes.iter().enumerate().map(server).collect();
        let file = site.place.file(
            "haproxy.cfg",
            &format!(
                "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\n\
                 listen nodes\n    bind 127.0.0.1:{port}\n    balance roundrobin\n    option httpchk GET /readyz\n    \
                 http-check expect status 200\n    default-server inter 100ms fall 1 rise 1\n{servers}"
            ),
        );
        let started =
            Command::new("haproxy").args(["-f", &file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(process) = started else {
            println!("skipped: HAProxy is not installed");
            return None;
        };
        let balancer = Self { process, url: format!("http://127.0.0.1:{port}") };
        within_a_second("the balancer listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(balancer)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn op_30_three_nodes_are_restarted_one_by_one_behind_layer_4_without_a_failed_request() {
    let Some(postgres) = Postgres::shared() else { return };
    let site = Site::on_postgres(postgres);
    let addresses = [(); 3].map(|()| [free_port(), free_port()]);
    let started = |[port, operations]: [u16; 2]| {
        let (listen, operations) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{operations}"));
        Node::at(&site, &["--listen", &listen, "--ops-listen", &operations, "--drain-delay", "2s"])
    };
    let mut nodes: Vec<Node> = addresses.into_iter().map(started).collect();
    let Some(balancer) = Balancer::start(&site, &addresses) else { return };
    let (tally, facts) = (Tally::default(), Facts::default());
    let mut load = Load::of(&site, &balancer.url, &tally, &facts);
    load.pace = Duration::from_millis(20);
    let through = |node: &Node| node.figure("tokenberg_connections_total").unwrap_or_default() > 0.0;
    within_a_second("the balancer has found every node", || {
        let _ = TcpStream::connect(balancer.url.trim_start_matches("http://"));
        nodes.iter().all(through)
    });
    load.during(2, || {
        for (node, address) in nodes.iter_mut().zip(addresses) {
            load.until_answered(30);
            node.server.signal("TERM");
            assert_eq!(node.server.ended().code(), Some(0));
            *node = started(address);
            within_a_second("the balancer has found it again", || through(node));
        }
        load.until_answered(30);
    });
    drop(load);
    let fault = Fault {
        what: "three nodes behind a balancer of layer 4 (HAProxy, `mode tcp`) are restarted one by one, `--drain-delay 2s`",
        clients: "200",
        lost: "nothing that was acknowledged",
    };
    assert_eq!((count(&tally.lost), count(&tally.unavailable)), (0, 0));
    let cluster = Cluster { nodes, tally, facts, site };
    cluster.until_recovered();
    let end = End { back: None, facts: cluster.facts.len(), honored: cluster.honored() };
    fault.report(&cluster.tally, &end);
    assert_eq!(end.honored, 0);
    cluster.site.assert_whole();
}
