//! What if the network fails? A wire between two ports of this machine that can be cut, and that can swallow everything.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It arrives.
    Open,
    /// It waits: nobody hears anything, and nothing is closed.
    Stalled,
    /// Connections are closed, and new ones at once.
    Cut,
}

/// A port of this machine behind which there is another one.
pub struct Wire {
    port: u16,
    state: Arc<State>,
}

struct State {
    present: Mutex<Present>,
    changed: Condvar,
}

struct Present {
    line: Line,
    streams: Vec<TcpStream>,
    joined: usize,
    /// Connections with a smaller number carry nothing any more.
    forgotten: usize,
}

impl Wire {
    /// A new port in front of this one.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let present = Present { line: Line::Open, streams: Vec::new(), joined: 0, forgotten: 0 };
        let state = Arc::new(State { present: Mutex::new(present), changed: Condvar::new() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // Whoever cannot be reached closes, as the system does for a port where nobody listens.
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

    /// From now on.
    pub fn set(&self, line: Line) {
        let mut present = self.state.lock();
        present.line = line;
        if line == Line::Cut {
            for stream in present.streams.drain(..) {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.state.changed.notify_all();
    }

    /// Connections that there are now neither carry anything any more nor are closed, as when a machine has vanished and
    /// another one has taken its address.
    pub fn forget(&self) {
        let mut present = self.state.lock();
        present.forgotten = present.joined;
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
        for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
            let state = self.clone();
            std::thread::spawn(move || state.carry(number, from, to));
        }
        Ok(())
    }

    fn carry(&self, number: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut room = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut room) {
            let mut present = self.lock();
            while present.line == Line::Stalled || number < present.forgotten {
                present = self.changed.wait(present).unwrap_or_else(PoisonError::into_inner);
            }
            drop(present);
            if to.write_all(&room[..length]).is_err() {
                break;
            }
        }
        // The other side may be closed already.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}
