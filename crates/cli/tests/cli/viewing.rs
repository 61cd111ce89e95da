//! The page for operators: who may look, what is shown, and what attackers of such pages try.

use crate::certificates;
use crate::foreign::claims;
use crate::issuers::{Publisher, exchange_form};
use crate::support::{Place, Server, within_a_second};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use tokenberg_testkit::ForeignKey;

const PAGES: [&str; 13] = [
    "/ui",
    "/ui/",
    "/ui/clients",
    "/ui/client?id=etl",
    "/ui/issuers",
    "/ui/issuer?url=https%3A%2F%2Fidp.example",
    "/ui/keys",
    "/ui/nodes",
    "/ui/decisions",
    "/ui/decision?chain=installation&number=1",
    "/ui/what-if?client=etl&scope=catalog",
    "/ui/token",
    "/ui/request",
];

pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A server with its page, and what a browser knows of it.
pub struct Viewed {
    pub place: Place,
    pub server: Server,
    pub address: String,
}

pub fn viewed() -> Viewed {
    let place = Place::new();
    place.add("etl", &["--may-act-for", "https://idp.example|*"]);
    viewed_in(place, &[])
}

fn viewed_in(place: Place, flags: &[&str]) -> Viewed {
    let server = place.serve(&[&["--ops-listen", "127.0.0.1:0"], flags].concat());
    let line = server.line().unwrap();
    let address = line.strip_prefix("operations on http://").unwrap().to_owned();
    Viewed { place, server, address }
}

impl Viewed {
    /// Sends a request with these header lines.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Page {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Page { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn link(&self) -> String {
        let printed = self.place.run(&["ui", "--at", &format!("http://{}", self.address)]).done();
        let link = printed.out.trim().strip_prefix(&format!("http://{}", self.address)).unwrap().to_owned();
        assert!(link.starts_with("/ui/enter?code="), "{link}");
        link
    }

    /// Opens a session and returns the header line with its cookie.
    pub fn session(&self) -> String {
        let entered = self.send("GET", &self.link(), "", "");
        assert_eq!(entered.status, 200, "{}", entered.body);
        let line = entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/ui", "Max-Age=3600"] {
            assert!(line.contains(attribute), "{line}");
        }
        format!("Cookie: {}\r\n", line.split(';').next().unwrap())
    }
}

#[test]
fn a_stranger_sees_how_to_sign_in_and_nothing_else() {
    let viewed = viewed();
    for headers in
        ["", "Cookie: tokenberg_ui=x\r\n", "Authorization: Bearer x\r\n", "Authorization: Basic eDp5\r\n"]
    {
        for page in PAGES {
            let answer = viewed.send("GET", page, headers, "");
            assert_eq!(answer.status, 401, "{page} {headers}");
            assert!(answer.head.contains("www-authenticate: Bearer"), "{}", answer.head);
            // A program is answered in its own words.
            let is_program = headers.contains("Bearer");
            assert!(is_program || answer.body.contains("tokenberg ui"), "{page}: {}", answer.body);
            assert!(!answer.body.contains("etl"), "{page}: {}", answer.body);
        }
        for page in ["/ui/token", "/ui/leave", "/ui/nowhere", "/ui/../ui/clients", "/ui//clients"] {
            assert!(
                [401, 403, 404].contains(&viewed.send("POST", page, headers, "token=x").status),
                "{page}"
            );
        }
    }
    // The listener's other answers are what they were.
    assert_eq!(viewed.send("GET", "/healthz", "", "").body, "ok\n");
    assert_eq!(viewed.send("GET", "/metrics", "", "").status, 200);
    assert_eq!(viewed.server.tokens("grant_type=client_credentials").status, 401);
    let on_the_public_side = crate::support::get(&format!("{}/ui/", viewed.server.url));
    assert_eq!(on_the_public_side.status, 404);
}

