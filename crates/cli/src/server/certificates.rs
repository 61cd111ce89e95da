//! Follows the files of TLS while a server runs, and reports certificates that end or do not fit: RFC 5280 §4.1.2.5, RFC 9525 §6,
//! conformance HT-20.

use super::listening::Listening;
use crate::clock;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokenberg_actix::tls::{CertificateSummary, Tls};
use tokenberg_core::{Issuer, Lifetime, Timestamp};

/// How often the files are compared with what is in use.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long before its end a certificate is reported.
const NOTICE: Lifetime = Lifetime::from_hours(14 * 24);
/// How often a concern is logged again.
const REPEATED: Duration = Duration::from_secs(24 * 3600);

/// The certificates of a server.
#[derive(Clone)]
pub(crate) struct Certificates {
    tls: Tls,
    file: PathBuf,
    authorities: Option<PathBuf>,
    /// The issuer, if clients compare the certificate with its host.
    issuer: Option<Issuer>,
}

/// What is wrong with a certificate, or soon will be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) text: String,
    /// Whether clients refuse the server because of it.
    pub(crate) is_problem: bool,
}

impl Certificates {
    /// Those that were read with these settings; `None` without TLS.
    pub(crate) fn new(listening: &Listening, tls: Option<&Tls>, issuer: Option<&Issuer>) -> Option<Self> {
        let (file, _) = listening.tls_files()?;
        // A trusted proxy that speaks TLS to this server knows it by another name than clients do.
        let issuer = issuer.filter(|_| listening.trusted_proxy.is_empty()).cloned();
        Some(Self {
            tls: tls?.clone(),
            file: file.clone(),
            authorities: listening.tls_client_ca.clone(),
            issuer,
        })
    }

    /// The end of the first certificate to expire, of the server's chain and of the authorities for clients; the name of each is a
    /// label.
    pub(crate) fn ends(&self) -> Vec<(&'static str, Timestamp)> {
        let first = |all: Vec<CertificateSummary>| all.iter().map(|one| one.not_after).min();
        let own = first(self.tls.certificates()).map(|end| ("server", end));
        let authorities = first(self.of_authorities()).map(|end| ("client_ca", end));
        own.into_iter().chain(authorities).collect()
    }

    fn of_authorities(&self) -> Vec<CertificateSummary> {
        self.tls.client_authorities().map(|authorities| authorities.certificates()).unwrap_or_default()
    }

    /// What an operator should know at this time. The texts stay the same while nothing changes.
    pub(crate) fn concerns(&self, now: Timestamp) -> Vec<Concern> {
        let file = self.file.display();
        let mut concerns = Vec::new();
        for (at, certificate) in self.tls.certificates().iter().enumerate() {
            let kind = if at == 0 { "TLS certificate" } else { "intermediate certificate" };
            let about = format!("the {kind} {:?} in {file}", certificate.subject);
            concerns.extend(of_time(times(certificate), &about, "clients refuse to connect", at == 0, now));
        }
        if let Some(issuer) = self.issuer.as_ref().filter(|issuer| !self.tls.names(issuer.host())) {
            let text = format!(
                "the TLS certificate in {file} does not name {}, the host of the issuer {issuer}: clients that use this name refuse it",
                issuer.host()
            );
            concerns.push(Concern { text, is_problem: false });
        }
        let authorities = self.authorities.as_deref().unwrap_or(&self.file).display();
        for certificate in self.of_authorities() {
            let about = format!("the CA certificate {:?} in {authorities}", certificate.subject);
            concerns.extend(of_time(
                times(&certificate),
                &about,
                "clients with its certificates are refused",
                false,
                now,
            ));
        }
        if let Some(reason) = self.tls.refused() {
            let text = format!(
                "the files of the TLS certificate have changed and are not usable, so the previous ones stay in use: {reason}"
            );
            concerns.push(Concern { text, is_problem: false });
        }
        concerns
    }

    /// [`Certificates::concerns`], each after `; `.
    pub(super) fn notes(&self) -> String {
        let Ok(now) = clock::now() else { return String::new() };
        self.concerns(now).iter().map(|concern| format!("; {}", concern.text)).collect()
    }

