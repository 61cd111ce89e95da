//! What every command line tool has: completions, man pages, `help`, and a version that says what was built.

use crate::support::Place;
use std::process::Command;

#[test]
fn completions_are_printed_for_each_shell_and_accepted_by_it() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).done().out;
        for word in ["federate", "--may-act-for", "tls_client_auth"] {
            // Two of the shells get only commands and options.
            let is_value = !word.starts_with("--") && word.contains('_');
            let has_values = matches!(shell, "bash" | "zsh" | "fish");
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word) || (is_value && !has_values), "{shell}: {word}");
        }
    }
    let script = place.run(&["completions", "bash"]).done().out;
    place.file("tokenberg.bash", &script);
    let complete = "source ./tokenberg.bash; COMP_WORDS=(tokenberg client sec); COMP_CWORD=2; \
                    _tokenberg tokenberg sec client; printf '%s\\n' \"${COMPREPLY[@]}\"";
    match Command::new("bash").args(["-c", complete]).current_dir(place.path("")).output() {
        Ok(done) => {
            assert_eq!(
                String::from_utf8_lossy(&done.stdout),
                "secret\n",
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        Err(error) => eprintln!("skipped: no bash here: {error}"),
    }
    let said = place.run(&["completions", "cmd"]);
    assert!(said.code == 2 && said.err.contains("powershell"), "{}", said.err);
}

#[test]
fn man_pages_are_written_for_every_command() {
    let place = Place::new();
    place.run(&["man", "pages/man1"]).done();
    for name in ["tokenberg", "tokenberg-serve", "tokenberg-client-secret-expire", "tokenberg-audit-verify"] {
        let page = std::fs::read_to_string(place.path("pages/man1").join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let page = std::fs::read_to_string(place.path("pages/man1/tokenberg-revoke.1")).unwrap();
    assert!(page.contains("dry\\-run") && page.contains("Examples:"), "{page}");
    assert!(page.contains(".SH NOTES") && !page.contains(".SH EXTRA"), "{page}");
    assert!(page.contains(r"[\fB\-\-before\fR \fITIME\fR]"), "the synopsis has values: {page}");
    place.file("taken", "");
    assert!(place.run(&["man", "taken"]).refused().err.contains("cannot write man pages to taken"));
    assert_eq!(place.run(&["man", "pages", "--store", "sqlite:x"]).code, 2, "an unused option is refused");
}

#[test]
fn help_and_version_are_commands_and_the_long_version_names_the_build() {
    let place = Place::new();
    let help = place.run(&["help"]).done().out;
    assert!(help.contains("Start here:") && help.contains("completions"), "{help}");
    let below = place.run(&["help", "client", "secret", "expire"]).done().out;
    assert!(below.contains("--dry-run"), "{below}");
    assert_eq!(below, place.run(&["client", "secret", "expire", "--help"]).done().out);
    let short = place.run(&["-V"]).done().out;
    assert_eq!(short, format!("tokenberg {}\n", env!("CARGO_PKG_VERSION")));
    let long = place.run(&["--version"]).done().out;
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines[0], short.trim_end());
    let commit = lines[1].strip_prefix("commit ").unwrap();
    let is_commit = commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{long}");
    assert!(lines[2].starts_with("features ") && lines.len() == 3, "{long}");
    let has_otlp = cfg!(feature = "otlp");
    assert_eq!(lines[2].contains("otlp"), has_otlp, "{long}");
}