#[test]
fn the_overview_shows_certificates_and_key_sets_and_what_ends_within_30_days() {
    let (place, key) = (Place::new(), ForeignKey::new(Some("1")));
    let idp = Publisher::new(&key.jwks());
    for url in [&idp.url, "http://127.0.0.1:9"] {
        let add = ["issuer", "add", url, "--discover", "--no-fetch", "--accept", "id_token"];
        place.run(&add).done();
    }
    let secret = place.add("trino", &["--may-act-for", &format!("{}|*", idp.url)]);
    place.add("soon", &["--secret-expires", "10d"]);
    place.add("later", &["--secret-expires", "31d"]);
    certificates::write(&place, "127.0.0.1", [-1, 29]);
    let viewed = viewed_in(place, &certificates::TLS);
    viewed.place.run(&["key", "rotate", "--now"]).done();
    let cookie = viewed.session();
    let overview = || viewed.send("GET", "/ui/", &cookie, "").body;
    within_a_second("the retired key is shown", || overview().contains("no longer verifies"));
    let shown = overview();
    // In the order of their ends: 7d and 1h, 10d, 29d.
    let ends = shown.split_once("What ends within 30 days").unwrap().1;
    let [key_end, secret_end, certificate_end] =
        ["The signing key", "/ui/client?id=soon", "The TLS certificate of this server"]
            .map(|text| ends.find(text));
    assert!(key_end.is_some() && key_end < secret_end && secret_end < certificate_end, "{ends}");
    assert!(!shown.contains("/ui/client?id=later"), "{shown}");
    assert!(shown.contains("TLS certificate: until ") && shown.contains("(in 2"), "{shown}");
    let row = |issuer: &str| {
        let page = overview();
        let rows = page.split("<tr>").find(|row| row.contains(&format!(">{issuer}</a>")));
        rows.unwrap_or_else(|| panic!("no {issuer} in {page}")).to_owned()
    };
    assert!(row(&idp.url).contains("not fetched yet"), "{}", row(&idp.url));
    assert!(shown.contains("0 of 2"), "{shown}");
    let trust = std::fs::read_to_string(viewed.place.path("cert.pem")).unwrap();
    for issuer in [&idp.url, "http://127.0.0.1:9"] {
        let token = key.sign(&claims(issuer, "alice", "trino", &json!({})));
        certificates::post(&viewed.server, &trust, &exchange_form(&secret, &token));
    }
    within_a_second("its key set is shown", || row(&idp.url).contains("<td>1</td>"));
    within_a_second("the failure is shown", || {
        row("http://127.0.0.1:9").contains("answered 503") && overview().contains("1 of 2")
    });
}

#[test]
fn op_20_the_page_of_nodes_lists_the_running_servers() {
    let viewed = viewed();
    let cookie = viewed.session();
    let version = concat!("<td>", env!("CARGO_PKG_VERSION"), "</td>");
    within_a_second("the server is recorded", || {
        let page = viewed.send("GET", "/ui/nodes", &cookie, "").body;
        page.contains(&format!("<td>{}</td>", viewed.server.url)) && page.contains(version)
    });
}

#[test]
fn every_page_is_shown_to_a_session_with_headers_that_keep_it_to_itself() {
    let viewed = viewed();
    let cookie = viewed.session();
    for page in PAGES {
        let answer = viewed.send("GET", page, &cookie, "");
        let expected = if page.contains("idp.example") { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{page}: {}", answer.body);
        for header in [
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.head.contains(header), "{page} {header}: {}", answer.head);
        }
        assert_eq!(viewed.send("HEAD", page, &cookie, "").status, expected, "{page}");
        // What the policy forbids must not be there: it would be missing in the browser.
        for never in ["<script", " style=", "javascript:", "http-equiv", "onclick"] {
            assert!(!answer.body.contains(never), "{page} {never}");
        }
    }
    let signed_out =
        viewed.send("POST", "/ui/leave", &format!("{cookie}Sec-Fetch-Site: same-origin\r\n"), "");
    assert_eq!(signed_out.status, 200);
    assert_eq!(viewed.send("GET", "/ui/", &cookie, "").status, 401);
}

