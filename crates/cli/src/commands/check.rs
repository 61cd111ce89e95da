//! `tokenberg check`: reports what would not work in configuration, store, keys and clock. It changes nothing.

use super::findings::{Finding, Findings};
use super::secret_age;
use super::store_state::{check_files, check_issuer, check_schema, check_snapshot, not_writable_file};
use crate::common::Common;
use crate::configuration::Configuration;
use crate::descriptors::Descriptors;
use crate::device::DeviceOptions;
use crate::failure::AlreadyReported;
use crate::input::SecretVariable;
use crate::issuer_keys::{IssuerAccess, Outcome, Trial};
use crate::issuer_names::Names;
use crate::output::Output;
use crate::server::certificates::{Certificates, Concern};
use crate::server::settings::Settings;
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, input, issuer_keys, key_state, moment_text};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{AuthMethod, Issuer, KeySource, Lifetime, Timestamp, TrustedIssuer};
use tokenberg_jose::{Keyring, PublicKeys};
use tokenberg_service::{CLOCK_LEEWAY, devices};
use tokenberg_store::{ClientRecord, IssuerRecord, Opening, Store, StoreError};

/// The tolerated difference between the clocks of several machines.
const LEEWAY: Lifetime = Lifetime::from_seconds(60);

/// `tokenberg check`
#[derive(Debug, Args)]
#[command(after_help = "\
The command changes nothing. It fetches the published keys of trusted issuers, as a server does.
Exit code 0: no problem was found, only notes; 1: at least one problem.")]
pub(crate) struct Check {
    /// Do not fetch the published keys of trusted issuers
    #[arg(long, visible_alias = "no-fetch")]
    offline: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Checks everything, and fails if anything would not work.
///
/// # Errors
/// If there is a problem; the problems have been printed by then.
pub(crate) fn run(
    common: &Common,
    Check { offline, settings }: &Check,
    configuration: &Configuration,
    output: Output,
) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let now = match clock::now() {
        Ok(now) => {
            findings.ok("clock", moment_text::written(now));
            Some(now)
        }
        Err(error) => {
            findings.problem("clock", format!("{error:#}"));
            None
        }
    };
    for sentence in configuration.warnings() {
        findings.note("configuration", sentence);
    }
    for sentence in configuration.mistakes().sentences() {
        findings.problem("configuration", sentence);
    }
    // Without the settings that have mistakes, the others may not be what the operator wants.
    if configuration.mistakes().is_empty() {
        check_settings(settings, common, now, &mut findings);
    }
    let store = match StoreLocation::of(common) {
        // Then the mistake may be in the address of the store, and the default is another store.
        Ok(_) if !configuration.mistakes().is_empty() && !configuration.gives("store") => {
            findings.note("store", "not checked, because mistakes in the configuration may concern it");
            None
        }
        Ok(store) => Some(store),
        Err(error) => {
            findings.problem("configuration", format!("{error:#}"));
            None
        }
    };
    if let (Some(store), Some(now)) = (store, now) {
        // With mistakes, the settings may not be what the operator wants.
        let known = configuration.mistakes().is_empty().then_some(settings);
        if let Some(settings) = known {
            check_snapshot(settings, &store, &mut findings);
        }
        let issuers = wait_for(async { Ok(check_store(store, known, now, &mut findings).await) })?;
        if configuration.mistakes().is_empty() && !offline {
            check_published(&issuers, &settings.issuer_access, &mut findings);
        }
    }
    let is_good = findings.0.iter().all(|finding| finding.state != "problem");
    output.show(
        || json!({"ok": is_good, "findings": findings.0.iter().map(value).collect::<Vec<_>>()}),
        || {
            let lines = findings.0.iter().map(|f| format!("{:<8} {}: {}\n", f.state, f.about, f.text));
            lines.collect()
        },
    )?;
    if is_good { Ok(()) } else { Err(AlreadyReported.into()) }
}

fn value(finding: &Finding) -> Value {
    json!({"about": finding.about, "state": finding.state, "text": finding.text})
}

