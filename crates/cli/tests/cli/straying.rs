//! Requests that reach no endpoint, and clients that do not speak HTTP, are in the log in plain words; TE-27 and CWE-779.

use crate::support::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn te_27_se_06_cwe_779_wrong_paths_and_methods_are_in_the_log_and_a_flood_of_them_is_bounded() {
    let place = Place::new();
    let server = place.serve(&["--base-path", "/api/catalog"]);
    let form = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root";
    let wrong = |path: &str| post(&format!("{}{path}", server.url), None, form).status;
    assert_eq!(wrong("/v1/oauth/tokens"), 404);
    assert_eq!(wrong("/v1/oauth/token?client_secret=first-secret-of-root"), 404);
    assert_eq!(get(&format!("{}/api/catalog/v1/oauth/tokens", server.url)).status, 405);
    let log = server.log();
    for line in [
        r#"path="/v1/oauth/tokens" reason=there is nothing at this path right="the token endpoint is POST /api/catalog/v1/oauth/tokens""#,
        r#"path="/v1/oauth/token" reason=there is nothing at this path"#,
        r#"method="GET" path="/api/catalog/v1/oauth/tokens" reason=the method is not one of POST right="it answers POST""#,
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert!(!log.contains("first-secret-of-root"), "{log}");
    (0..200).for_each(|_| assert_eq!(wrong("/token"), 404));
    let lines =
        server.log().lines().filter(|line| line.contains("a request does not reach any endpoint")).count();
    // The minute may have ended once.
    assert!((10..=120).contains(&lines), "{lines}");
}

#[test]
fn tls_on_a_plain_listener_is_reported_as_such() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The beginning of a ClientHello.
    stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
    stream.write_all(&[b'\n'; 600]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "no answer that TLS could read");
    within_a_second("it is in the log", || {
        server.log().contains("a client spoke TLS to a listener for plain HTTP")
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
}
