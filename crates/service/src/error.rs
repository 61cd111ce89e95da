//! Why the service cannot start, or a change cannot be made.

use tokenberg_core::Timestamp;
use tokenberg_core::backends::DeviceFault;
use tokenberg_jose::KeyFault;
use tokenberg_store::StoreError;

/// Why the service cannot start, or a change cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The store refuses it or is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The clock of the machine is wrong.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A key cannot be generated.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The device that holds the signing keys does not do it.
    #[error(transparent)]
    Device(#[from] DeviceFault),
}

/// How the clock of the machine is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// Its time is not one that tokens can have.
    #[error("the clock of this machine is wrong: its time is out of range")]
    OutOfRange,
    /// Its time is before this program was built.
    #[error("the clock of this machine is wrong: its time is {now}, which is before this program was built")]
    BeforeThisProgram {
        /// The time of the clock.
        now: Timestamp,
    },
}
