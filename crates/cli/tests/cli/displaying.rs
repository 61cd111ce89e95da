//! No registered text controls the terminal of an operator or forges a line on it: SE-05.

use crate::support::{Place, Said};
use tokenberg_core::text::is_unsafe_to_display;

const IDP: &str = "https://idp.example";
/// A line that looks like another fact, an escape, a direction override and a C1 control.
const EVIL: [&str; 4] = ["a\nclient id  evil", "a\u{1b}[2K", "a\u{202e}b", "a\u{9b}31m"];

fn is_safe(said: &Said) -> bool {
    let is_odd = |c: char| c != '\n' && is_unsafe_to_display(c);
    !said.out.chars().chain(said.err.chars()).any(is_odd)
        && !said.out.lines().chain(said.err.lines()).any(|line| line.starts_with("client id  evil"))
}

#[test]
fn se_05_no_option_registers_a_text_that_controls_a_terminal_or_forges_a_line() {
    let place = Place::new();
    place.add("etl", &[]);
    place.run(&["issuer", "add", IDP, "--discover", "--no-fetch"]).done();
    let before = place.run(&["export"]).done().out;
    for evil in EVIL {
        let (of_issuer, of_claim) = (format!("{IDP}|{evil}"), format!("groups={evil}:x"));
        let (by_claim, subject) = (format!("{evil}=a:x"), format!("CN={evil}"));
        for option in [
            ["--audience", evil],
            ["--serves", evil],
            ["--may-act-for", &of_issuer],
            ["--may-impersonate", &of_issuer],
            ["--may-assert-users", evil],
            ["--label", &format!("owner={evil}")],
        ] {
            for command in [["client", "change", "etl"], ["client", "add", "new"]] {
                let said = place.run(&[&command[..], &option].concat());
                assert!(said.code == 2 && is_safe_error(&said), "{command:?} {option:?}: {:?}", said.err);
            }
        }
        let certificate =
            ["client", "add", "new", "--auth-method", "tls_client_auth", "--tls-subject", &subject];
        let said = place.run(&certificate);
        assert!(said.code == 2 && is_safe_error(&said), "{:?}", said.err);
        for option in [
            ["--audience", evil],
            ["--map", &of_claim],
            ["--map", &by_claim],
            ["--subject-claim", evil],
            ["--subject-prefix", evil],
        ] {
            let changed = place.run(&[&["issuer", "change", IDP, "--no-fetch"][..], &option].concat());
            let new = ["issuer", "add", "https://new.example", "--discover", "--no-fetch"];
            for said in [changed, place.run(&[&new[..], &option].concat())] {
                assert!(said.code == 2 && is_safe_error(&said), "{option:?}: {:?}", said.err);
            }
        }
        let said = place.run(&["client", "federate", "etl", "--issuer", IDP, "--subject", evil]);
        assert!(said.code == 2 && is_safe_error(&said), "{:?}", said.err);
        // What is not found is repeated.
        for command in [["key", "show", evil], ["client", "show", evil], ["key", "revoke", evil]] {
            let said = place.run(&command);
            assert!(matches!(said.code, 1 | 2) && is_safe_error(&said), "{command:?} {:?}", said.err);
        }
        let said = place.run(&["key", "show", evil]);
        assert_eq!(said.err.trim_end().lines().count(), 1, "{:?}", said.err);
    }
    assert_eq!(place.run(&["export"]).done().out, before);
}

/// Messages about arguments may have several lines, none of which is the argument's own.
fn is_safe_error(said: &Said) -> bool {
    said.out.is_empty() && !said.err.chars().any(|c| c != '\n' && is_unsafe_to_display(c))
}

/// An earlier version registered such texts.
#[test]
fn se_05_what_an_earlier_version_registered_is_shown_escaped_and_can_be_corrected() {
    let place = Place::new();
    place.add("etl", &["--serves", "MARK"]);
    place.run(&["issuer", "add", IDP, "--discover", "--no-fetch", "--audience", "MARK"]).done();
    for evil in EVIL {
        let json = serde_json::to_string(evil).unwrap();
        let statement = format!(
            "UPDATE clients SET rights = replace(rights, '\"MARK\"', '{json}'); UPDATE issuers SET trust = replace(trust, '\"MARK\"', '{json}');"
        );
        if !place.sql(&statement) {
            return;
        }
        for command in [
            &["client", "show", "etl"][..],
            &["client", "list"],
            &["client", "change", "etl", "--token-lifetime", "15m"],
            &["issuer", "show", IDP],
            &["issuer", "change", IDP, "--leeway", "10s", "--no-fetch"],
            &["export"],
            &["export", "--json"],
        ] {
            let said = place.run(command).done();
            assert!(is_safe(&said), "{command:?}: {:?} {:?}", said.out, said.err);
        }
        let exported = place.run(&["export"]).done().out;
        let document: toml::Table = toml::from_str(&exported).unwrap();
        assert_eq!(document["clients"]["etl"]["serves"][0].as_str(), Some(evil), "{exported}");
        place.run(&["client", "change", "etl", "--serves", "MARK"]).done();
        place.run(&["issuer", "change", IDP, "--audience", "MARK", "--no-fetch"]).done();
    }
}
