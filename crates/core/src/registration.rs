//! What is registered for a client: identifiers, credentials, rights and identities.

pub use crate::types::client_id::{ClientId, ClientIdError};
pub use crate::types::distinguished_name::{DistinguishedName, DistinguishedNameError};
pub use crate::types::federation::Federation;
pub use crate::types::peer_certificate::{CertificateName, PeerCertificate};
pub use crate::types::registration::{
    AllowedScope, AuthMethod, Client, GrantType, LONGEST_ASSERTION_LIFETIME, Rights,
};
pub use crate::types::registration_check::{RegistrationError, check_subject_prefix};
pub use crate::types::secret::{LONGEST_CLIENT_SECRET, Secret, SecretDigest};
pub use crate::types::spiffe_id::{SpiffeId, SpiffeIdError};
pub use crate::types::stored_secret::{StoredSecret, StoredSecrets};
pub use crate::types::subject_pattern::{SubjectPattern, SubjectPatternError};
pub use crate::types::user_pattern::{UserPattern, UserPatternError};