fn check_settings(settings: &Settings, common: &Common, now: Option<Timestamp>, findings: &mut Findings) {
    let listening = &settings.listening;
    let mistakes = settings.check(&common.store).err().unwrap_or_default();
    for sentence in mistakes.sentences() {
        findings.problem("configuration", sentence);
    }
    match listening.issuer_at(listening.listen.port()) {
        Ok(issuer) => findings.ok("issuer", issuer.as_str()),
        // Without a valid address there is no issuer; the mistake is reported above.
        Err(_) if !mistakes.is_empty() => {}
        Err(error) => findings.problem("issuer", format!("{error:#}")),
    }
    if let Some(sentence) = listening.odd_issuer() {
        findings.note("issuer", sentence);
    }
    if settings.is_first_key_impossible() {
        findings.note("alg", "RSA keys are not generated, so `tokenberg serve` cannot start on an empty store; import a key with `tokenberg key import` first");
    }
    if let Some((cert, key)) = listening.tls_files() {
        match listening.loaded_tls() {
            Ok(tls) => {
                findings.ok("tls", format!("certificate {}", cert.display()));
                let issuer = listening.issuer_at(listening.listen.port()).ok();
                let certificates = Certificates::new(listening, tls.as_ref(), issuer.as_ref());
                for Concern { text, is_problem } in
                    certificates.iter().zip(now).flat_map(|(certificates, now)| certificates.concerns(now))
                {
                    findings.add("tls", if is_problem { "problem" } else { "note" }, text);
                }
            }
            Err(fault) => findings.problem("tls", fault.to_string()),
        }
        if let Some(mode) = input::open_to_others(key) {
            findings.note("tls", format!("{} is accessible to other users (mode {mode:04o})", key.display()));
        }
    }
    if let Err(error) =
        issuer_keys::held(&settings.issuer_access, settings.fetch_limits(), std::sync::Arc::default())
    {
        findings.problem("issuer-ca", format!("{error:#}"));
    }
    let places = Descriptors::read().if_raised().places(settings.workers());
    if places.are_few() {
        findings.note("descriptors", places.to_string());
    } else {
        findings.ok("descriptors", places.to_string());
    }
    for (name, address) in [("listen", Some(listening.listen)), ("ops-listen", listening.ops_listen)] {
        let Some(address) = address else { continue };
        match std::net::TcpListener::bind(address) {
            Ok(_) => findings.ok(name, address.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                findings.note(name, format!("{address} is in use, perhaps by a running server"));
            }
            Err(error) => findings.problem(name, format!("cannot listen on {address}: {error}")),
        }
    }
}

/// Checks the store, and returns the issuers that are registered in it.
async fn check_store(
    location: StoreLocation,
    settings: Option<&Settings>,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<IssuerRecord> {
    let url = location.url.clone();
    if let Some(path) = url.path().filter(|path| !path.exists()) {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if directory.is_dir() {
            findings.note("store", format!("{url} does not exist yet; `tokenberg init` makes it, and so does the first `tokenberg serve`"));
        } else {
            findings.problem(
                "store",
                format!("{} is not a directory, so {url} cannot be created", directory.display()),
            );
        }
        return Vec::new();
    }
    if url.is_in_the_clear() {
        findings.note(
            "store",
            format!("the connection to {url} can be read and changed on the network path; sslmode=verify-full prevents that"),
        );
    }
    let key_file = location.key_file();
    let opened = Store::open_for(&location.url, location.key.clone(), Opening::Read).await;
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            // The database can be reached, and is empty. With the key of a store, a server makes no other one in it.
            let has_key = key_file.is_none_or(|path| path.exists());
            let is_expected = settings.is_some_and(|settings| settings.create)
                || SecretVariable::BootstrapCredential.read().is_ok_and(|given| given.is_some());
            if matches!(error, StoreError::Missing { .. }) && (!has_key || is_expected) {
                findings.note("store", error.to_string());
            } else {
                findings.problem("store", error.to_string());
            }
            return Vec::new();
        }
    };
    store.compare_clocks(CLOCK_LEEWAY).await;
    let not_writable = store.not_writable().map(str::to_owned);
    match not_writable.or_else(|| url.path().and_then(not_writable_file)) {
        None => findings.ok("store", url.to_string()),
        Some(reason) => findings.problem(
            "store",
            format!(
                "{url} can be read, but not written: {reason}; revocations and single-use identifiers fail"
            ),
        ),
    }
    if let Some(offset) = store.clock_offset().filter(|offset| offset.exceeds(CLOCK_LEEWAY)) {
        findings.wrong_clock(now, &offset.to_string());
    }
    check_files(&url, &location.key, findings);
    check_schema(&store, findings).await;
    check_issuer(&store, settings, findings).await;
    let issuers = check_content(&store, settings, now, findings).await;
    store.close().await;
    issuers
}

