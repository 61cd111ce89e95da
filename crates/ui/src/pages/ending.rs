//! What ends soon, for the overview: secrets, certificates and signing keys. Identities of issuers have no end.

use crate::pages::clients;
use crate::samples::{label, samples};
use crate::shown;
use maud::{Markup, html};
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{EndingSecret, StoreError};

/// How far ahead ends are listed: 30 days.
pub(super) const AHEAD: Lifetime = Lifetime::from_seconds(30 * 24 * 3600);

const CERTIFICATE_END: &str = "tokenberg_certificate_end_timestamp_seconds";

/// The list, the next end first.
pub(super) fn list(
    secrets: &[EndingSecret],
    keys: &Result<Vec<KeyMaterial>, StoreError>,
    exposition: &str,
    now: Timestamp,
) -> Markup {
    let mut ends: Vec<(Timestamp, Markup)> = secrets.iter().map(secret).collect();
    ends.extend(keys.iter().flatten().filter_map(key));
    ends.extend(certificates(exposition));
    // A certificate that has expired is still in use; a secret or a key is not.
    ends.retain(|(end, _)| *end <= now.plus(AHEAD));
    ends.sort_by_key(|(end, _)| *end);
    html! {
        h2 { "What ends within 30 days" }
        @if ends.is_empty() { p { "No secret, no certificate and no signing key." } } @else {
            ul { @for (end, what) in &ends { li { (what) ": " (shown::time(*end, now)) } } }
        }
        @if let Err(error) = keys { p.note { "The signing keys cannot be read: " (shown::text(&error.to_string())) } }
    }
}

fn secret(secret: &EndingSecret) -> (Timestamp, Markup) {
    let client = &secret.client;
    let what = html! {
        "The secret " code { (secret.secret_id) } " of "
        a href=(clients::address(client)) { (shown::text(client.as_str())) }
    };
    (secret.expires_at, what)
}

fn key(key: &KeyMaterial) -> Option<(Timestamp, Markup)> {
    let kid = shown::text(key.id.as_str());
    let what = html! { "The signing key " a href="/ui/keys" { code { (kid) } } " no longer verifies" };
    Some((key.verifies_until?, what))
}

/// The end of the certificate of the server.
pub(super) fn of_certificate(exposition: &str) -> Option<Timestamp> {
    let mut ends = samples(exposition).filter(|(name, ..)| *name == CERTIFICATE_END);
    ends.find(|(_, labels, _)| label(labels, "certificate") == Some("server")).and_then(|(.., end)| time(end))
}

fn certificates(exposition: &str) -> impl Iterator<Item = (Timestamp, Markup)> {
    let ends = samples(exposition).filter(|(name, ..)| *name == CERTIFICATE_END);
    ends.filter_map(|(_, labels, end)| {
        let what = match label(labels, "certificate")? {
            "client_ca" => "A certificate that clients' certificates are verified with (--tls-client-ca)",
            _ => "The TLS certificate of this server (--tls-cert)",
        };
        Some((time(end)?, html! { (what) }))
    })
}

/// A figure in seconds since 1970.
#[allow(clippy::cast_possible_truncation, reason = "whole seconds, in the years that we handle")]
pub(super) fn time(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_seconds(seconds as i64).ok()
}
