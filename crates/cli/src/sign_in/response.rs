//! Reads the authorization response that the browser brings: RFC 6749 §4.1.2, RFC 9207.

use crate::output::on_one_line;
use oauth2::{AuthorizationCode, CsrfToken};
use tokenberg_core::Issuer;
use url::form_urlencoded;

/// What the response has to have.
pub(super) struct Expected<'a> {
    /// The state of the request.
    pub(super) state: &'a CsrfToken,
    /// The provider that the request was sent to.
    pub(super) issuer: &'a Issuer,
    /// Whether the provider promises to name itself (RFC 9207 §3).
    pub(super) names_itself: bool,
}

/// Why a response has no code to use.
#[derive(Debug)]
pub(super) enum NoCode {
    /// It does not answer our request, so it changes nothing.
    NotOurs(&'static str),
    /// It answers our request, and the sign-in has failed.
    Failed(String),
}

/// The code of the response in this query.
///
/// # Errors
/// If the response is not for us, or is an error.
pub(super) fn read(query: &str, expected: &Expected<'_>) -> Result<AuthorizationCode, NoCode> {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // RFC 6749 §3.1: "Request and response parameters MUST NOT be included more than once."
    let value = |name: &str| {
        let mut found = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(NoCode::NotOurs("a parameter is repeated")),
        }
    };
    let (state, issuer) = (value("state")?, value("iss")?);
    let (code, error) = (value("code")?, value("error")?);
    let description = value("error_description")?;
    let state = state.ok_or(NoCode::NotOurs("it has no state"))?;
    if CsrfToken::new(state.to_owned()) != *expected.state {
        return Err(NoCode::NotOurs("its state is not that of this sign-in"));
    }
    // RFC 9207 §2.4: "If the value does not match the expected issuer identifier, clients MUST reject the authorization response".
    match issuer {
        Some(issuer) if issuer == expected.issuer.as_str() => {}
        Some(issuer) => {
            let (issuer, ours) = (on_one_line(issuer), expected.issuer);
            return Err(NoCode::Failed(format!("the response is of another provider: {issuer}, not {ours}")));
        }
        None if expected.names_itself => {
            let sentence =
                "the response does not name its provider, which the provider promises to do (RFC 9207)";
            return Err(NoCode::Failed(sentence.to_owned()));
        }
        None => {}
    }
    match (code, error) {
        (Some(code), None) if !code.is_empty() => Ok(AuthorizationCode::new(code.to_owned())),
        (_, Some(error)) => {
            let description = description.map(|text| format!(": {text}")).unwrap_or_default();
            let text = on_one_line(&format!("{error}{description}"));
            Err(NoCode::Failed(format!("{} refused the sign-in: {text}", expected.issuer)))
        }
        (Some(_) | None, None) => {
            Err(NoCode::Failed("the response has neither a code nor an error".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(query: &str, names_itself: bool) -> String {
        let (state, issuer) =
            (CsrfToken::new("s1".to_owned()), Issuer::foreign("https://idp.example").unwrap());
        match read(query, &Expected { state: &state, issuer: &issuer, names_itself }) {
            Ok(code) => format!("code {}", code.secret()),
            Err(NoCode::NotOurs(why)) => format!("not ours: {why}"),
            Err(NoCode::Failed(why)) => format!("failed: {why}"),
        }
    }

    #[test]
    fn li_02_li_03_a_response_is_that_of_our_request_and_of_the_provider_that_it_was_sent_to() {
        const IDP: &str = "iss=https%3A%2F%2Fidp.example";
        for (query, names_itself, expected) in [
            ("code=c1&state=s1", false, "code c1"),
            (&format!("code=c1&state=s1&{IDP}"), false, "code c1"),
            (&format!("code=c1&state=s1&{IDP}"), true, "code c1"),
            // Forged in the browser, or by another program on this machine.
            ("code=c1", false, "not ours: it has no state"),
            ("code=c1&state=", false, "not ours: its state"),
            ("code=c1&state=s2", false, "not ours: its state"),
            ("code=c1&state=s1%00", false, "not ours: its state"),
            ("error=access_denied&state=s2", false, "not ours: its state"),
            ("code=c1&state=s1&state=s2", false, "not ours: a parameter is repeated"),
            ("code=c1&code=c2&state=s1", false, "not ours: a parameter is repeated"),
            ("", false, "not ours: it has no state"),
            // Mix-up: another provider answers.
            ("code=c1&state=s1&iss=https%3A%2F%2Fevil.example", false, "failed: the response is of another"),
            ("code=c1&state=s1&iss=https%3A%2F%2Fidp.example%2F", true, "failed: the response is of another"),
            ("code=c1&state=s1&iss=", false, "failed: the response is of another"),
            ("code=c1&state=s1", true, "failed: the response does not name its provider"),
            (&format!("code=c1&state=s1&{IDP}&{IDP}"), true, "not ours: a parameter is repeated"),
            // Errors of the provider.
            (
                "error=access_denied&error_description=no%0Aentry&state=s1",
                false,
                "failed: https://idp.example refused the sign-in: access_denied: no\\nentry",
            ),
            ("code=c1&error=access_denied&state=s1", false, "failed: https://idp.example refused"),
            ("state=s1", false, "failed: the response has neither"),
            ("code=&state=s1", false, "failed: the response has neither"),
        ] {
            let found = outcome(query, names_itself);
            assert!(found.starts_with(expected), "{query}: {found}");
        }
    }
}
