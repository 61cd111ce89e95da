//! The authorization code flow with PKCE in a browser on this machine: RFC 8252, RFC 7636, OpenID Connect Core 1.0 §3.1.

use super::callback::{Callback, Visitor};
use super::provider::{Person, Provider};
use super::response::Expected;
use crate::failure::{prompt, warn};
use crate::input::SecretVariable;
use anyhow::Context;
use oauth2::{AuthUrl, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use std::env;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokenberg_core::Lifetime;
use url::Url;

/// How to sign in with a browser.
pub(crate) struct WithBrowser<'a> {
    /// The redirect URI, without a port if any will do.
    pub(crate) redirect_uri: &'a Url,
    /// The scope that is requested from the provider.
    pub(crate) scope: &'a str,
    /// Whether the browser is to be opened.
    pub(crate) opens: bool,
    /// How long to wait for the person.
    pub(crate) timeout: Lifetime,
}

/// Signs a person in with a browser. The browser waits for the page which ends the sign-in.
///
/// # Errors
/// If the provider cannot be reached or refuses, the person does not sign in within the timeout, or the response is not one to
/// trust.
pub(crate) fn with_browser(provider: &Provider, how: &WithBrowser<'_>) -> anyhow::Result<(Person, Visitor)> {
    let issuer = provider.issuer();
    let authorization = provider.endpoint("authorization_endpoint")?.with_context(|| {
        format!("the configuration of {issuer} has no authorization_endpoint; try `tokenberg login --device`")
    })?;
    anyhow::ensure!(
        !provider.rules_out("code_challenge_methods_supported", "S256"),
        "{issuer} does not support PKCE with S256 (RFC 7636), without which a code could be stolen on this machine"
    );
    let callback = Callback::listen(how.redirect_uri)?;
    let redirect_uri = callback.uri().clone();
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = CsrfToken::new_random();
    let client = provider.client()?;
    let endpoint = client.token_uri().url().clone();
    let client = client
        .set_auth_uri(AuthUrl::from_url(authorization))
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    let scopes = how.scope.split(' ').map(|scope| Scope::new(scope.to_owned()));
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(scopes)
        .set_pkce_challenge(challenge)
        .add_extra_param("nonce", nonce.secret())
        .url();
    if how.opens && open(&url) {
        prompt(&format!(
            "Sign in with the browser that opens. If none does, open this address in one on this machine:\n{url}"
        ));
    } else {
        prompt(&format!("To sign in, open this address in a browser on this machine:\n{url}"));
    }
    let names_itself = provider.promises("authorization_response_iss_parameter_supported");
    let expected = Expected { state: &state, issuer, names_itself };
    let deadline = Instant::now() + Duration::from_secs(how.timeout.as_seconds().into());
    let Some((code, visitor)) = callback.wait(&expected, deadline)? else {
        let (uri, timeout) = (how.redirect_uri, how.timeout);
        anyhow::bail!(
            "no answer of {issuer} came to {redirect_uri} within {timeout}. If the browser showed an error about the redirect URI, \
             register {uri} at the provider for this client; if it needs a fixed port, register {redirect_uri} and give --port {}. \
             If the browser is on another machine, use --device",
            redirect_uri.port().unwrap_or_default()
        );
    };
    let exchanged =
        client.exchange_code(code).set_pkce_verifier(verifier).request(&|request| provider.send(request));
    let person = exchanged
        .map_err(|fault| provider.refused(fault, &endpoint))
        .and_then(|tokens| provider.person(&tokens, Some(nonce.secret())));
    match person {
        Ok(person) => Ok((person, visitor)),
        Err(fault) => {
            visitor.end(false);
            Err(fault)
        }
    }
}

/// Opens the address in the browser of the person; `false` if there is none.
fn open(url: &Url) -> bool {
    let Some(program) = program() else { return false };
    let mut command = Command::new(&program);
    command.arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for secret in SecretVariable::ALL {
        command.env_remove(secret.name());
    }
    let started = command.spawn();
    if let Err(fault) = &started {
        warn(&format!("cannot open a browser with {program}: {fault}"));
    }
    started.is_ok()
}

/// The program that opens an address; `None` where no browser could show it.
fn program() -> Option<String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    // Only the simple form of the variable: others are left to xdg-open.
    let is_simple = |value: &String| !value.contains([' ', '%', ':']);
    if let Some(browser) = variable("BROWSER").filter(is_simple) {
        return Some(browser);
    }
    if cfg!(target_os = "macos") {
        return Some("open".to_owned());
    }
    // Without a display, xdg-open would start a browser in the terminal, or nothing.
    let has_display =
        ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(|name| variable(name).is_some());
    has_display.then(|| "xdg-open".to_owned())
}
