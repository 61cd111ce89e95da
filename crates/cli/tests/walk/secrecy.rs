//! Checks that no secret and no token is in a log or in the audit.

use crate::server::OnServer;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// The longest base64url text in a log or record that may begin as a token does: an identifier of 22 characters.
const LONGEST: usize = 32;

pub fn check(site: &OnServer) {
    let mut secrets: Vec<&str> = site.secrets().collect();
    secrets.push("first-secret-of-root");
    for entry in std::fs::read_dir(site.place.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-")) {
            let log = BufReader::new(std::fs::File::open(&path).unwrap());
            log.lines().for_each(|line| check_line(&line.unwrap(), &secrets));
        }
    }
    let mut command = site.place.command();
    let mut audit = command.arg("audit").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(audit.stdout.take().unwrap()).lines();
    let records = lines.map(|line| check_line(&line.unwrap(), &secrets)).count();
    assert!(audit.wait().unwrap().success() && records > 0);
}

fn check_line(line: &str, secrets: &[&str]) {
    let is_token = line.split("eyJ").skip(1).any(|rest| {
        rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count() > LONGEST
    });
    assert!(!is_token, "a token: {line}");
    assert!(!secrets.iter().any(|secret| line.contains(secret)), "a secret: {line}");
}
