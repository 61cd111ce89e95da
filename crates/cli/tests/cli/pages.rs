//! The commands of the documents run, in their order, on a new store; every snippet states what checks it, and every link leads on.

use crate::foreign::claims;
use crate::support::{Place, within_a_second};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tokenberg_testkit::ForeignKey;

const KEY: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1""#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The README, and the pages about Kubernetes, engines, catalogs and identity providers.
fn pages() -> Vec<PathBuf> {
    let folders = ["engines", "catalogs", "identity-providers"];
    let mut pages = vec![root().join("README.md"), root().join("docs/kubernetes.md")];
    pages.extend(folders.iter().flat_map(|folder| documents(&root().join("docs").join(folder))));
    assert!(pages.len() > 25, "{pages:?}");
    pages
}

/// A fenced block: the words after its fence, and its text.
struct Snippet {
    words: Vec<String>,
    text: String,
}

impl Snippet {
    fn is(&self, words: &[&str]) -> bool {
        self.words == words
    }
}

fn snippets(page: &Path) -> Vec<Snippet> {
    let text = fs::read_to_string(page).unwrap();
    let (mut found, mut open) = (Vec::new(), None::<Snippet>);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(words), None) => {
                let words = words.split_whitespace().map(str::to_owned).collect();
                open = Some(Snippet { words, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(snippet)) => snippet.text.extend([line, "\n"]),
            (None, None) => {
                assert!(
                    !line.starts_with("    ") || line.trim_start().starts_with(['-', '*', '1']),
                    "{}: {line:?} is a snippet without a fence",
                    page.display()
                );
            }
        }
    }
    assert!(open.is_none(), "{}: a snippet has no end", page.display());
    found
}

/// A store that a server made, as on the first page that a person reads.
fn made() -> Place {
    let made = Place::new();
    let mut server = made.serve(&[]);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    made
}

