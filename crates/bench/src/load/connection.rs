//! One exchange on the wire: HTTP/1.1 with keep-alive as bytes, limited to the part of RFC 9112 that token endpoints use.

use anyhow::{Context, Result, bail, ensure};
use rustls::HandshakeKind;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The largest answer that is read.
const LARGEST: usize = 1024 * 1024;

/// An open connection and its buffer.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    body: std::ops::Range<usize>,
    /// Whether a TLS session of before was resumed.
    pub(super) is_resumed: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The end of an exchange.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) closes: bool,
}

impl Connection {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self::over(Box::new(stream), false)
    }

    pub(super) fn secure(stream: TlsStream<TcpStream>) -> Self {
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Self::over(Box::new(stream), is_resumed)
    }

    fn over(stream: Box<dyn Stream>, is_resumed: bool) -> Self {
        Self { stream, buffer: Vec::with_capacity(16 * 1024), body: 0..0, is_resumed }
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        let exchange = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await?;
            self.read().await
        };
        tokio::time::timeout(Duration::from_secs(30), exchange).await.context("no answer within 30 s")?
    }

    /// The body of the last answer.
    pub(super) fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    async fn read(&mut self) -> Result<Answer> {
        self.buffer.clear();
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.buffer[..end]).context("the head is not text")?;
        let status: u16 = head.get(9..12).and_then(|s| s.parse().ok()).context("no status line")?;
        let (mut length, mut chunked, mut closes) = (None, false, head.starts_with("HTTP/1.0"));
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<usize>().context("Content-Length is not a number")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = true;
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                closes = true;
            }
        }
        if chunked {
            bail!("the answer is chunked, which this tool does not read");
        }
        let length = length.context("the answer has no Content-Length")?;
        ensure!(length <= LARGEST, "the answer is too large");
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        self.body = end..end + length;
        Ok(Answer { status, closes })
    }

    async fn more(&mut self) -> Result<()> {
        ensure!(self.buffer.len() <= LARGEST + 64 * 1024, "the answer is too large");
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed the connection before it had answered");
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
