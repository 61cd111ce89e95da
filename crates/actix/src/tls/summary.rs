//! What an operator has to know of a certificate in use: whose it is, and when it is valid; RFC 5280 §4.1.2.5.

use crate::client_certificate;
use rustls::pki_types::CertificateDer;
use std::time::Duration;
use tokenberg_core::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// Its subject as in RFC 4514; empty if it has none or one that is not text.
    pub subject: Box<str>,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl CertificateSummary {
    /// Of each certificate that can be read.
    pub(crate) fn of_all(certificates: &[CertificateDer<'_>]) -> Vec<Self> {
        certificates.iter().filter_map(|der| Self::of(der)).collect()
    }

    fn of(der: &[u8]) -> Option<Self> {
        let read = Certificate::from_der(der).ok()?;
        let validity = read.tbs_certificate().validity();
        let time = |since: Duration| {
            Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)).ok()
        };
        Some(Self {
            subject: client_certificate::subject(&read).unwrap_or_default().into(),
            not_before: time(validity.not_before.to_unix_duration())?,
            not_after: time(validity.not_after.to_unix_duration())?,
        })
    }
}