/// A directory with such a store, in which the commands of a page find `tokenberg` and the files that they read.
fn place(made: &Place) -> Place {
    let place = Place::new();
    for name in ["tokenberg.db", "tokenberg.db.key"] {
        fs::copy(made.path(name), place.path(name)).unwrap();
    }
    place.file("cluster.jwks.json", &format!("{{\"keys\":[{{{KEY}}}]}}"));
    place.file("bundle.json", &format!("{{\"keys\":[{{{KEY},\"use\":\"jwt-svid\"}}]}}"));
    for name in [
        "portal.secret",
        "root.secret",
        "spark.secret",
        "portal.token",
        "alice.id_token",
        "job.token",
        "svid.token",
    ] {
        place.file(name, "not a secret\n");
    }
    // The issuers of the pages are real ones, and their keys are not fetched here.
    let command = format!(
        "#!/bin/sh\ncase \"$1 $2\" in 'issuer add' | 'issuer change') set -- \"$@\" --no-fetch ;; esac\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_tokenberg")
    );
    let path = place.file("tokenberg", &command);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn shell(place: &Place, script: &str) -> Output {
    let path = format!("{}:{}", place.path("").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(place.path("")).env_clear().env("PATH", path);
    command.env("TOKENBERG_CLIENT_ID", "etl").env("TOKENBERG_CLIENT_SECRET", "not-a-secret");
    command.output().unwrap()
}

#[test]
fn op_12_the_commands_of_each_page_run_in_their_order_on_a_new_store() {
    let (made, mut count) = (made(), 0);
    for page in pages() {
        let place = place(&made);
        for snippet in snippets(&page).iter().filter(|snippet| snippet.is(&["sh"])) {
            let done = shell(&place, &snippet.text);
            let (out, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert!(done.status.success(), "{}: {}{out}{said}", page.display(), snippet.text);
            count += snippet.text.matches("tokenberg ").count();
        }
    }
    assert!(count > 60, "{count} commands ran");
}

#[test]
fn op_12_commands_that_need_a_server_have_the_right_options() {
    let (place, mut count) = (place(&made()), 0);
    for page in pages() {
        for snippet in snippets(&page).iter().filter(|s| s.words.iter().any(|word| word == "not-run")) {
            for line in snippet.text.lines().filter(|line| line.contains("tokenberg token ")) {
                let line = line.trim_start().trim_start_matches("- ");
                let done = shell(&place, line);
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                // 2 is wrong usage; without a server, 1 is all that is left.
                assert_eq!(done.status.code(), Some(1), "{}: {line}: {said}", page.display());
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} commands were parsed");
}

#[test]
fn every_snippet_of_a_page_states_what_checks_it() {
    let matrix = fs::read_to_string(root().join(".ci/clients/cases/pages.py")).unwrap();
    for page in pages() {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        for snippet in snippets(&page) {
            let by_matrix = snippet.words.last().is_some_and(|word| word == "matrix" || word == "server");
            let by_chart = [["yaml", "schema"], ["yaml", "values"]].iter().any(|words| snippet.is(words));
            // A program in Rust is a doctest of the crate `tokenberg-service`.
            let is_stated = snippet.is(&["sh"])
                || snippet.is(&["rust", "no_run"])
                || by_matrix
                || by_chart && name == "docs/kubernetes.md"
                || snippet.words.len() == 2 && snippet.words[1] == "not-run";
            assert!(is_stated, "{name}: what checks a snippet ```{}?", snippet.words.join(" "));
            assert!(!by_matrix || matrix.contains(&format!("\"{name}\"")), "{name} is not in the matrix");
        }
    }
}

/// The page from the cluster's keys to the pod's command, with a token as the API server signs it.
#[test]
fn wl_10_the_kubernetes_page_gives_a_pod_its_token() {
    let place = place(&made());
    let server = place.serve(&[]);
    let key = ForeignKey::new(Some("cluster"));
    place.file("cluster.jwks.json", &key.jwks());
    let page = snippets(&root().join("docs/kubernetes.md"));
    for snippet in page.iter().filter(|snippet| snippet.is(&["sh"])) {
        let done = shell(&place, &snippet.text);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let account = "system:serviceaccount:jobs:etl";
    let pod = json!({
        "aud": [server.url],
        "kubernetes.io": {"namespace": "jobs", "pod": {"name": "etl-x7k2p"}, "serviceaccount": {"name": "etl"}},
    });
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let token = place.file("pod.token", &key.sign(&claims(issuer, account, &server.url, &pod)));
    let manifest = &page.iter().find(|snippet| snippet.is(&["yaml", "schema"])).unwrap().text;
    let words = |member: &str| {
        let line = manifest.lines().find_map(|line| line.trim().strip_prefix(member)).unwrap();
        line.trim_matches(['[', ']', ' ']).replace(", ", " ")
    };
    let command = format!("{} {}", words("command:"), words("args:"))
        .replace("https://tokens.example", &server.url)
        .replace("/var/run/secrets/tokens/tokenberg", &token)
        .replace("python /job.py", "printenv PYICEBERG_CATALOG__LAKE__TOKEN");
    assert!(command.contains(&server.url) && command.contains(&token), "{command}");
    let mut said = None;
    within_a_second("the server has the client", || {
        said = Some(shell(&place, &command));
        said.as_ref().is_some_and(|done| done.status.success())
    });
    place.file("token", &String::from_utf8_lossy(&said.unwrap().stdout));
    let verify = ["verify", "token", "--issuer", &server.url, "--audience", "lake", "--json"];
    let claims = place.run(&verify).done().json();
    assert_eq!(claims["claims"]["sub"], "etl", "{claims}");
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if let (false, true, Some((_, title))) = (is_code, line.starts_with('#'), line.split_once(' ')) {
            let kept = title.to_lowercase().replace(' ', "-");
            let is_kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '_';
            found.insert(kept.chars().filter(is_kept).collect::<String>());
        }
    }
    found
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_to_a_heading() {
    let mut all = documents(&root().join("docs"));
    all.push(root().join("README.md"));
    let mut count = 0;
    for document in all {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, anchor) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let is_there = anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
                assert!(is_there, "{}: {link}", document.display());
            }
            count += 1;
        }
    }
    assert!(count > 200, "{count} links were followed");
}

#[test]
fn the_table_of_contents_of_the_book_has_every_document() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    for document in documents(&root().join("docs")) {
        let name = document.strip_prefix(root().join("docs")).unwrap().display().to_string();
        let is_listed = summary.contains(&format!("]({name})"));
        assert!(is_listed || name == "SUMMARY.md", "docs/SUMMARY.md does not list {name}");
    }
}
