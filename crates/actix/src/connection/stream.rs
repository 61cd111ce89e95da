//! Hands actix one request at a time: RFC 9112 §9.3.2 and §9.6; conformance HT-02, HT-05 and HT-10.
//!
//! actix decodes all that it has read before it answers, at some 9 kB a request, and goes on reading while a client does
//! not take its answers. Here nothing is read while a request waits for its answer, or an answer for the client, and
//! nothing of what follows the last request of a connection is handed on.

use crate::connection::Flow;
use crate::connection::framing::Framer;
use crate::connection::registry::Permit;
use actix_web::rt::net::TcpStream;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// How much actix is given before other connections have their turn.
const TURN: usize = 7 * 1024;

/// With less room than this actix enlarges its buffer, to twice its size if there is something in it.
const ROOM: usize = 1024;

/// How much is read of what follows a request that waits for its answer, to notice when the client has gone.
const AHEAD: usize = 1024;

/// The target of the events of this module, which the command line limits.
const TARGET: &str = "tokenberg_actix::connection";

/// The first byte of a TLS handshake (RFC 8446 §5.1). No method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// How much of a stalled answer a client has to take within the timeout for writes.
const PROGRESS: usize = 16 * 1024;

/// What a connection is made of.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Whether its content is encrypted.
    const SECURE: bool;

    fn tcp(&self) -> &TcpStream;

    fn tls(&self) -> Option<&rustls::ServerConnection>;
}

impl Socket for TcpStream {
    const SECURE: bool = false;

    fn tcp(&self) -> &TcpStream {
        self
    }

    fn tls(&self) -> Option<&rustls::ServerConnection> {
        None
    }
}

impl Socket for TlsStream<TcpStream> {
    const SECURE: bool = true;

    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls(&self) -> Option<&rustls::ServerConnection> {
        Some(self.get_ref().1)
    }
}

/// A connection as actix sees it.
pub(crate) struct ClientStream<IO> {
    io: IO,
    flow: Rc<Flow>,
    framer: Framer,
    held: Held,
    /// The bytes that end a head that is too large.
    cut_off: &'static [u8],
    has_ended: bool,
    /// Whether nothing has been read yet.
    is_new: bool,
    /// Whether the client sent more than was answered.
    has_surplus: bool,
    /// The bytes that were handed on since the last turn of others.
    turn: usize,
    /// The bytes that the client took since its stalled answer last made progress.
    progress: usize,
}

/// Bytes that were read, and not handed on yet.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    begin: usize,
}

impl Held {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn take(&mut self, length: usize) {
        self.begin += length;
        if self.begin == self.bytes.len() {
            *self = Self::default();
        }
    }
}

impl<IO: Socket> ClientStream<IO> {
    pub(crate) fn new(io: IO, permit: Permit) -> Self {
        Self {
            io,
            flow: Rc::new(Flow::new(permit)),
            framer: Framer::default(),
            held: Held::default(),
            cut_off: b"",
            has_ended: false,
            is_new: true,
            has_surplus: false,
            turn: 0,
            progress: 0,
        }
    }

    pub(crate) fn io(&self) -> &IO {
        &self.io
    }

    pub(crate) fn flow(&self) -> &Rc<Flow> {
        &self.flow
    }

