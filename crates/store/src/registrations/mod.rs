//! What operators register: clients with their secrets and foreign identities, trusted issuers, and disabled subjects.

mod apply;
mod bootstrap;
mod browsing;
mod client_rows;
mod clients;
mod ensured;
mod federations;
mod issuers;
mod known_rights;
mod rehearsal;
mod secrets;
mod subjects;
mod used_secrets;

pub use apply::RegistrationChange;
pub use bootstrap::Bootstrap;
pub use browsing::EndingSecret;
pub use client_rows::{ClientRecord, SecretRecord};
pub(crate) use client_rows::{
    ClientRow, Gathering, Row as ClientRecordRow, SELECT_CHANGED_CLIENTS, SELECT_CHANGED_IDS, SELECT_CLIENTS,
};
pub use ensured::EnsuredClient;
pub use issuers::IssuerRecord;
pub(crate) use issuers::{Row as IssuerRow, SELECT_ISSUERS, TrustedIssuers};
pub(crate) use known_rights::{KnownRights, WrittenRights, to_json as rights_to_json};
pub use secrets::AddedSecret;
pub use subjects::DisabledSubject;
pub(crate) use subjects::{DisabledSubjects, SELECT_DISABLED};
pub(crate) use used_secrets::UsedSecrets;