async fn check_content(
    store: &Store,
    settings: Option<&Settings>,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<IssuerRecord> {
    let (keys, clients, issuers) = match (store.keys().await, store.clients().await, store.issuers().await) {
        (Ok(keys), Ok(clients), Ok(issuers)) => (keys, clients, issuers),
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
            findings.problem("store", error.to_string());
            return Vec::new();
        }
    };
    check_keys(&keys, now, findings);
    if let Some(settings) = settings {
        check_device(&settings.device, &keys, now, findings);
    }
    check_clients(&clients, &issuers, now, findings);
    check_issuers(&issuers, findings);
    for sentence in Names::of_records(&issuers).all(clients.iter().map(|client| &client.id)) {
        findings.note("names", sentence);
    }
    if let Some(newest) = newest(&keys, &clients).filter(|newest| *newest > now.plus(LEEWAY)) {
        let text = format!(
            "the clock is behind: the store has an entry from {}",
            moment_text::with_distance(newest, now)
        );
        findings.problem("clock", text);
    }
    issuers
}

fn check_clients(
    clients: &[ClientRecord],
    issuers: &[IssuerRecord],
    now: Timestamp,
    findings: &mut Findings,
) {
    let enabled = clients.iter().filter(|client| client.enabled).count();
    findings.ok("clients", format!("{} registered, {enabled} enabled", clients.len()));
    for sentence in secret_age::of_old(clients, now).into_iter().chain(secret_age::of_ending(clients, now)) {
        findings.note("clients", sentence);
    }
    let vouches = |issuer: &Issuer| issuers.iter().any(|i| i.trusted.enabled && i.trusted.issuer == *issuer);
    for client in clients.iter().filter(|client| client.enabled) {
        let rights = &client.rights;
        let is_live = client.secrets.iter().any(|s| s.expires_at.is_none_or(|end| now < end));
        let is_federated = rights.federations.iter().any(|federation| vouches(&federation.issuer));
        let lacks = match rights.auth_method {
            AuthMethod::ClientSecret => (!is_live).then_some("has no live secret"),
            AuthMethod::PrivateKeyJwt => {
                let keys = PublicKeys::from_jwks(rights.jwks.as_deref().unwrap_or_default());
                keys.map_or(true, |keys| keys.is_empty()).then_some("has no usable public key")
            }
            AuthMethod::TlsClientAuth => rights.certificate.is_none().then_some("has no certificate name"),
            AuthMethod::Federated => Some("has no identity of an enabled issuer"),
            AuthMethod::Public => rights.may_impersonate.is_empty().then_some(
                "has no credential and no --may-impersonate, whose users' ID tokens it could exchange",
            ),
        };
        if let Some(lacks) = lacks.filter(|_| !is_federated) {
            findings.note("clients", format!("{} {lacks}, so it cannot obtain a token", client.id));
        }
    }
}