    /// Follows the files from now on, and logs each concern once a day.
    pub(super) fn begin(&self) {
        let certificates = self.clone();
        actix_web::rt::spawn(async move {
            let mut reported = Reported::default();
            loop {
                certificates.follow().await;
                if let Ok(now) = clock::now() {
                    for text in reported.due(certificates.concerns(now), Instant::now()) {
                        tracing::warn!("{text}");
                    }
                }
                actix_web::rt::time::sleep(INTERVAL).await;
            }
        });
    }

    async fn follow(&self) {
        let tls = self.tls.clone();
        match tokio::task::spawn_blocking(move || tls.follow()).await {
            Ok(Ok(true)) => {
                let until = self.tls.certificates().first().map(|own| own.not_after.to_string());
                tracing::info!(
                    until,
                    "the files of the TLS certificate have changed; new connections use them"
                );
            }
            // A file that is not usable is one of the concerns.
            Ok(Ok(false) | Err(_)) => {}
            Err(error) => tracing::error!(%error, "cannot follow the files of the TLS certificate"),
        }
    }
}

fn times(certificate: &CertificateSummary) -> [Timestamp; 2] {
    [certificate.not_before, certificate.not_after]
}

/// What is wrong with the time of a certificate.
fn of_time(
    [not_before, not_after]: [Timestamp; 2],
    about: &str,
    effect: &str,
    is_own: bool,
    now: Timestamp,
) -> Option<Concern> {
    let (text, is_problem) = if now > not_after {
        (format!("{about} expired at {not_after}: {effect}"), is_own)
    } else if now < not_before {
        (format!("{about} is not valid before {not_before}: {effect}"), is_own)
    } else if not_after <= now.plus(NOTICE) {
        (format!("{about} ends at {not_after}; a new one in this file is used without a restart"), false)
    } else {
        return None;
    };
    Some(Concern { text, is_problem })
}

/// When each concern was logged last.
#[derive(Default)]
struct Reported(HashMap<String, Instant>);

impl Reported {
    /// Those that are new, or were logged a day ago.
    fn due(&mut self, concerns: Vec<Concern>, at: Instant) -> Vec<String> {
        let texts: Vec<String> = concerns.into_iter().map(|concern| concern.text).collect();
        self.0.retain(|text, _| texts.contains(text));
        let is_due = |text: &String| self.0.get(text).is_none_or(|last| at.duration_since(*last) >= REPEATED);
        let due: Vec<String> = texts.into_iter().filter(is_due).collect();
        self.0.extend(due.iter().map(|text| (text.clone(), at)));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    #[test]
    fn ht_20_a_certificate_is_reported_from_fourteen_days_before_its_end_on() {
        const DAY: i64 = 86_400;
        for (now, expected) in [
            (10 * DAY - 1, Some(("is not valid before 1970-01-11T00:00:00Z: refused", true))),
            (10 * DAY, None),
            (86 * DAY - 1, None),
            (86 * DAY, Some(("ends at 1970-04-11T00:00:00Z; a new", false))),
            (100 * DAY, Some(("ends at 1970-04-11T00:00:00Z; a new", false))),
            (100 * DAY + 1, Some(("expired at 1970-04-11T00:00:00Z: refused", true))),
        ] {
            let found = of_time([at(10 * DAY), at(100 * DAY)], "it", "refused", true, at(now));
            let is_as_expected = match (&found, expected) {
                (None, None) => true,
                (Some(found), Some((text, is_problem))) => {
                    found.text.starts_with(&format!("it {text}")) && found.is_problem == is_problem
                }
                _ => false,
            };
            assert!(is_as_expected, "{now}: {found:?}");
        }
    }

    #[test]
    fn ht_20_a_concern_is_logged_once_a_day_while_it_lasts() {
        let concerns = |texts: &[&str]| {
            texts.iter().map(|text| Concern { text: (*text).to_owned(), is_problem: false }).collect()
        };
        let (mut reported, begun) = (Reported::default(), Instant::now());
        assert_eq!(reported.due(concerns(&["a", "b"]), begun), ["a", "b"]);
        assert_eq!(reported.due(concerns(&["a", "b", "c"]), begun + REPEATED / 2), ["c"]);
        assert_eq!(reported.due(concerns(&["a", "c"]), begun + REPEATED), ["a"]);
        assert_eq!(reported.due(concerns(&["b"]), begun + REPEATED), ["b"], "it was over in between");
    }
}
