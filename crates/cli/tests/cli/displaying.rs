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
