//! A runtime for the store's connections, which lasts as long as the store.

use std::io;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that drives connections and background tasks. It ends when this is dropped.
pub(crate) struct RuntimeThread {
    handle: Handle,
    _until_dropped: oneshot::Sender<()>,
}

impl RuntimeThread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("tokenberg-store".to_owned()).spawn(move || {
            // The channel carries no message; dropping the sender ends the runtime.
            let _ = runtime.block_on(dropped);
        })?;
        Ok(Self { handle, _until_dropped: until_dropped })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
