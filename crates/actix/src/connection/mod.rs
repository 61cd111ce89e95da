//! The state that the transport of a connection shares with the requests on it: RFC 9112 §9.3.2 and §9.6.

pub(crate) mod answered;
pub(crate) mod authorities;
pub(crate) mod framing;
pub(crate) mod handshakes;
pub(crate) mod metrics;
pub(crate) mod registry;
pub(crate) mod stream;

use crate::connection::framing::Portion;
use crate::connection::registry::{Activity, Permit};
use actix_web::dev::Extensions;
use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

/// A connection of a server of ours, in actix's data of the connection.
pub(crate) struct Connection {
    flow: Rc<Flow>,
    is_secure: bool,
}

impl Connection {
    /// Puts it into actix's data of the connection.
    pub(crate) fn insert(flow: &Rc<Flow>, is_secure: bool, data: &mut Extensions) {
        data.insert(Self { flow: Rc::clone(flow), is_secure });
    }

    /// Whether it is TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether the head of its request exceeded the limit, and is not whole.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.flow.is_cut_off.get()
    }

    /// Whether the body of its request is not read to its end, because too little of it is data.
    pub(crate) fn wastes(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.flow.is_wasteful)
    }

    /// Begins to answer a request.
    pub(crate) fn begin(&self) -> Exchange {
        let connection = self.flow.permit.connection();
        connection.begins();
        if self.flow.is_incomplete.get() {
            connection.does(Activity::Body);
        }
        Exchange(Rc::clone(&self.flow))
    }
}

/// The state of a connection between its transport and its requests.
pub(crate) struct Flow {
    permit: Permit,
    is_wasteful: Rc<Cell<bool>>,
    is_unanswered: Cell<bool>,
    is_ending: Cell<bool>,
    is_cut_off: Cell<bool>,
    /// Whether the end of the request has not been handed on, or is not known.
    is_incomplete: Cell<bool>,
    is_stalled: Cell<bool>,
    /// Whether there is something to read once the request is answered and its answer is written.
    waits_for_turn: Cell<bool>,
}

impl Flow {
    pub(crate) fn new(permit: Permit) -> Self {
        permit.connection().does(Activity::Idle);
        Self {
            permit,
            is_wasteful: Rc::default(),
            is_unanswered: Cell::new(false),
            is_ending: Cell::new(false),
            is_cut_off: Cell::new(false),
            is_incomplete: Cell::new(false),
            is_stalled: Cell::new(false),
            waits_for_turn: Cell::new(false),
        }
    }

    /// Records what actix was given. `is_complete` says whether the request ends with it.
    pub(crate) fn handed_on(&self, portion: Portion, is_complete: bool) {
        let was_incomplete = self.is_incomplete.replace(!is_complete);
        if is_complete && was_incomplete && self.is_unanswered() {
            self.permit.connection().begins();
        }
        if portion.ends_head {
            self.is_unanswered.set(true);
        }
    }

    /// Records that nothing more of a body is handed on, because too little of it is data.
    pub(crate) fn wastes(&self) {
        self.is_wasteful.set(true);
    }

    /// Whether a request has not been answered to its end.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_unanswered.get()
    }

    /// Records that a part of a head has arrived.
    pub(crate) fn begins_head(&self) {
        let connection = self.permit.connection();
        if connection.activity() == Activity::Idle {
            connection.speaks();
            connection.does(Activity::Head);
        }
    }

    /// Records that the head ends here, whatever follows.
    pub(crate) fn cut_off(&self) {
        self.is_cut_off.set(true);
        self.is_incomplete.set(true);
        self.is_unanswered.set(true);
    }

    /// Records that nothing is read any more.
    pub(crate) fn end(&self) {
        self.is_ending.set(true);
        self.permit.connection().does(Activity::Ending);
    }

    /// Whether nothing is read any more: RFC 9112 §9.6, the server "MUST NOT process any further requests received on that
    /// connection".
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Whether the end of the connection was requested.
    pub(crate) fn has_to_end(&self) -> bool {
        self.permit.connection().has_to_end()
    }

    /// Records that there is something to read once the request is answered and its answer is written.
    pub(crate) fn wait_for_turn(&self) {
        self.waits_for_turn.set(true);
    }

    /// Wakes this task when the connection has its turn or has to end.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.permit.connection().register(cx);
    }

    /// Records that a write waits for the client. Returns whether none did before.
    pub(crate) fn stalls(&self) -> bool {
        let is_new = !self.is_stalled.replace(true);
        if is_new {
            self.permit.connection().stalls(true);
        }
        is_new
    }

    /// Whether a write waits for the client.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.get()
    }

    /// Records that the client took some of a stalled answer.
    pub(crate) fn makes_progress(&self) {
        self.permit.connection().stalls(true);
    }

    /// Records that no write waits any more.
    pub(crate) fn flows_again(&self) {
        if self.is_stalled.replace(false) {
            self.permit.connection().stalls(false);
            self.has_turn();
        }
    }

    fn has_turn(&self) {
        if self.waits_for_turn.replace(false) {
            self.permit.connection().wake();
        }
    }
}

/// A request that is being answered; dropped when its answer has been composed to the end.
pub(crate) struct Exchange(Rc<Flow>);

impl Exchange {
    /// Whether the end of the request is not known yet, so that nothing can follow it.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.0.is_incomplete.get()
    }

    /// Whether the connection cannot be kept for another request: its end was requested, or its permit is needed.
    pub(crate) fn is_last(&self) -> bool {
        self.0.has_to_end() || self.0.permit.is_needed()
    }

    /// Records that the answer says `Connection: close`.
    pub(crate) fn ends_connection(&self) {
        self.0.is_ending.set(true);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let flow = &self.0;
        flow.is_unanswered.set(false);
        let next = if flow.is_ending() { Activity::Ending } else { Activity::Idle };
        flow.permit.connection().does(next);
        flow.has_turn();
    }
}
