//! One token of a module: opens sessions that are logged in.

use super::error::Pkcs11Error;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Limit, Slot};
use cryptoki::types::AuthPin;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tokenberg_core::Secret;

/// A token, and the PIN of its user.
pub(super) struct Token {
    module: Module,
    label: Box<str>,
    pin: Secret,
    /// Why the PIN was refused, if it was.
    refused: Mutex<Option<String>>,
}

impl Token {
    /// Loads the module. What it loads runs with all rights of this process.
    pub(super) fn load(path: &Path, label: &str, pin: Secret) -> Result<Self, Pkcs11Error> {
        let failed = |error: Error| Pkcs11Error::Module { path: path.to_owned(), reason: error.to_string() };
        let module = Module::new(path).map_err(failed)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // By another part of this program.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { module, label: label.into(), pin, refused: Mutex::default() })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The most sessions that the token allows, if it says so.
    pub(super) fn most_sessions(&self) -> Result<Option<usize>, Pkcs11Error> {
        let about = self.module.get_token_info(self.slot()?).map_err(|e| call("reading the token", &e))?;
        Ok(match about.max_session_count() {
            Limit::Max(most) => usize::try_from(most).ok(),
            Limit::Infinite | Limit::Unavailable => None,
        })
    }

    /// Opens a session and logs in. The slot is searched for each time: a token that was away may be in another one.
    pub(super) fn open(&self, writes: bool) -> Result<Session, Pkcs11Error> {
        let slot = self.slot()?;
        let opened =
            if writes { self.module.open_rw_session(slot) } else { self.module.open_ro_session(slot) };
        let session = opened.map_err(|error| call("opening a session", &error))?;
        self.log_in(&session)?;
        Ok(session)
    }

    fn slot(&self) -> Result<Slot, Pkcs11Error> {
        let slots = self.module.get_slots_with_token().map_err(|error| call("listing the slots", &error))?;
        let mut present = Vec::new();
        for slot in slots {
            // A token that was just removed.
            let Ok(about) = self.module.get_token_info(slot) else { continue };
            if about.label() == &*self.label {
                return Ok(slot);
            }
            if about.token_initialized() {
                present.push(format!("{:?}", about.label()));
            }
        }
        let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
        Err(Pkcs11Error::NoToken { label: self.label.clone(), present })
    }

    /// All sessions of a process are logged in together. One thread logs in at a time, and after a refusal none does again.
    fn log_in(&self, session: &Session) -> Result<(), Pkcs11Error> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let pin = |reason: String| Pkcs11Error::Pin { label: self.label.clone(), reason };
        if let Some(reason) = &*refused {
            return Err(pin(reason.clone()));
        }
        match session.login(UserType::User, Some(&AuthPin::new(self.pin.expose().into()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(
                code @ (RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized),
                _,
            )) => {
                let reason = format!("{code:?}");
                *refused = Some(reason.clone());
                Err(pin(reason))
            }
            Err(error) => Err(call("logging in", &error)),
        }
    }
}

/// An error of the module.
pub(super) fn call(what: &'static str, error: &Error) -> Pkcs11Error {
    let reason = if let Error::Pkcs11(code, function) = error {
        format!("{function:?} failed with {code:?}")
    } else {
        error.to_string()
    };
    Pkcs11Error::Call { what, reason }
}

/// Whether a new session, and the key searched for anew, may help.
pub(super) fn is_of_session(error: &Error) -> bool {
    let Error::Pkcs11(code, _) = error else { return false };
    matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::OperationActive
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::CryptokiNotInitialized
            | RvError::GeneralError
            | RvError::FunctionFailed
    )
}