#[test]
fn a_link_works_once_and_each_use_is_in_the_audit() {
    let viewed = viewed();
    let link = viewed.link();
    // A browser or a chat that loads it ahead of its user does not use it up.
    for (method, headers) in [("GET", "Sec-Purpose: prefetch\r\n"), ("HEAD", ""), ("HEAD", "Accept: */*\r\n")]
    {
        let answer = viewed.send(method, &link, headers, "");
        assert_eq!((answer.status, answer.head.contains("set-cookie")), (204, false), "{method} {headers}");
    }
    assert_eq!(viewed.send("GET", &link, "", "").status, 200);
    let again = viewed.send("GET", &link, "", "");
    assert_eq!((again.status, again.head.contains("set-cookie")), (403, false));
    for wrong in
        ["/ui/enter?code=", "/ui/enter?code=AAAA", "/ui/enter?code=%00%ff", "/ui/enter?code=a&code=b"]
    {
        let answer = viewed.send("GET", wrong, "", "");
        assert!(!answer.head.contains("set-cookie") && answer.status < 500, "{wrong} {}", answer.status);
    }
    within_a_second("the record", || {
        let records = viewed.place.run(&["audit"]).done().out;
        records.matches("\"event\":\"page opened\"").count() == 1 && !records.contains(&link[15..])
    });
}

#[test]
fn what_attackers_of_such_pages_try_fails() {
    let viewed = viewed();
    let cookie = viewed.session();
    let get = |path: &str, headers: &str| viewed.send("GET", path, &format!("{cookie}{headers}"), "").status;
    let post =
        |headers: &str| viewed.send("POST", "/ui/token", &format!("{cookie}{headers}"), "token=a.b.c").status;
    let ours = format!("http://{}", viewed.address);
    for (attack, status, expected) in [
        ("DNS rebinding", get("/ui/", "Host: evil.example\r\n"), 421),
        ("DNS rebinding with our port", get("/ui/", "Host: localhost.evil.example:80\r\n"), 421),
        ("a form of another site", post("Sec-Fetch-Site: cross-site\r\n"), 403),
        ("a form of a neighbour", post("Sec-Fetch-Site: same-site\r\n"), 403),
        ("a form of another origin", post("Origin: https://evil.example\r\n"), 403),
        ("a form of no origin", post("Origin: null\r\n"), 403),
        ("a form of a browser that says nothing", post(""), 403),
        ("our own form", post(&format!("Origin: {ours}\r\n")), 200),
        ("our own form, as new browsers say", post("Sec-Fetch-Site: same-origin\r\n"), 200),
        ("localhost", get("/ui/", "Host: localhost:8184\r\n"), 200),
        ("a path that leaves", get("/ui/../metrics", ""), 404),
        (
            "another method",
            viewed
                .send("DELETE", "/ui/clients", &format!("{cookie}Sec-Fetch-Site: same-origin\r\n"), "")
                .status,
            405,
        ),
        (
            "a session of one's choice",
            viewed.send("GET", "/ui/", "Cookie: tokenberg_ui=chosen\r\n", "").status,
            401,
        ),
    ] {
        assert_eq!(status, expected, "{attack}");
    }
    let chosen = viewed.send("GET", &viewed.link(), "Cookie: tokenberg_ui=chosen\r\n", "");
    assert!(!chosen.head.contains("tokenberg_ui=chosen"), "no session that was fixed before");
    let elsewhere = viewed.send("GET", &format!("{}&next=https://evil.example", viewed.link()), "", "");
    assert!(elsewhere.status == 200 && !elsewhere.body.contains("evil.example"), "no open redirect");
}

