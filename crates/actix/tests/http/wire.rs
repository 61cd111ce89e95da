//! A bound server, and a client that speaks raw bytes over a real socket.

use crate::check::{Answer, Ask};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokenberg_actix::{Handle, ServerBuilder, TokenService};

/// A bound server, which is ended when it is dropped.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// No test waits longer than this for anything.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

impl Wire {
    pub(crate) fn of(service: TokenService) -> Self {
        Self::with(service, |builder| builder)
    }

    /// A server with timeouts that do not make tests wait.
    pub(crate) fn with(service: TokenService, setup: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let builder = ServerBuilder::new(service)
            .listen(TcpListener::bind("127.0.0.1:0").unwrap())
            .workers(1)
            .shutdown_timeout(Duration::from_secs(5));
        let builder = setup(builder);
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = builder.run().unwrap();
                sender.send((running.addresses()[0], running.handle())).unwrap();
                running.serve().await.unwrap();
            });
        });
        let (address, handle) = receiver.recv_timeout(TIMEOUT).unwrap();
        Self { address, handle, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(crate) fn until_closed(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect();
        // The server may close before it has received everything.
        let _ = stream.write_all(bytes.as_ref());
        read_until_closed(&mut stream)
    }

    /// Sends one request and reads its answer.
    pub(crate) fn ask(&self, ask: &Ask) -> Answer {
        let ask = ask.clone().header("Connection", "close");
        let answers = parse(&self.until_closed(ask.to_wire()), &[ask.method == "HEAD"]);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.into_iter().next().unwrap()
    }

    /// Sends bytes that have to be answered once, with this status, and with the end of the connection.
    pub(crate) fn refused(&self, bytes: impl AsRef<[u8]>, status: u16) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes.as_ref());
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while parse(&got, &[]).is_empty() {
            match stream.read(&mut buffer).unwrap_or_default() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
        // The server lingers for a second unless the client closes.
        let _ = stream.shutdown(Shutdown::Write);
        got.extend(read_until_closed(&mut stream));
        let sent = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(200)]).into_owned();
        let mut answers = parse(&got, &[false]);
        assert_eq!(answers.len(), 1, "{sent:?}: {}", String::from_utf8_lossy(&got));
        assert_eq!(answers[0].status, status, "{sent:?}");
        answers.remove(0)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        if let Ok(runtime) = actix_web::rt::Runtime::new() {
            runtime.block_on(handle.stop());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn read_until_closed(stream: &mut impl Read) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return got,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset || e.kind() == ErrorKind::UnexpectedEof => {
                return got;
            }
            Err(e) => panic!("the connection stays open: {e}; got {:?}", String::from_utf8_lossy(&got)),
        }
    }
}

/// Reads answers until this many are complete.
pub(crate) fn read_answers(stream: &mut impl Read, count: usize) -> Vec<Answer> {
    answers_or_end(stream, count)
        .unwrap_or_else(|got| panic!("closed after {}", String::from_utf8_lossy(&got)))
}

/// The same; an error has what came before the connection was closed.
pub(crate) fn answers_or_end(stream: &mut impl Read, count: usize) -> Result<Vec<Answer>, Vec<u8>> {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let answers = parse(&got, &[]);
        if answers.len() >= count {
            return Ok(answers);
        }
        let n = match stream.read(&mut buffer) {
            Err(e) if e.kind() == ErrorKind::ConnectionReset => 0,
            read => read.unwrap(),
        };
        if n == 0 {
            return Err(got);
        }
        got.extend_from_slice(&buffer[..n]);
    }
}

/// Reads as many complete answers as there are; `heads` says which of them have no body whatever their header says.
pub(crate) fn parse(mut bytes: &[u8], heads: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        assert!(status_line.starts_with("HTTP/1.1 "), "{status_line}");
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status: status_line[9..12].parse().unwrap(), headers, body: Vec::new() };
        let bodiless =
            heads.get(answers.len()).copied().unwrap_or(false) || [100, 304].contains(&answer.status);
        let length: usize = match answer.header("Content-Length") {
            Some(length) if !bodiless => length.parse().unwrap(),
            Some(_) | None => 0,
        };
        let Some(body) = bytes.get(end + 4..end + 4 + length) else { break };
        answer.body = body.to_vec();
        answers.push(answer);
        bytes = &bytes[end + 4 + length..];
    }
    answers
}
