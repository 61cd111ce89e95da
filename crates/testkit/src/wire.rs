//! A connection between two ports of this machine that can be cut or stalled, as a failing network.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Bytes arrive.
    Open,
    /// Bytes wait: nothing arrives, and nothing is closed.
    Stalled,
    /// Connections are closed, new ones immediately.
    Cut,
}

/// A port of this machine that forwards to another one.
pub struct Wire {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// The port at the other end.
    far: AtomicU16,
    present: Mutex<Present>,
    changed: Condvar,
}

struct Present {
    line: Line,
    streams: Vec<TcpStream>,
    joined: usize,
    /// Connections with a smaller number carry nothing any more.
    dropped: usize,
    /// How long bytes are under way, in each direction.
    delay: Duration,
    round_trips: usize,
}

impl Wire {
    /// A new port in front of this one.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let present = Present {
            line: Line::Open,
            streams: Vec::new(),
            joined: 0,
            dropped: 0,
            delay: Duration::ZERO,
            round_trips: 0,
        };
        let state =
            Arc::new(State { far: port.into(), present: Mutex::new(present), changed: Condvar::new() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // An unreachable port closes the connection, as the system does for a port without a listener.
                let port = shared.far.load(Ordering::Relaxed);
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    let _ = shared.join(near, far);
                }
            }
        });
        Self { port: here, state }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to another port at once: present connections are closed, and new ones go there.
    pub fn lead_to(&self, port: u16) {
        let mut present = self.state.lock();
        self.state.far.store(port, Ordering::Relaxed);
        present.close_all();
    }

    /// Sets the state of the line.
    pub fn set(&self, line: Line) {
        let mut present = self.state.lock();
        present.line = line;
        if line == Line::Cut {
            present.close_all();
        }
        self.state.changed.notify_all();
    }

    /// Each round trip takes this long from now on, as on a long way.
    pub fn slow(&self, round_trip: Duration) {
        self.state.lock().delay = round_trip / 2;
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state.lock().joined
    }

    /// How often the near side of a connection sent something after it had heard all that it waited for: a message that follows
    /// another one without an answer between them belongs to the same round trip.
    pub fn round_trips(&self) -> usize {
        self.state.lock().round_trips
    }

    /// Present connections neither carry anything any more nor are closed, as if a machine had vanished and another one took
    /// its address.
    pub fn drop_silently(&self) {
        let mut present = self.state.lock();
        present.dropped = present.joined;
    }
}

impl Present {
    fn close_all(&mut self) {
        for stream in self.streams.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, near: TcpStream, far: TcpStream) -> io::Result<()> {
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let mut present = self.lock();
        if present.line == Line::Cut {
            return Ok(());
        }
        let number = present.joined;
        present.joined += 1;
        present.streams.extend([near.try_clone()?, far.try_clone()?]);
        let asked = Arc::new(AtomicBool::new(false));
        for (from, to, asks) in [(near.try_clone()?, far.try_clone()?, true), (far, near, false)] {
            let (state, asked) = (self.clone(), asked.clone());
            std::thread::spawn(move || state.carry(number, from, to, asks, &asked));
        }
        Ok(())
    }

    /// `asked` is whether the near side waits for an answer; only the near side `asks`.
    fn carry(&self, number: usize, mut from: TcpStream, mut to: TcpStream, asks: bool, asked: &AtomicBool) {
        let mut room = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut room) {
            let mut present = self.lock();
            if asks && !asked.load(Ordering::Relaxed) {
                present.round_trips += 1;
            }
            asked.store(asks, Ordering::Relaxed);
            while present.line == Line::Stalled || number < present.dropped {
                present = self.changed.wait(present).unwrap_or_else(PoisonError::into_inner);
            }
            let delay = present.delay;
            drop(present);
            std::thread::sleep(delay);
            if to.write_all(&room[..length]).is_err() {
                break;
            }
        }
        // The other side may be closed already.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}
