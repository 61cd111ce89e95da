//! Reads a token in the forms in which people have it: bare, in a header field, in a token response, or as an argument by mistake.

use crate::failure::warn;
use crate::input;
use anyhow::Context;
use serde_json::Value;
use std::path::Path;
use tokenberg_core::Secret;

/// The token in the file (`-`: standard input). A token in place of the file name is read as well, with a warning.
///
/// # Errors
/// If there is none; no error repeats any of it.
pub(crate) fn token(argument: &Path) -> anyhow::Result<Secret> {
    match argument.to_str().filter(|text| is_token(text) && !argument.exists()) {
        Some(text) => {
            warn(
                "the token is an argument of this command: other users of this machine can see it, and the shell may keep it \
                 in its history; give a file, or use standard input",
            );
            extracted(text)
        }
        None => extracted(input::token(argument)?.expose()),
    }
}

/// Whether an argument is a token rather than the name of a file.
fn is_token(text: &str) -> bool {
    let bare = without_scheme(text.trim());
    bare.starts_with('{') || (bare.starts_with("ey") && bare.matches('.').count() >= 2)
}

fn extracted(text: &str) -> anyhow::Result<Secret> {
    let text = text.trim();
    if !text.starts_with(['{', '"']) {
        return Ok(Secret::new(without_scheme(text).to_owned()));
    }
    let json: Value =
        serde_json::from_str(text).ok().context("the input begins like JSON, but is no JSON value")?;
    let of = |name: &str| json.get(name).and_then(Value::as_str);
    match json.as_str().or_else(|| of("access_token")).or_else(|| of("id_token")) {
        Some(token) => Ok(Secret::new(without_scheme(token.trim()).to_owned())),
        None if json.get("error").is_some() => {
            anyhow::bail!("the input is an error response of a token service, which contains no token")
        }
        None => anyhow::bail!("the JSON has neither the member access_token nor id_token"),
    }
}

/// The credential of a header field: without `Authorization:` and the scheme, if it begins with them (RFC 9110 §11.6.2).
fn without_scheme(text: &str) -> &str {
    ["Authorization:", "Bearer ", "DPoP "].into_iter().fold(text, |text, prefix| {
        let rest = text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
        rest.map_or(text, |start| text[start.len()..].trim_start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_what_surrounds_it() {
        for text in [
            "eyJh.eyJz.c2ln",
            "Bearer eyJh.eyJz.c2ln",
            "bearer   eyJh.eyJz.c2ln\n",
            "Authorization: DPoP eyJh.eyJz.c2ln",
            "\"eyJh.eyJz.c2ln\"",
            r#"{"token_type":"bearer","access_token":"eyJh.eyJz.c2ln","expires_in":3600}"#,
            r#"{"id_token":"eyJh.eyJz.c2ln"}"#,
        ] {
            assert_eq!(extracted(text).unwrap().expose(), "eyJh.eyJz.c2ln", "{text}");
            assert!(text.starts_with('"') || is_token(text), "{text}");
        }
        for (text, why) in [
            (r#"{"error":"invalid_client"}"#, "error response"),
            ("{}", "access_token"),
            ("{eyJh", "no JSON"),
        ] {
            let fault = extracted(text).err().map(|fault| fault.to_string()).unwrap_or_default();
            assert!(fault.contains(why) && !fault.contains("eyJh"), "{fault}");
        }
        for name in ["access.token", "eyes", "a.b.c", "./ey.x.y"] {
            assert!(!is_token(name), "{name}");
        }
    }
}