/// Checks issuers without the network; [`check_published`] fetches the keys that they publish.
fn check_issuers(issuers: &[IssuerRecord], findings: &mut Findings) {
    for record in issuers {
        let issuer = &record.trusted.issuer;
        if !record.trusted.enabled {
            findings.note("issuers", format!("{issuer} is disabled"));
        }
        if record.trusted.trust.insecure_http {
            findings.note(
                "issuers",
                format!(
                    "{issuer} is trusted over plain http (--insecure-http): an attacker on the network path can replace its keys and so \
                     impersonate any of its users"
                ),
            );
        }
        match &record.trusted.trust.keys {
            KeySource::JwksUri(_) | KeySource::Discovery => {}
            KeySource::Jwks(jwks) => match PublicKeys::from_jwks(jwks) {
                Ok(keys) if !keys.is_empty() => {}
                Ok(_) => findings.problem("issuers", format!("no key of {issuer} is usable")),
                Err(fault) => findings.problem("issuers", format!("the keys of {issuer}: {fault}")),
            },
        }
    }
    if !issuers.is_empty() {
        let enabled = issuers.iter().filter(|record| record.trusted.enabled).count();
        findings.ok("issuers", format!("{} registered, {enabled} enabled", issuers.len()));
    }
}

/// Fetches the keys of each enabled issuer that publishes them, as a server would.
fn check_published(issuers: &[IssuerRecord], access: &IssuerAccess, findings: &mut Findings) {
    let publishes = |trusted: &&TrustedIssuer| match trusted.trust.keys {
        KeySource::Jwks(_) => false,
        KeySource::JwksUri(_) | KeySource::Discovery => trusted.enabled,
    };
    let issuers: Vec<&TrustedIssuer> =
        issuers.iter().map(|record| &record.trusted).filter(publishes).collect();
    // A file that cannot be read is a problem that was found before.
    let Ok(trial) = Trial::new(access) else { return };
    for (TrustedIssuer { issuer, .. }, tried) in trial.of_all(&issuers) {
        match tried.outcome {
            Outcome::Usable(1) => findings.ok("issuer keys", format!("{issuer} publishes 1 usable key")),
            Outcome::Usable(usable) => {
                findings.ok("issuer keys", format!("{issuer} publishes {usable} usable keys"));
            }
            Outcome::Unusable(reason) => {
                findings.problem("issuer keys", format!("no key of {issuer} is usable: {reason}"));
            }
            Outcome::Unreachable(reason) => {
                findings.note("issuer keys", format!("the keys of {issuer} cannot be fetched now: {reason}"));
            }
        }
        for unused in tried.unused {
            findings.note("issuer keys", format!("{issuer}: {unused}"));
        }
    }
}

fn check_keys(keys: &[KeyMaterial], now: Timestamp, findings: &mut Findings) {
    if let Err(fault) = Keyring::read(keys, now) {
        findings.problem("keys", fault.to_string());
    }
    match key_state::signing(keys, now) {
        Some(key) => findings.ok("keys", format!("{} ({}) signs", key.id, key.algorithm)),
        None if keys.is_empty() => {
            findings.note("keys", "the store has no signing key yet; `tokenberg serve` creates one")
        }
        None => {
            findings.problem("keys", "no key signs now; `tokenberg key rotate --now` creates one that does")
        }
    }
}

fn check_device(options: &DeviceOptions, keys: &[KeyMaterial], now: Timestamp, findings: &mut Findings) {
    match options.open() {
        Ok(Some(_)) => findings.ok("device", "the PKCS#11 token accepts the PIN"),
        Ok(None) => {
            if let Some(key) = key_state::signing(keys, now)
                && let Some(held) = key.private.device()
            {
                findings.problem("device", devices::out_of_reach(key, held));
            }
        }
        Err(error) => findings.problem("device", format!("{error:#}")),
    }
}

fn newest(keys: &[KeyMaterial], clients: &[ClientRecord]) -> Option<Timestamp> {
    let of_clients = clients.iter().flat_map(|client| {
        std::iter::once(client.created_at).chain(client.secrets.iter().map(|secret| secret.created_at))
    });
    keys.iter().map(|key| key.created_at).chain(of_clients).max()
}
