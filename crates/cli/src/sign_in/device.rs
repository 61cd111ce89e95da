//! The device flow: the person enters a code at the provider, on any device (RFC 8628).

use super::provider::{NotAnswered, Person, Provider};
use crate::failure::prompt;
use crate::output::on_one_line;
use anyhow::Context;
use oauth2::{DeviceAuthorizationUrl, PkceCodeChallenge, Scope, StandardDeviceAuthorizationResponse};
use std::cell::RefCell;
use std::thread;
use std::time::Duration;
use tokenberg_core::Lifetime;

/// How often the provider is asked at most, whatever it says.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Signs a person in with a code that is valid at the provider for a short time.
///
/// # Errors
/// If the provider has no device flow, cannot be reached or refuses, or the person does not sign in within the timeout.
pub(crate) fn with_device(provider: &Provider, scope: &str, timeout: Lifetime) -> anyhow::Result<Person> {
    let issuer = provider.issuer();
    let authorization = provider.endpoint("device_authorization_endpoint")?.with_context(|| {
        format!(
            "{issuer} does not offer the device flow: its configuration has no device_authorization_endpoint; sign in without \
             --device, with a browser on this machine"
        )
    })?;
    let client = provider.client()?;
    let endpoint = client.token_uri().url().clone();
    let client = client.set_device_authorization_url(DeviceAuthorizationUrl::from_url(authorization.clone()));
    let scopes = scope.split(' ').map(|scope| Scope::new(scope.to_owned()));
    // RFC 8628 has no PKCE; Keycloak demands it of clients that are registered with it.
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let details: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scopes(scopes)
        .add_extra_param("code_challenge", challenge.as_str())
        .add_extra_param("code_challenge_method", challenge.method().as_str())
        .request(&|request| provider.send(request))
        .map_err(|fault| provider.refused(fault, &authorization))?;
    let place = details.verification_uri().as_str();
    let place = provider.address(place).with_context(|| format!("the verification_uri of {issuer}"))?;
    let code = on_one_line(details.user_code().secret());
    let valid_for = Lifetime::from_seconds(details.expires_in().as_secs().try_into().unwrap_or(u32::MAX));
    let timeout = timeout.min(valid_for);
    prompt(&format!(
        "To sign in, open this address in a browser on any device, and enter the code {code}:\n{place}"
    ));
    if let Some(whole) = details.verification_uri_complete() {
        let whole = provider
            .address(whole.secret())
            .with_context(|| format!("the verification_uri_complete of {issuer}"))?;
        prompt(&format!("This address has the code in it; compare the code that it shows:\n{whole}"));
    }
    prompt(&format!("Waiting for up to {timeout}."));
    // The library asks again after a failure, and reports no reason in the end.
    let last_failure = RefCell::new(None);
    let poll = |request| {
        let answer = provider.send(request);
        let reason = answer.as_ref().err().map(NotAnswered::to_string);
        last_failure.replace(reason);
        answer
    };
    let pause = |interval: Duration| thread::sleep(interval.max(SHORTEST_INTERVAL));
    let within = Duration::from_secs(timeout.as_seconds().into());
    let tokens = client
        .exchange_device_access_token(&details)
        .add_extra_param("code_verifier", verifier.secret())
        .request(&poll, pause, Some(within));
    let tokens = tokens.map_err(|fault| match last_failure.take() {
        Some(reason) => anyhow::anyhow!("no answer of {issuer} within {timeout}: {reason}"),
        None => provider.refused(fault, &endpoint),
    })?;
    provider.person(&tokens, None)
}
