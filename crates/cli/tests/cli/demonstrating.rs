//! The demo: a token and a first call to a catalog with what it prints, and nothing left behind.

use crate::support::{Place, get};
use std::process::{Command, Stdio};

#[test]
fn what_the_demo_prints_works_when_pasted() {
    let place = Place::new();
    let mut command = place.command();
    command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", place.path(""));
    let mut demo = place.started(command, Stdio::null()).unwrap_or_else(|said| panic!("{}", said.err));
    let lines = demo.lines();
    let credential = lines.iter().find_map(|line| line.trim().strip_prefix("\"credential\": \"")).unwrap();
    let credential = credential.trim_end_matches("\",");
    place.file("demo.credential", credential);
    assert_eq!(get(&format!("{}/v1/namespaces", demo.url)).status, 401);
    let line = ["token", "--server", &demo.url, "--secret-file", "demo.credential"];
    let token = place.run(&line).done().out;
    let answer = ureq::get(format!("{}/v1/namespaces", demo.url))
        .header("Authorization", format!("Bearer {}", token.trim()))
        .call()
        .unwrap();
    assert_eq!(answer.into_body().read_to_string().unwrap(), r#"{"namespaces":[["demo"]]}"#);

    if Command::new("curl").arg("--version").output().is_ok() {
        let at = lines.iter().position(|line| line.starts_with("echo ")).unwrap();
        let script = lines[at..at + 3]
            .join("\n")
            .replace("tokenberg token", &format!("{} token", env!("CARGO_BIN_EXE_tokenberg")));
        let output = Command::new("sh").args(["-c", &script]).current_dir(place.path("")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), r#"{"namespaces":[["demo"]]}"#, "{script}");
    } else {
        eprintln!("skipped: there is no curl here");
    }
    // A bound token is accepted with the proof that the command makes for the request, once.
    let key = rcgen::KeyPair::generate().unwrap();
    place.file("key.pem", &key.serialize_pem());
    let url = format!("{}/v1/namespaces", demo.url);
    let request = format!("GET {url}");
    let line = ["token", "--server", &demo.url, "--secret-file", "demo.credential", "--dpop-key", "key.pem"];
    let header = place.run(&[&line[..], &["--header", "--request", &request]].concat()).done().out;
    let fields: Vec<(&str, &str)> = header.lines().filter_map(|line| line.split_once(": ")).collect();
    let statuses = [(); 2].map(|()| {
        let config = ureq::get(&url).config().http_status_as_error(false).build();
        let request = fields.iter().fold(config, |request, (name, value)| request.header(*name, *value));
        request.call().unwrap().status().as_u16()
    });
    assert_eq!(statuses, [200, 401], "{fields:?}");

    demo.signal("TERM");
    assert_eq!(demo.ended().code(), Some(0), "{}", demo.log());
    let left = std::fs::read_dir(place.path("")).unwrap().flatten();
    let left: Vec<_> = left.map(|file| file.file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("tokenberg-demo")), "{left:?}");
}

#[test]
fn the_demo_listens_on_this_machine_only() {
    let place = Place::new();
    let said = place.run(&["demo", "--listen", "0.0.0.0:0"]);
    assert!(said.code == 2 && said.err.contains("loopback"), "{}", said.err);
    assert_eq!(place.run(&["demo", "--store", "sqlite:x"]).code, 2);
}
