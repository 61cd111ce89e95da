//! Serves very many clients, and one that guesses secrets: HT-10, AB-01, D26 and HT-22 against the real server.

use crate::support::{Place, Server, get};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

/// A connection that has been used once and is kept open.
fn kept(address: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "HEAD /.well-known/jwks.json HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Ok(stream)
}

#[test]
fn ht_10_thousands_of_idle_connections_block_no_client() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let most = files.and_then(|files| files.parse::<usize>().ok()).map_or(400, |files| files - 200);
    let count = most.min(5000);
    if count < 5000 {
        println!("only {count} connections: there may not be more open files here");
    }
    let place = Place::new();
    let server = place.serve(&["--ops-listen", "127.0.0.1:0"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    let address = server.address();
    let crowd: Vec<TcpStream> = (0..count).map(|_| kept(&address).unwrap()).collect();
    for _ in 0..10 {
        assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    }
    assert_eq!(get(&format!("{operations}/readyz")).status, 200);
    let figures = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
    let open = figures.lines().find_map(|line| line.strip_prefix("tokenberg_connections ")).unwrap();
    assert!(open.parse::<usize>().unwrap() >= count, "{open}");
    drop(crowd);
}

/// Requests a token from another address of this machine, and returns the whole answer.
fn ask_from(server: &Server, source: &str, secret: &str, header: &str) -> String {
    let address: SocketAddr = server.address().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let form = format!("grant_type=client_credentials&client_id=root&client_secret={secret}");
    let mut stream = stream;
    write!(
        stream,
        "POST /v1/oauth/tokens HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const RIGHT: &str = "first-secret-of-root";

#[cfg(target_os = "linux")]
#[test]
fn ab_01_d26_a_source_of_wrong_secrets_receives_429_and_others_are_served() {
    let place = Place::new();
    let generated = place.add("root", &["--grant", "client_credentials"]);
    // Another failure is allowed each minute, however slow this machine is.
    let server = place.serve(&["--failures-per-client", "1"]);
    let is_429 = |answer: &String| answer.starts_with("HTTP/1.1 429");
    let ask_until_429 =
        |secret: &str| (0..50).map(|_| ask_from(&server, "127.0.0.2", secret, "")).find(is_429).unwrap();
    assert!(ask_from(&server, "127.0.0.2", "wrong-0", "").starts_with("HTTP/1.1 401"));
    let refused = ask_until_429("wrong").to_lowercase();
    for part in [
        "http/1.1 429",
        "\r\nretry-after: ",
        "\r\ncache-control: no-store\r\n",
        "\"error\":\"temporarily_unavailable\"",
    ] {
        assert!(refused.contains(part), "{part} {refused}");
    }
    let seconds = refused.split("retry-after: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!((1..=120).contains(&seconds.parse::<u32>().unwrap()));
    assert!(ask_from(&server, "127.0.0.3", &generated, "").starts_with("HTTP/1.1 200"), "from elsewhere");
    // It is granted from the same address, too: a generated secret is unguessable.
    assert!(ask_from(&server, "127.0.0.2", &generated, "").starts_with("HTTP/1.1 200"));
    ask_until_429(&generated[..40]);
}

#[cfg(target_os = "linux")]
#[test]
fn ht_22_ab_01_a_chosen_secret_is_refused_only_from_the_source_of_wrong_secrets() {
    let place = Place::new();
    let server = place.serve(&["--failures-per-client", "3", "--trusted-proxy", "127.0.0.9"]);
    let of = |client: &str| format!("X-Forwarded-For: {client}\r\n");
    for _ in 0..3 {
        assert!(ask_from(&server, "127.0.0.9", "wrong", &of("203.0.113.1")).starts_with("HTTP/1.1 401"));
    }
    for (peer, header, status) in [
        ("127.0.0.9", of("203.0.113.1"), "429"),
        ("127.0.0.9", of("203.0.113.2, 203.0.113.1"), "429"),
        ("127.0.0.9", of("203.0.113.2"), "200"),
        ("127.0.0.9", String::new(), "200"),
        ("127.0.0.2", of("203.0.113.1"), "200"),
        ("127.0.0.9", "X-Forwarded-Proto: http\r\n".to_owned(), "400"),
        ("127.0.0.2", "X-Forwarded-Proto: http\r\n".to_owned(), "200"),
        // Two proxies, with plain HTTP between them.
        ("127.0.0.9", "X-Forwarded-Proto: https,http\r\n".to_owned(), "200"),
        ("127.0.0.9", "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Proto: http\r\n".to_owned(), "200"),
        ("127.0.0.9", "X-Forwarded-Proto: http,https\r\n".to_owned(), "400"),
    ] {
        let answer = ask_from(&server, peer, RIGHT, &header);
        assert_eq!(&answer[9..12], status, "{peer} {header} {answer}");
    }
}

/// Requests so many tokens concurrently, each on its own connection that was opened before; returns the statuses.
fn burst(server: &Server, (id, secret): (&str, &str), count: usize) -> Vec<String> {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let connect = |_| TcpStream::connect(server.address()).unwrap();
    let mut streams: Vec<TcpStream> = (0..count).map(connect).collect();
    for stream in &mut streams {
        write!(
            stream,
            "POST /v1/oauth/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
    }
    let status = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    streams.into_iter().map(status).collect()
}

/// The executors of a job of Spark, the workers of Trino: with a secret chosen by a person, which has to be stretched first, and
/// with keys whose signatures are expensive to verify.
#[test]
fn r11_ab_02_hundreds_of_simultaneous_clients_are_all_served() {
    let place = Place::new();
    let all_served = |statuses: &[String]| {
        let refused: Vec<_> = statuses.iter().filter(|status| *status != "200").collect();
        assert!(refused.is_empty(), "{} of {}: {refused:?}", refused.len(), statuses.len());
    };
    let chosen = ("root", "first-secret-of-root");
    let server = place.serve(&["--workers", "2", "--ops-listen", "127.0.0.1:0"]);
    let operations = server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned();
    all_served(&burst(&server, chosen, 300));
    let figures = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
    let digests = figures.lines().find_map(|line| line.strip_prefix("tokenberg_stretched_digests_total "));
    assert!(digests.unwrap().parse::<u32>().unwrap() < 20, "one is computed, and the others wait for it");
    drop(server);
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"])
        .current_dir(place.path(""))
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: there is no openssl to make an RSA key with");
        return;
    }
    fs::set_permissions(place.path("rsa.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&["key", "import", "rsa.pem", "--now", "--alg", "RS256"]).done();
    let generated = place.add("etl", &[]);
    let server = place.serve(&["--workers", "2"]);
    all_served(&burst(&server, ("etl", &generated), 300));
    all_served(&burst(&server, chosen, 300));
}
