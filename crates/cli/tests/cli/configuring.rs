//! The settings of a server by flag, variable and file, as an operator meets them; conformance OP-12 and OP-13.

use crate::support::{Place, get, terminal, within_a_second};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tokenberg.example.toml");
    fs::read_to_string(path).unwrap()
}

#[test]
fn op_12_the_example_is_what_serve_prints_and_can_be_served() {
    let place = Place::new();
    let printed = place.run(&["serve", "--print-config"]).done();
    assert_eq!(
        example(),
        printed.out,
        "print it again: tokenberg serve --print-config > docs/tokenberg.example.toml"
    );
    assert_eq!(printed.err, "");
    let config = place.file("t.toml", &example());
    let from_file = place.run(&["serve", "--print-config", "--config", &config]).done().out;
    let without_origins = |text: &str| {
        let values = text.lines().filter(|line| !line.starts_with('#'));
        values
            .map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(without_origins(&from_file), without_origins(&example()));
    assert!(from_file.contains("# from ") && !from_file.contains("# default"), "{from_file}");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "printing makes no store");
    let server = place.serve(&["--config", &config]);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
}

#[test]
fn op_12_every_mistake_in_the_file_is_reported_with_its_line() {
    let place = Place::new();
    for (text, expected) in [
        ("lisen = 1", &["unknown key `lisen` at t.toml:1, did you mean `listen`?"][..]),
        ("tls_crt = \"x\"", &["unknown key `tls_crt` at t.toml:1, did you mean `tls-cert`?"]),
        ("zzz = 1", &["unknown key `zzz` at t.toml:1"]),
        ("\"a\\nb\\u001b[31m\\u202e\" = 1", &["unknown key `a\\nb\\u{1b}[31m\\u{202e}` at t.toml:1"]),
        ("config = \"other.toml\"", &["unknown key `config` at t.toml:1"]),
        ("json = true", &["unknown key `json` at t.toml:1"]),
        (
            "[server]\nlisten = \"127.0.0.1:0\"",
            &["unknown key `server.listen` at t.toml:2, did you mean `listen`?"],
        ),
        ("audit.queue = 5", &["unknown key `audit.queue` at t.toml:1, did you mean `audit-queue`?"]),
        (
            "workers = \"2\"",
            &["wrong type for `workers` at t.toml:1: expected a whole number, found a string"],
        ),
        (
            "workers = 1.5",
            &["wrong type for `workers` at t.toml:1: expected a whole number, found a fraction"],
        ),
        (
            "workers = 0",
            &["invalid value \"0\" for `workers` at t.toml:1: expected a whole number from 1 to 1024"],
        ),
        ("audit-queue = -1", &["`audit-queue` at t.toml:1: expected a whole number from 1 to 4294967295"]),
        (
            "audit-queue = 99999999999",
            &["`audit-queue` at t.toml:1: expected a whole number from 1 to 4294967295"],
        ),
        (
            "listen = 8183",
            &["wrong type for `listen` at t.toml:1: expected a string such as \"127.0.0.1:8183\""],
        ),
        (
            "listen = \"localhost\"",
            &["invalid value \"localhost\" for `listen` at t.toml:1: expected an IP address and a port"],
        ),
        ("trusted-proxy = \"10.0.0.0/8\"", &["expected an array of strings, found a string"]),
        ("trusted-proxy = [5]", &["expected an array of strings, found an array of other values"]),
        ("strict-iceberg-errors = \"yes\"", &["expected true or false such as false, found a string"]),
        (
            "drain-delay = 5",
            &["`drain-delay` at t.toml:1: expected a string such as \"5s\", found a whole number"],
        ),
        ("drain-delay = \"5\"", &["`drain-delay` at t.toml:1: expected a duration, such as 2s, 15m"]),
        (
            "log-format = \"jsn\"",
            &["`log-format` at t.toml:1: expected `text` or `json`; did you mean `json`?"],
        ),
        ("log = \"=\"", &["`log` at t.toml:1: expected a filter"]),
        ("alg = 2026-11-30", &["found a date or time"]),
        ("workers = 1\nworkers = 2", &["syntax error at t.toml:2: duplicate key"]),
        ("tls-cert = \"a\"\ntls_cert = \"b\"", &["duplicate key `tls-cert` at t.toml:2"]),
        (
            "store = postgres://u:hush@h/d",
            &["syntax error at t.toml:1: the value is neither a number nor a string in quotes"],
        ),
        (
            "store = \"postgres://u:hush@h:x/d\"",
            &["invalid value for `store` at t.toml:1: a PostgreSQL store is written"],
        ),
        ("store = [\"postgres://u:hush@h/d\"]", &["wrong type for `store` at t.toml:1"]),
        ("\n\nlisen = 1\n# \nworkers = 0\n", &["`lisen` at t.toml:3", "`workers` at t.toml:5"]),
    ] {
        place.file("t.toml", text);
        for command in ["serve", "check"] {
            let said = place.run(&[command, "--config", "t.toml"]);
            let (lines, begin) = if command == "serve" {
                (&said.err, "error: ")
            } else {
                (&said.out, "problem  configuration: ")
            };
            let found: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix(begin)).collect();
            assert_eq!((said.code, found.len()), (1, expected.len()), "{text}: {lines}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{text}: {found}");
            }
            // The default may be another store than the intended one.
            assert!(command == "serve" || lines.contains("note     store: not checked"), "{lines}");
            assert!(!lines.contains("hush"), "{lines}");
        }
        // Other commands that read the file report the same.
        assert!(place.run(&["client", "list", "--config", "t.toml"]).err.contains(expected[0]), "{text}");
    }
}