#[test]
fn hostile_names_and_reasons_are_texts() {
    let viewed = viewed();
    let name = "<img src=x onerror=alert(1)>\"'&";
    viewed.place.run(&["client", "add", name]).done();
    let long = "%3Cscript%3E".repeat(300);
    let form =
        format!("grant_type=client_credentials&client_id=etl&client_secret=wrong&scope={long}%E2%80%AE");
    viewed.server.tokens(&form);
    let form = "grant_type=%3Cb%3Ebold&client_id=%3Ci%3Eitalic&client_secret=%E2%80%AEx";
    viewed.server.tokens(form);
    let cookie = viewed.session();
    let pages = [
        "/ui/",
        "/ui/clients",
        "/ui/decisions?show=all",
        "/ui/client?id=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27%26",
        "/ui/decisions?client=%3Cb%3E%22%20onfocus%3D&until=%3Cb%3E",
        "/ui/request?client=%3Cb%3E&scope=%22%3E%3Cb%3E",
        "/ui/clients?part=%22%3E%3Cb%3E",
        "/ui/issuer?url=%3Cb%3E",
        "/ui/decision?chain=%3Cb%3E&number=1",
        "/ui/decision?chain=a&number=x",
        "/ui/client?id=",
        "/ui/client",
        "/ui/decisions?after=a:b:c,,%3Cb%3E:9",
    ];
    for page in pages {
        let answer = viewed.send("GET", page, &cookie, "");
        assert!(answer.status < 500, "{page} {}", answer.status);
        for markup in ["<img", "<b>", "<i>", "<script", "\u{202e}", "\" onfocus"] {
            assert!(!answer.body.contains(markup), "{page} {markup}: {}", answer.body);
        }
    }
    let own = format!("{cookie}Sec-Fetch-Site: same-origin\r\n");
    for token in ["", "x", "a.b.c", "%00", "Bearer+", &"a".repeat(60_000), &"a".repeat(70_000)] {
        let answer = viewed.send("POST", "/ui/token", &own, &format!("token={token}"));
        assert!([200, 413].contains(&answer.status), "{} {}", token.len(), answer.status);
    }
}

#[test]
fn se_06_a_refused_decision_leads_to_what_would_allow_it() {
    let viewed = viewed();
    let secret = viewed.place.add("web", &["--scope", "catalog"]);
    within_a_second("the client", || viewed.server.ask("web", &secret).status == 200);
    let form = format!("grant_type=client_credentials&client_id=web&client_secret={secret}&scope=ns%3Aread");
    assert_eq!(viewed.server.tokens(&form).code(), "invalid_scope");
    let cookie = viewed.session();
    let link_in = |page: &str, begin: &str| {
        let body = viewed.send("GET", page, &cookie, "").body;
        let link = body.split("href=\"").find(|rest| rest.starts_with(begin))?.split('"').next()?;
        Some(link.replace("&amp;", "&"))
    };
    let mut decision = None;
    within_a_second("the record", || {
        decision = link_in("/ui/decisions?show=refusals&client=web", "/ui/decision?");
        decision.is_some()
    });
    let decision = decision.unwrap();
    let body = viewed.send("GET", &decision, &cookie, "").body;
    for part in [
        "What was decided, in order",
        "it was the client web",
        "To allow it: ",
        "tokenberg client change web --scope",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let what_if = link_in(&decision, "/ui/what-if?").unwrap();
    let body = viewed.send("GET", &what_if, &cookie, "").body;
    assert!(body.contains("Refused") && body.contains("tokenberg client change web --scope"), "{body}");
    let body = viewed.send("GET", "/ui/what-if?client=web&scope=catalog", &cookie, "").body;
    assert!(body.contains("Granted"), "{body}");
    for (page, status) in [
        ("/ui/what-if?client=web&issuer=https://idp.example", 400),
        ("/ui/what-if?client=web&issuer=https://idp.example&subject=alice", 200),
        ("/ui/what-if?client=%00", 400),
    ] {
        assert_eq!(viewed.send("GET", page, &cookie, "").status, status, "{page}");
    }
}

#[test]
fn the_command_says_what_it_needs() {
    let place = Place::new();
    place.add("etl", &[]);
    let refused = place.run(&["ui"]).refused();
    assert!(refused.err.contains("--at http://ADDR:PORT"), "{}", refused.err);
    for wrong in ["8184", "ftp://x", "http://x/path", "http://x?y"] {
        assert_eq!(place.run(&["ui", "--at", wrong]).code, 2, "{wrong}");
    }
    let printed = place.run_with(&["ui", "--json"], "", &[("TOKENBERG_OPS_LISTEN", "0.0.0.0:8184")]).done();
    assert!(printed.json()["link"].as_str().unwrap().starts_with("http://127.0.0.1:8184/ui/enter?code="));
}
