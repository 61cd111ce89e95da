//! The server at the redirect URI. It answers a browser, and every other program on this machine that connects: RFC 8252 §8.1.

use super::pages::{self, Page};
use super::redirect;
use super::response::{self, Expected, NoCode};
use crate::failure::warn;
use oauth2::AuthorizationCode;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

/// How long a connection may take to send its request.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
/// How many connections are read at the same time; further ones are closed.
const MOST_CONNECTIONS: usize = 64;
/// The size limit of a request. It has the cookies that other servers of this machine have set.
const LARGEST_REQUEST: usize = 64 * 1024;
/// How often new connections are looked for.
const PAUSE: Duration = Duration::from_millis(20);

/// The server at the redirect URI.
pub(super) struct Callback {
    listeners: Vec<TcpListener>,
    uri: Url,
}

/// A browser that waits for the page which ends the sign-in.
pub(crate) struct Visitor(TcpStream);

/// The request of a connection, until the end of its head.
type Arrived = (TcpStream, Vec<u8>);

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// The redirect URI, with this query.
    Callback(&'a str),
    /// Something else.
    Other(Page),
}

impl Callback {
    /// Listens at the redirect URI.
    ///
    /// # Errors
    /// If the port is in use.
    pub(super) fn listen(uri: &Url) -> anyhow::Result<Self> {
        let (listeners, uri) = redirect::listen(uri)?;
        Ok(Self { listeners, uri })
    }

    /// The redirect URI with its port.
    pub(super) fn uri(&self) -> &Url {
        &self.uri
    }

    /// Waits for the response to our request, and returns its code and the browser that brought it. Everything else is answered and
    /// changes nothing. `None` if there is no response until the deadline.
    ///
    /// # Errors
    /// If the response is an error, which the browser is shown as well.
    pub(super) fn wait(
        self,
        expected: &Expected<'_>,
        deadline: Instant,
    ) -> anyhow::Result<Option<(AuthorizationCode, Visitor)>> {
        let (send, arrived) = mpsc::channel();
        let readers = Arc::new(());
        let mut is_warned = false;
        while Instant::now() < deadline {
            self.accept(&send, &readers);
            while let Some((stream, head)) = next(&arrived) {
                let visitor = Visitor(stream);
                match asked(&head, &self.uri) {
                    Asked::Other(page) => visitor.show(page),
                    Asked::Callback(query) => match response::read(query, expected) {
                        Ok(code) => return Ok(Some((code, visitor))),
                        Err(NoCode::Failed(why)) => {
                            visitor.show(pages::FAILED);
                            anyhow::bail!(why);
                        }
                        Err(NoCode::NotOurs(why)) => {
                            visitor.show(pages::NOT_OURS);
                            // Once, because any program on this machine can cause it.
                            if !std::mem::replace(&mut is_warned, true) {
                                warn(&format!("ignored a request to {}: {why}", self.uri));
                            }
                        }
                    },
                }
            }
            thread::sleep(PAUSE);
        }
        Ok(None)
    }

    /// Reads new connections in threads of their own, so that none holds up another: browsers open some that they do not use.
    fn accept(&self, send: &Sender<Arrived>, readers: &Arc<()>) {
        for listener in &self.listeners {
            while let Ok((stream, _)) = listener.accept() {
                if Arc::strong_count(readers) > MOST_CONNECTIONS {
                    continue;
                }
                let (send, reader) = (send.clone(), Arc::clone(readers));
                thread::spawn(move || {
                    if let Ok(arrived) = read(stream) {
                        // Nobody waits for it after the sign-in.
                        let _ = send.send(arrived);
                    }
                    drop(reader);
                });
            }
        }
    }
}

impl Visitor {
    /// Shows the end of the sign-in.
    pub(crate) fn end(self, is_signed_in: bool) {
        self.show(if is_signed_in { pages::SIGNED_IN } else { pages::FAILED });
    }

    fn show(mut self, (status, body): Page) {
        let kind = if body.starts_with('<') { "text/html" } else { "text/plain" };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'\r\n\
             Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        // A browser that has gone away does not see the page.
        let _ = self.0.write_all(answer.as_bytes()).and_then(|()| self.0.flush());
    }
}

fn next(arrived: &Receiver<Arrived>) -> Option<Arrived> {
    arrived.try_recv().ok()
}

/// Reads the head of a request.
fn read(mut stream: TcpStream) -> io::Result<Arrived> {
    let deadline = Instant::now() + LONGEST_REQUEST;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(LONGEST_REQUEST))?;
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > LARGEST_REQUEST {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&part[..read]),
        }
    }
    Ok((stream, head))
}

/// What the request asks for. A `Host` that is not ours is that of a page elsewhere whose name leads to this machine.
fn asked<'a>(head: &'a [u8], uri: &Url) -> Asked<'a> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let is_whole = request.parse(head).is_ok_and(|status| status.is_complete());
    let ours = &uri[url::Position::BeforeHost..url::Position::AfterPort];
    let mut hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    let is_for_us =
        matches!((hosts.next(), hosts.next()), (Some(host), None) if host.value == ours.as_bytes());
    if !is_whole || !is_for_us || request.method != Some("GET") {
        return Asked::Other(pages::NOT_OURS);
    }
    let target = request.path.unwrap_or_default();
    match target.split_once('?').unwrap_or((target, "")) {
        (path, query) if path == uri.path() => Asked::Callback(query),
        (_, _) => Asked::Other(pages::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn li_04_only_the_redirect_uri_on_this_machine_is_answered() {
        let uri: Url = "http://127.0.0.1:8400/callback".parse().unwrap();
        let with_host = |line: &str, host: &str| format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let ours = |line: &str| with_host(line, "127.0.0.1:8400");
        for (request, expected) in [
            (ours("GET /callback?code=c&state=s"), Asked::Callback("code=c&state=s")),
            (ours("GET /callback"), Asked::Callback("")),
            (ours("GET /favicon.ico"), Asked::Other(pages::NOT_FOUND)),
            (ours("GET /callback/x?code=c&state=s"), Asked::Other(pages::NOT_FOUND)),
            (ours("GET //evil.example/callback?code=c"), Asked::Other(pages::NOT_FOUND)),
            (ours("GET http://127.0.0.1:8400/callback?code=c"), Asked::Other(pages::NOT_FOUND)),
            (ours("POST /callback?code=c&state=s"), Asked::Other(pages::NOT_OURS)),
            (with_host("GET /callback?code=c", "evil.example:8400"), Asked::Other(pages::NOT_OURS)),
            (with_host("GET /callback?code=c", "127.0.0.1"), Asked::Other(pages::NOT_OURS)),
            ("GET /callback?code=c HTTP/1.1\r\n\r\n".to_owned(), Asked::Other(pages::NOT_OURS)),
            ("nonsense\r\n\r\n".to_owned(), Asked::Other(pages::NOT_OURS)),
        ] {
            assert_eq!(asked(request.as_bytes(), &uri), expected, "{request}");
        }
    }
}
