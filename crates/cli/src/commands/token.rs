//! `tokenberg token`: obtains a token as a client, and prints it.

use crate::duration;
use crate::failure::wrong_usage;
use crate::output::{self, Output};
use crate::wallet::{Obtained, TokenOptions, Wallet};
use clap::Args;
use std::fmt::Write;
use tokenberg_core::Lifetime;
use url::Url;

/// `tokenberg token`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg token --server http://127.0.0.1:8183 --client-id spark --secret-file spark.secret
  tokenberg token --server https://tokens.example --scope 'catalog PRINCIPAL_ROLE:etl'
      reads the credential from TOKENBERG_CLIENT_ID and TOKENBERG_CLIENT_SECRET
  tokenberg token --server https://tokens.example --cache --header --secret-file spark.credential |
      curl -H @- https://lake.example/v1/namespaces
      reads ID:SECRET from the file, and requests a new token only when the kept one has to be renewed
  tokenberg token --server https://tokens.example \\
      --subject-token-file old.token --subject-token-type access_token
      renews a token, authenticated by the token itself, as Iceberg clients do
  tokenberg token --server https://tokens.example --client-id trino --secret-file trino.secret \\
      --subject-token-file user.token --subject-token-type access_token
      exchanges the user's token for one with which trino acts for the user
  tokenberg token --server https://tokens.example \\
      --client-assertion-file /var/run/secrets/tokens/tokenberg
      in a pod whose service account `client federate` mapped to a client; no secret is needed
  tokenberg token --server https://tokens.example --client-id etl --assertion-key etl.key.pem
      authenticates with a signed assertion (private_key_jwt)
  tokenberg token
      prints the token of the session of `tokenberg login`

Redirects are not followed. Kept tokens are in $XDG_STATE_HOME/tokenberg/tokens, by default
~/.local/state/tokenberg/tokens, readable by you alone.")]
pub(crate) struct Token {
    #[command(flatten)]
    options: TokenOptions,

    /// Keep the token in a file, and print the kept one until it has to be renewed
    #[arg(long)]
    cache: bool,

    /// With --cache: request a new token if the kept one is valid for less than this, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "cache")]
    valid_for: Option<Lifetime>,

    /// Print the header fields of a request with the token, for `curl -H @-`
    #[arg(long)]
    header: bool,

    /// With --header and a key for DPoP proofs: the request that the proof is for
    #[arg(long, value_name = "'METHOD URL'", value_parser = http_request, requires = "header")]
    request: Option<(String, Url)>,
}

/// Parses `GET https://lake.example/v1/config`.
fn http_request(text: &str) -> Result<(String, Url), String> {
    let (method, url) =
        text.split_once(' ').ok_or("expected a method and a URL, such as 'GET https://host/path'")?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("expected a method in upper case before the URL, such as GET".to_owned());
    }
    let url: Url = url.trim().parse().map_err(|_| "expected a URL after the method".to_owned())?;
    Ok((method.to_owned(), url))
}

/// Gets a token and prints it.
///
/// # Errors
/// If there is no credential to authenticate with, or the server cannot be reached or refuses.
pub(crate) fn run(arguments: &Token, output: Output) -> anyhow::Result<()> {
    if arguments.header && output.json {
        return Err(wrong_usage("--header and --json cannot be combined"));
    }
    let wallet = Wallet::new(&arguments.options)?;
    if arguments.request.is_some() && !wallet.makes_proofs() {
        return Err(wrong_usage("--request is for tokens that are bound to a key: give --dpop-key"));
    }
    let obtained = if arguments.cache {
        wallet.kept_token(arguments.valid_for.unwrap_or(Lifetime::ZERO))?
    } else {
        wallet.new_token()?
    };
    let text = if arguments.header {
        header(arguments, &wallet, &obtained)?
    } else if output.json {
        // Prints the whole answer of the server, including unknown members.
        output::escaped(obtained.body())
    } else {
        output::without_controls(obtained.token().expose())
    };
    output::print(&format!("{text}\n"))?;
    Ok(())
}

/// `Authorization`, and `DPoP` for a token that needs a proof.
fn header(arguments: &Token, wallet: &Wallet<'_>, obtained: &Obtained) -> anyhow::Result<String> {
    let token = obtained.token();
    let mut fields = format!("Authorization: {} {}", obtained.scheme(), token.expose());
    match &arguments.request {
        Some((method, url)) => {
            if let Some(proof) = wallet.proof(method, url, Some(token))? {
                // Writing to a string does not fail.
                let _ = write!(fields, "\nDPoP: {}", proof.expose());
            }
        }
        None if obtained.scheme() == "DPoP" => {
            return Err(wrong_usage(
                "the token needs a proof for each request: give --request 'METHOD URL' with --header",
            ));
        }
        None => {}
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_method_and_a_url() {
        let (method, url) = http_request("GET https://a.example/v1/config?warehouse=w").unwrap();
        assert_eq!((method.as_str(), url.as_str()), ("GET", "https://a.example/v1/config?warehouse=w"));
        for wrong in
            ["https://a.example", "get https://a.example", "GET", "GET /v1/config", " https://a.example"]
        {
            assert!(http_request(wrong).is_err(), "{wrong}");
        }
    }
}
