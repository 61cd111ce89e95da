//! The deployment files match the command: the unit, the image, the manifests, health checks, and the notifications to a service
//! manager.

use crate::support::{Place, within_a_second};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokenberg_testkit::Postgres;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap()
}

/// The next datagram.
fn notification(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).expect("the service manager is notified");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn op_30_op_13_the_service_manager_is_notified_of_each_state() {
    let place = Place::new();
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let first = ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root");
    let mut server = place.serve_with(&[], &[first, ("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(notification(&socket), "READY=1");
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200, "ready means ready");
    server.signal("HUP");
    assert_eq!((notification(&socket).as_str(), notification(&socket).as_str()), ("RELOADING=1", "READY=1"));
    server.signal("TERM");
    assert_eq!(notification(&socket), "STOPPING=1");
    assert_eq!(server.ended().code(), Some(0));
    // No process listens on the socket: the server starts all the same, and reports that.
    let server = place.serve_with(&[], &[("NOTIFY_SOCKET", place.path("nobody").to_str().unwrap())]);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    within_a_second("the log says so", || server.log().contains("cannot notify the service manager"));
}

#[cfg(target_os = "linux")]
#[test]
fn op_30_a_service_manager_may_listen_at_an_abstract_name() {
    use std::os::linux::net::SocketAddrExt;
    let place = Place::new();
    let name = format!("tokenberg-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _server = place.serve_with(&[], &[("NOTIFY_SOCKET", &format!("@{name}"))]);
    assert_eq!(notification(&socket), "READY=1");
}

/// The words of a text with this beginning, without the comments of the file formats.
fn words(text: &str, begin: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = text.split(|c: char| !is_word(c)).filter(|word| word.starts_with(begin));
    // `---` begins a document of YAML.
    words.filter(|word| word.trim_matches('-').len() > 1).map(str::to_owned).collect()
}

#[test]
fn op_12_flags_and_variables_in_the_deployment_files_exist() {
    let help = Place::new().run(&["serve", "--help"]).done().out;
    let flags = words(&help, "--");
    let mut known = words(&help, "TOKENBERG_");
    known.extend(["TOKENBERG_KEY", "TOKENBERG_BOOTSTRAP_CREDENTIAL"].map(str::to_owned));
    let mut found = BTreeSet::new();
    let chart = ["templates/_helpers.tpl", "templates/deployment.yaml", "templates/jobs.yaml", "values.yaml"];
    let chart = chart.map(|name| format!("helm/tokenberg/{name}"));
    let others = ["tokenberg.service", "Dockerfile", "compose.yaml", "kubernetes.yaml"].map(str::to_owned);
    for name in others.iter().chain(&chart) {
        let text = read(name);
        // Options of other commands in the same files; the last ones are of `key-encryption-key change` and of `.ci/chart`.
        let of_others = [
            &["--parents", "--from-literal", "--from-file", "--from", "--release", "--locked", "--mount"][..],
            &["--audience", "--build", "--encoding", "--locale", "--project-directory", "--rm", "--profile"],
            &["--interval", "--timeout", "--start-period"],
        ]
        .concat();
        let of_others = [of_others, vec!["--new-key-file", "--write"]].concat();
        let ours: BTreeSet<String> =
            words(&text, "--").into_iter().filter(|flag| !of_others.contains(&flag.as_str())).collect();
        let unknown: Vec<_> = ours.iter().filter(|flag| !flags.contains(*flag)).collect();
        assert!(unknown.is_empty(), "{name} has flags that `serve` has not: {unknown:?}");
        let unknown: Vec<_> =
            words(&text, "TOKENBERG_").into_iter().filter(|variable| !known.contains(variable)).collect();
        assert!(unknown.is_empty(), "{name} has variables that are not read: {unknown:?}");
        found.extend(ours);
    }
    assert!(found.len() >= 6, "{found:?}");
}

#[test]
fn op_12_compose_accepts_the_file_and_tokenberg_accepts_what_it_sets() {
    let place = Place::new();
    let file = read("compose.yaml");
    let command = file.lines().find_map(|line| line.trim().strip_prefix("command: [serve, ")).unwrap();
    let arguments = command.trim_end_matches(']').replace([',', '"'], "").replace(":8183", ":0");
    let arguments: Vec<&str> = std::iter::once("check").chain(arguments.split_whitespace()).collect();
    let issuer = file.lines().find_map(|line| line.trim().strip_prefix("TOKENBERG_ISSUER: ")).unwrap();
    let said = place.run_with(&arguments, "", &[("TOKENBERG_ISSUER", issuer)]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(arguments.len() > 3, "{arguments:?}");
    let output = Command::new("docker-compose")
        .arg("--file")
        .arg(deploy().join("compose.yaml"))
        .args(["config", "--services"])
        .envs([("POSTGRES_PASSWORD", "p"), ("ROOT_SECRET", "r")])
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no docker-compose here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let services: BTreeSet<&str> = said.split_whitespace().collect();
    assert!(
        ["polaris", "postgres", "setup", "tokenberg"].iter().all(|name| services.contains(name)),
        "{said}"
    );
}

#[test]
fn op_12_a_build_of_the_image_reads_sources_only() {
    let ignored = fs::read_to_string(deploy().join("../../.dockerignore")).unwrap();
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.first(), Some(&"*"), "everything is left out that is not named");
    for kept in lines.iter().filter_map(|line| line.strip_prefix('!')) {
        assert!(
            ["Cargo.toml", "Cargo.lock", "crates", "examples"].contains(&kept),
            "{kept} reaches the build"
        );
    }
    for never in ["**/target", "**/*.db", "**/*.key"] {
        assert!(lines.contains(&never), "{never} could be in a layer of the image");
    }
}

#[test]
fn op_12_the_arguments_of_the_manifest_are_accepted() {
    let place = Place::new();
    let manifest = read("kubernetes.yaml");
    let arguments: Vec<String> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(|item| item.trim_matches('"').replace(":8183", ":0").replace(":9183", ":0"))
        .filter(|item| item.starts_with("--"))
        .collect();
    assert!(arguments.len() >= 6, "{arguments:?}");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let issuer = [("TOKENBERG_ISSUER", "https://tokens.example")];
    let said = place.run_with(&[&["check"][..], &arguments].concat(), "", &issuer);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn op_12_every_setting_of_the_chart_is_a_setting_of_serve() {
    let schema: serde_json::Value = serde_json::from_str(&read("helm/tokenberg/values.schema.json")).unwrap();
    let of_chart = &schema["properties"]["settings"];
    assert_eq!(of_chart["additionalProperties"], false);
    let printed = Place::new().run(&["serve", "--print-config"]).done().out;
    let keys = printed.lines().filter_map(|line| line.trim_start_matches('#').split_once(" = "));
    let keys: BTreeSet<&str> = keys.map(|(key, _)| key).collect();
    let of_chart: BTreeSet<&str> =
        of_chart["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let unknown: Vec<_> = of_chart.difference(&keys).collect();
    assert!(unknown.is_empty() && of_chart.len() > 15, "`serve` has no such settings: {unknown:?}");
}

/// Each object that the schema describes lists its members, and the values file has no other ones.
#[test]
fn op_12_the_values_of_the_chart_are_closed() {
    fn check(schema: &serde_json::Value, path: &str) -> usize {
        let Some(properties) = schema["properties"].as_object() else { return 0 };
        assert_eq!(schema["additionalProperties"], false, "{path} accepts every name");
        properties.iter().map(|(name, below)| check(below, &format!("{path}.{name}"))).sum::<usize>() + 1
    }
    let schema: serde_json::Value = serde_json::from_str(&read("helm/tokenberg/values.schema.json")).unwrap();
    let closed = check(&schema, "values") + check(&schema["definitions"]["file"], "file");
    assert!(closed > 12, "{closed}");
    let version = format!("\nappVersion: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(read("helm/tokenberg/Chart.yaml").contains(&version), "the chart is for another version");
}

#[test]
fn op_12_systemd_accepts_the_unit_and_rates_it_as_hardened() {
    let place = Place::new();
    let unit = read("tokenberg.service").replace("/usr/local/bin/tokenberg", env!("CARGO_BIN_EXE_tokenberg"));
    let unit = place.file("tokenberg.service", &unit);
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&unit).output();
    let Ok(output) = analyze(&["verify"]) else {
        println!("skipped: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("tokenberg.service"), "{said}");
    let output = analyze(&["security", "--offline=true", "--threshold=20"]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "its exposure is over 2.0: {said}");
}

#[test]
fn op_12_manifests_and_alerts_are_yaml_with_the_expected_content() {
    let program = "import sys, yaml\n\
        docs = [d for d in yaml.safe_load_all(open(sys.argv[1]))]\n\
        kinds = sorted(d['kind'] for d in docs)\n\
        assert kinds == ['Deployment', 'Job', 'Namespace', 'NetworkPolicy', 'PodDisruptionBudget', 'Service'], kinds\n\
        spec = next(d for d in docs if d['kind'] == 'Deployment')['spec']\n\
        pod = spec['template']['spec']\n\
        container = pod['containers'][0]\n\
        assert spec['replicas'] == 2 and pod['securityContext']['runAsNonRoot']\n\
        assert container['securityContext']['readOnlyRootFilesystem']\n\
        assert container['readinessProbe']['httpGet']['path'] == '/readyz'\n\
        assert container['livenessProbe']['httpGet']['path'] == '/healthz'\n\
        of_job = next(d for d in docs if d['kind'] == 'Job')['spec']['template']['spec']\n\
        job = of_job['containers'][0]\n\
        assert job['args'] == ['init'] and job['image'] == container['image']\n\
        named = lambda c: {v['name'] for v in c['env']}\n\
        assert named(job) - named(container) == {'TOKENBERG_BOOTSTRAP_CREDENTIAL'}, 'a node makes no store'\n\
        paths = [i['path'] for s in pod['volumes'][0]['projected']['sources'] for i in s[list(s)[0]]['items']]\n\
        assert sorted(paths) == ['key', 'next-key', 'store-ca.crt', 'store-password'], paths\n\
        files = {v['value'].rpartition('=')[2] for v in container['env'] if '/etc/tokenberg/' in v.get('value', '')}\n\
        assert files == {'/etc/tokenberg/' + path for path in paths}, files\n\
        rules = [r for g in yaml.safe_load(open(sys.argv[2]))['groups'] for r in g['rules']]\n\
        assert len(rules) > 5 and all(r['alert'] and r['expr'] and r['labels']['severity'] for r in rules)\n";
    let is_there = Command::new("python3").args(["-c", "import yaml"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no python3 with yaml here");
        return;
    }
    let output = Command::new("python3")
        .args(["-c", program])
        .args([deploy().join("kubernetes.yaml"), deploy().join("../alerts.yaml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn se_07_the_alerts_for_the_error_budget_count_503_and_not_429() {
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/alerts.test.yaml");
    let output = match Command::new("promtool").args(["test", "rules"]).arg(test).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: there is no promtool here: {error}");
            return;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn op_13_ready_asks_the_server_and_exits_as_a_health_check_does() {
    let place = Place::new();
    let mut server = place.serve(&["--ops-listen", "127.0.0.1:0", "--drain-delay", "60s"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let said = place.run(&["ready", &operations]).done();
    assert!(said.out.starts_with("ready") && said.err.is_empty(), "{} {}", said.out, said.err);
    assert_eq!(place.run(&["ready", "--live", &operations]).done().out, "ok\n");
    assert_eq!(place.run(&["ready", "--json", &operations]).done().json()["ready"], true);
    // The address from the variable or the file of the server, also where the server listens on every address.
    let port = operations.rsplit_once(':').unwrap().1;
    let listening = format!("0.0.0.0:{port}");
    place.run_with(&["ready"], "", &[("TOKENBERG_OPS_LISTEN", &listening)]).done();
    place.file("tokenberg.toml", &format!("ops-listen = \"{listening}\"\nstore = \"sqlite:elsewhere.db\"\n"));
    place.run(&["ready", "--config", "tokenberg.toml"]).done();
    assert!(!place.path("elsewhere.db").exists());

    server.signal("TERM");
    within_a_second("it drains", || place.run(&["ready", &operations]).code == 1);
    let said = place.run(&["ready", &operations]).refused();
    assert!(said.err.contains("draining") && said.err.contains("503"), "{}", said.err);
    let said = place.run(&["ready", "--json", &operations]);
    assert!(said.code == 1 && said.json()["text"] == "draining" && said.err.is_empty(), "{}", said.err);
    place.run(&["ready", "--live", &operations]).done();
    server.signal("TERM");
    server.ended();
    let said = place.run(&["ready", &operations]).refused();
    assert!(said.err.contains("no server listens"), "{}", said.err);

    assert!(place.run(&["ready"]).refused().err.contains("TOKENBERG_OPS_LISTEN"));
    let said = place.run_with(&["ready"], "", &[("TOKENBERG_OPS_LISTEN", "127.0.0.1:0")]).refused();
    assert!(said.err.contains("operations on"), "{}", said.err);
    for wrong in
        ["127.0.0.1:9183", "http://127.0.0.1:9183/readyz", "ftp://127.0.0.1", "http://127.0.0.1:9183#x"]
    {
        assert_eq!(place.run(&["ready", wrong]).code, 2, "{wrong}");
    }
    assert_eq!(place.run(&["ready", &operations, "--store", "sqlite:x.db"]).code, 2);
}

#[test]
fn a_12_a_server_that_starts_before_its_database_ends_so_that_the_unit_starts_it_again() {
    let unit = read("tokenberg.service");
    let (of_unit, of_service) = unit.split_once("[Service]").unwrap();
    let has = |text: &str, line: &str| text.lines().any(|found| found == line);
    // Without the first, five ends within ten seconds would be the last start.
    assert!(has(of_unit, "StartLimitIntervalSec=0") && has(of_service, "Restart=on-failure"));
    let Some(postgres) = Postgres::start() else { return };
    let place = Place::new();
    let url = postgres.url(&postgres.database());
    let variables = [("TOKENBERG_STORE", url.as_str()), ("TOKENBERG_KEY_FILE", "key")];
    place.run_with(&["init"], "", &variables).done();
    postgres.stop("fast");
    let start = || place.start(&["--issuer", "http://localhost"], &variables);
    for _ in 0..6 {
        // systemd restarts `on-failure` what ends with this code.
        let said = start().err().unwrap().refused();
        assert!(said.err.contains("cannot be opened"), "{}", said.err);
    }
    postgres.start_again();
    assert!(start().is_ok());
}