#[test]
fn op_12_variables_are_named_in_errors_and_unknown_ones_are_warned_of() {
    let place = Place::new();
    let check = |variables: &[(&str, &str)]| place.run_with(&["check"], "", variables);
    for (name, value, expected) in [
        ("TOKENBERG_WORKERS", "two", "invalid value \"two\" for TOKENBERG_WORKERS: expected a whole number"),
        (
            "TOKENBERG_LISTEN",
            "x",
            "invalid value \"x\" for TOKENBERG_LISTEN: expected an IP address and a port",
        ),
        (
            "TOKENBERG_STORE",
            "postgres://u:hush@h:x/d",
            "invalid value for TOKENBERG_STORE: a PostgreSQL store",
        ),
        ("RUST_LOG", "=", "invalid value \"=\" for RUST_LOG: expected a filter"),
    ] {
        let said = place.run_with(&["serve"], "", &[(name, value)]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(
            said.err.starts_with(&format!("error: {expected}")) && !said.err.contains("hush"),
            "{}",
            said.err
        );
        let said = check(&[(name, value)]);
        assert!(
            said.code == 1 && said.out.contains(&format!("problem  configuration: {expected}")),
            "{}",
            said.out
        );
    }
    for (name, note) in [
        ("TOKENBERG_LISEN", "unknown variable TOKENBERG_LISEN, did you mean TOKENBERG_LISTEN?"),
        ("TOKENBERG_CLIENT_SECRT", "did you mean TOKENBERG_CLIENT_SECRET?"),
        ("TOKENBERG_ZZZ", "unknown variable TOKENBERG_ZZZ\n"),
    ] {
        let said = check(&[(name, "hush")]).done();
        assert!(said.out.contains(note) && !said.out.contains("hush"), "{}", said.out);
        let said = place.run_with(&["serve", "--print-config"], "", &[(name, "hush")]).done();
        assert!(said.err.contains(note) && said.out == example(), "{}", said.err);
    }
    // Compose files set variables to the empty string, and Kubernetes sets these where a service is called tokenberg.
    for (name, value) in [
        ("TOKENBERG_LISTEN", ""),
        ("TOKENBERG_WORKERS", "\n"),
        ("TOKENBERG_CONFIG", ""),
        ("TOKENBERG_KEY", ""),
        ("TOKENBERG_STRICT_ICEBERG_ERRORS", ""),
        ("TOKENBERG_PORT", "tcp://10.0.0.1:8183"),
        ("TOKENBERG_SERVICE_HOST", "10.0.0.1"),
        ("TOKENBERG_PORT_8183_TCP_ADDR", "10.0.0.1"),
    ] {
        let said = place.run_with(&["serve", "--print-config"], "", &[(name, value)]).done();
        assert_eq!((said.out, said.err), (example(), String::new()), "{name}");
    }
}

#[test]
fn op_13_changed_settings_are_reloaded_or_named_and_a_mistake_changes_nothing() {
    let place = Place::new();
    let config = place.file("t.toml", "log = \"info\"\n");
    let server = place.serve(&["--config", &config, "--workers", "1"]);
    let mut length = 0;
    let mut reload = |text: &str| {
        place.file("t.toml", text);
        server.signal("HUP");
        let mut log = String::new();
        within_a_second("the file is reloaded", || {
            log = server.log()[length..].to_owned();
            log.contains("reloaded the configuration") || log.contains("the old one stays in effect")
        });
        length += log.len();
        log
    };
    let log = reload(
        "log = \"info\"\ndrain_delay = \"1m\"\nstore = \"sqlite:b.db\"\nworkers = 3\nrotate-keys-every = \"90d\"",
    );
    let named: Vec<_> =
        log.lines().filter_map(|line| line.split_once(" has changed; restart the server")).collect();
    let names = named.iter().map(|(line, _)| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["drain-delay", "store"], "a flag takes precedence over the file: {log}");
    let log = reload("log = \"error\"\nlisen = 1\nworkers = 0\n");
    assert!(log.contains("`lisen`") && log.contains("t.toml:2, did you mean `listen`?"), "{log}");
    assert!(log.contains("`workers`") && log.contains("t.toml:3"), "all mistakes: {log}");
    let log = reload("tls-client-ca = \"ca.pem\"\nlog = \"error\"\n");
    assert!(log.contains("--tls-client-ca needs --tls-cert"), "settings that do not fit together: {log}");
    assert!(reload("log = \"info\"\n").contains("reloaded the configuration"));
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
}

#[test]
fn op_12_respond_reads_its_settings_from_the_file_of_the_server() {
    let place = Place::new();
    let config = place.file("t.toml", "issuer = \"https://file.example\"\nstrict-iceberg-errors = true\n");
    drop(place.serve(&[]));
    let form = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root";
    let respond = |flags: &[&str], form: &str| {
        place.run_with(&[&["respond", "--config", &config], flags].concat(), form, &[]).json()
    };
    for (flags, issuer) in
        [(&[][..], "https://file.example"), (&["--issuer", "https://flag.example"], "https://flag.example")]
    {
        let token = respond(flags, form)["body"]["access_token"].as_str().unwrap().to_owned();
        place.file("token", &token);
        assert!(place.run(&["inspect", "token"]).done().out.contains(issuer), "{flags:?}");
    }
    let form = format!("{form}&audience=x");
    for (flags, code) in
        [(&[][..], "invalid_request"), (&["--strict-iceberg-errors=false"], "invalid_target")]
    {
        assert_eq!(respond(flags, &form)["body"]["error"], code, "{flags:?}");
    }
}

#[test]
fn op_13_a_server_without_a_file_ends_when_its_terminal_is_closed() {
    for (has_file, has_terminal, ends) in [(false, true, true), (true, true, false), (false, false, false)] {
        let place = Place::new();
        place.file("t.toml", "");
        let (ours, theirs) = terminal();
        let mut command = place.command();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        if has_file {
            command.args(["--config", "t.toml"]);
        }
        let input = if has_terminal { theirs.into() } else { Stdio::null() };
        let mut server = place.started(command, input).unwrap_or_else(|said| panic!("{}", said.err));
        server.signal("HUP");
        within_a_second("the terminal is still there", || {
            server.log().contains("reloaded the configuration")
        });
        drop(ours);
        if ends {
            // Another process that this program starts at the same moment has a copy of the terminal until it runs its own program.
            within_a_second("the server ends", || {
                server.signal("HUP");
                !server.is_running()
            });
            assert_eq!(server.ended().code(), Some(0), "{}", server.log());
            assert!(server.log().contains("the terminal was closed"), "{}", server.log());
        } else {
            server.signal("HUP");
            within_a_second("it is reloaded again", || {
                server.log().matches("reloaded the configuration").count() == 2
            });
            assert_eq!(get(&format!("{}/.well-known/jwks.json", server.url)).status, 200);
        }
    }
}

#[test]
fn op_12_the_log_is_colored_only_on_a_terminal_that_allows_it() {
    for (variables, is_colored) in [
        (&[("TERM", "xterm")][..], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "")], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let place = Place::new();
        let (mut ours, theirs) = terminal();
        // The server ends after its first lines, because the port is in use.
        let used = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = used.local_addr().unwrap().to_string();
        let mut command = place.command();
        command
            .args(["serve", "--listen", &address])
            .envs(variables.iter().copied())
            .env("TOKENBERG_ZZZ", "1");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
        drop(command);
        let mut log = Vec::new();
        // Linux reports an error at the end of a terminal.
        let _ = ours.read_to_end(&mut log);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let log = String::from_utf8(log).unwrap();
        assert!(log.contains("unknown variable TOKENBERG_ZZZ") && log.contains("ss -ltnp"), "{log}");
        assert_eq!(log.contains('\u{1b}'), is_colored, "{variables:?} {log}");
    }
}