    /// Reads and drops what comes after the last request, so that the answer to it is not lost by a reset.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.has_surplus |= !self.held.rest().is_empty();
        self.held = Held::default();
        if self.has_ended {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [MaybeUninit::uninit(); 4 * AHEAD];
        for _ in 0..16 {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            ready!(self.poll_io(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                self.has_ended = true;
                return Poll::Ready(Ok(()));
            }
            self.has_surplus = true;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// While nothing may be handed on: reads a little, to notice that the client has gone, and to be woken when it sends.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.rest().is_empty() && !self.has_ended {
            let mut scratch = [MaybeUninit::uninit(); AHEAD];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            if let Poll::Ready(outcome) = self.poll_io(cx, &mut buffer) {
                outcome?;
                self.has_ended = buffer.filled().is_empty();
                self.held.push(buffer.filled());
            } else {
                self.turn = 0;
                return Poll::Pending;
            }
        }
        self.flow.wait_for_turn();
        self.pending(cx)
    }

    fn poll_io(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if polled.is_pending() {
            self.flow.register(cx);
        }
        polled
    }

    /// Reads two turns at most, whatever room there is.
    fn poll_turn(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() <= 2 * TURN {
            return self.poll_io(cx, buffer);
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(2 * TURN));
        ready!(self.poll_io(cx, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }

    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.turn = 0;
        self.flow.register(cx);
        Poll::Pending
    }

    /// Hands on what belongs to the request that is read; the rest is held.
    fn poll_request(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.turn >= TURN {
            cx.waker().wake_by_ref();
            return self.pending(cx);
        }
        let before = buffer.filled().len();
        // A buffer that becomes full is enlarged before it is decoded, one that lacks room at the next turn after that.
        let room = buffer.remaining().saturating_sub(ROOM).max(1);
        let portion = if self.held.rest().is_empty() && !self.has_ended {
            let polled = self.poll_turn(cx, buffer);
            if polled.is_pending() {
                self.turn = 0;
            }
            ready!(polled)?;
            if self.is_tls_on_plain(&buffer.filled()[before..]) {
                buffer.set_filled(before);
                self.flow.end();
                return Poll::Ready(Ok(()));
            }
            let bytes = &buffer.filled()[before..];
            let portion = self.framer.read(&bytes[..bytes.len().min(room)]);
            self.held.push(&bytes[portion.length..]);
            buffer.set_filled(before + portion.length);
            portion
        } else {
            let bytes = self.held.rest();
            let portion = self.framer.read(&bytes[..bytes.len().min(room)]);
            buffer.put_slice(&bytes[..portion.length]);
            self.held.take(portion.length);
            portion
        };
        self.turn += portion.length;
        self.flow.handed_on(portion, self.framer.is_between());
        if self.framer.is_wasteful() {
            self.flow.wastes();
        }
        if self.framer.is_in_head() {
            self.flow.begins_head();
        }
        if let Some(end) = self.framer.cut_off() {
            self.cut_off = end;
            if end.is_empty() {
                self.flow.end()
            } else {
                self.flow.cut_off()
            }
            // Nothing would be the end of the connection.
            if portion.length == 0 {
                self.put_cut_off(buffer);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the client begins with TLS on a plain connection. It gets no answer that it could read.
    fn is_tls_on_plain(&mut self, bytes: &[u8]) -> bool {
        let is_new = std::mem::replace(&mut self.is_new, false);
        let is_tls = is_new && !IO::SECURE && bytes.first() == Some(&TLS_HANDSHAKE);
        if is_tls {
            let source = self.io.tcp().peer_addr().ok().map(tracing::field::display);
            tracing::info!(
                target: TARGET,
                source,
                "a client spoke TLS to a listener for plain HTTP: its address has to begin with http://, or the server needs TLS"
            );
        }
        is_tls
    }

    /// Hands on what has arrived on a connection that has to end, and then its end: a request that has arrived in full is
    /// answered.
    fn poll_last(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.flow.is_ending()
            || self.flow.is_stalled()
            || self.framer.is_lost()
            || !self.cut_off.is_empty()
        {
            return Poll::Ready(Ok(()));
        }
        let is_turn_over = self.turn >= TURN;
        match self.poll_request(cx, buffer) {
            Poll::Pending if is_turn_over || self.has_arrived() => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
            Poll::Ready(outcome) => Poll::Ready(outcome),
        }
    }

    /// Whether the system has data that the event loop does not know yet. It learns of it in its next turn.
    fn has_arrived(&self) -> bool {
        let socket = self.io.tcp().as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
        socket.and_then(|socket| socket.peek(&mut [0])).is_ok_and(|length| length > 0)
    }

    /// Hands out the bytes that end a head that is too large.
    fn put_cut_off(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.cut_off.len().min(buffer.remaining());
        let (now, later) = self.cut_off.split_at(length);
        buffer.put_slice(now);
        self.cut_off = later;
    }

    /// Records whether a write waits for the client, and ends a connection that has to end and would wait.
    fn watch_write<T>(&mut self, cx: &Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            if self.flow.has_to_end() {
                // Otherwise the system would keep the answer for the client that does not read it.
                let _ = self.io.tcp().set_zero_linger();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if self.flow.stalls() {
                self.progress = 0;
            }
            self.flow.register(cx);
        }
        polled
    }
}

impl<IO: Socket> AsyncRead for ClientStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_whole = this.framer.is_between() && this.flow.is_unanswered();
        if this.flow.has_to_end() && !is_whole {
            return this.poll_last(cx, buffer);
        }
        if this.flow.is_ending() {
            return this.poll_discard(cx);
        }
        if !this.cut_off.is_empty() {
            this.put_cut_off(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.framer.is_lost() || is_whole || this.flow.is_stalled() {
            return this.poll_ahead(cx);
        }
        this.poll_request(cx, buffer)
    }
}

impl<IO: Socket> AsyncWrite for ClientStream<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = &polled
            && this.flow.is_stalled()
        {
            this.progress += length;
            if this.progress >= PROGRESS {
                this.progress = 0;
                this.flow.makes_progress();
            }
        }
        this.watch_write(cx, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        if polled.is_ready() {
            this.flow.flows_again();
        }
        this.watch_write(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_shutdown(cx);
        ready!(this.watch_write(cx, polled))?;
        // RFC 9112 §9.6: a server that closes with something unread causes a reset, by which the client may lose the answer.
        // So it "continues to read from the connection until it receives a corresponding close by the client".
        this.has_surplus |= !this.held.rest().is_empty();
        if this.has_surplus && !this.flow.has_to_end() && this.poll_discard(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}
