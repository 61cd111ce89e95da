//! `tokenberg login`: signs a person in at an identity provider, and exchanges the ID token for a token of the service.

use super::foreign_issuer::foreign;
use super::replacing::replace;
use crate::failure::wrong_usage;
use crate::output::{Output, on_one_line};
use crate::sign_in::{self, DEFAULT_REDIRECT_URI, Person, Provider, Visitor, WithBrowser};
use crate::wallet::{NotObtained, Obtained, Service, ServiceOptions, Session, SignIn, TargetOptions};
use crate::web::Web;
use crate::{clock, duration, input, moment_text};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use tokenberg_core::explanation::{about, option, quoted};
use tokenberg_core::{CompactJws, Issuer, Lifetime, Scope};
use url::Url;

const PROVIDER: &str = "Identity provider";

/// `tokenberg login`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg login --server https://tokens.example --client-id laptop --issuer https://idp.example
      opens the browser; afterwards `tokenberg token` and `tokenberg exec` have a token of yours
  tokenberg login
      signs in again on the terms of the last time
  tokenberg login --device
      prints a code to enter in a browser on another device
  tokenberg exec -- pyiceberg --catalog lake list
      runs a command with the token of the session; see `tokenberg exec --help`

The client has the same ID at the identity provider and at the token service, and no secret
(`tokenberg client add ID --auth-method none`). The session is in $XDG_STATE_HOME/tokenberg/sessions,
by default ~/.local/state/tokenberg/sessions, readable by you alone. `tokenberg logout` ends it.")]
pub(crate) struct Login {
    #[command(flatten)]
    service: ServiceOptions,

    /// Client ID, at the identity provider and at the token service [default: that of the last time]
    #[arg(long, value_name = "ID", env = "TOKENBERG_CLIENT_ID", value_parser = input::line::<Box<str>>)]
    client_id: Option<Box<str>>,

    #[command(flatten)]
    target: TargetOptions,

    /// Bind the tokens to the private key in this file (PKCS#8), by DPoP proofs
    #[arg(long, value_name = "FILE")]
    dpop_key: Option<PathBuf>,

    /// Issuer of the identity provider, exactly as in its ID tokens [default: that of the last time]
    #[arg(long, value_name = "URL", value_parser = foreign, help_heading = PROVIDER)]
    issuer: Option<Issuer>,

    /// Scopes to request from the identity provider, space-separated: what adds the claims that `issuer add --map` reads
    /// [default: openid]
    #[arg(long, value_name = "'S1 S2 …'", value_parser = openid_scope, help_heading = PROVIDER)]
    issuer_scope: Option<Scope>,

    /// File with the secret that some identity providers demand of public clients, too (Google)
    #[arg(long, value_name = "FILE", help_heading = PROVIDER)]
    issuer_secret_file: Option<PathBuf>,

    /// CA certificates (PEM) to trust for the identity provider, instead of the public roots
    #[arg(long, value_name = "FILE", help_heading = PROVIDER)]
    issuer_ca: Option<PathBuf>,

    /// Sign in with a code, in a browser on any device (RFC 8628)
    #[arg(long, conflicts_with_all = ["no_browser", "port", "redirect_uri"], help_heading = PROVIDER)]
    device: bool,

    /// Print the address instead of opening the browser
    #[arg(long, help_heading = PROVIDER)]
    no_browser: bool,

    /// Redirect URI of this client at the identity provider, which leads to this machine [default: http://127.0.0.1/callback]
    #[arg(long, value_name = "URL", value_parser = sign_in::redirect_uri, help_heading = PROVIDER)]
    redirect_uri: Option<Url>,

    /// Port of the redirect URI, for an identity provider that permits only a registered one [default: any]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..), help_heading = PROVIDER)]
    port: Option<u16>,

    /// How long to wait for the sign-in
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5m", help_heading = PROVIDER)]
    timeout: Lifetime,
}

fn openid_scope(text: &str) -> Result<Scope, String> {
    let scope: Scope = text.parse().map_err(|fault: tokenberg_core::token::ScopeError| fault.to_string())?;
    if scope.as_str().split(' ').any(|one| one == "openid") {
        Ok(scope)
    } else {
        Err("expected scopes with `openid` among them, which requests an ID token".to_owned())
    }
}

/// Signs a person in.
///
/// # Errors
/// If the provider or the service cannot be reached or refuses, or the person does not sign in.
pub(crate) fn run(arguments: &Login, output: Output) -> anyhow::Result<()> {
    let sign_in = terms(arguments)?;
    // Before the person does anything: the session can be kept, and every file can be read.
    let session = Session::new(sign_in)?;
    let sign_in = session.sign_in();
    let service = session.service(&arguments.service, arguments.dpop_key.as_deref())?;
    let issuer = Issuer::foreign(&sign_in.issuer)?;
    let secret = sign_in.issuer_secret_file.as_deref().map(input::secret).transpose()?;
    let web = Web::new(sign_in.issuer_ca.as_deref(), sign_in.insecure_http)?.with_ca_option("--issuer-ca");
    let provider = Provider::discover(web, issuer, &sign_in.client_id, secret)?;
    let scope = sign_in.issuer_scope.as_str();
    let (person, visitor) = if arguments.device {
        (sign_in::with_device(&provider, scope, arguments.timeout)?, None)
    } else {
        let (opens, timeout) = (!arguments.no_browser, arguments.timeout);
        let how = WithBrowser { redirect_uri: &sign_in.redirect_uri, scope, opens, timeout };
        let (person, visitor) = sign_in::with_browser(&provider, &how)?;
        (person, Some(visitor))
    };
    let begun = begin(&session, &service, &person);
    if let Some(visitor) = visitor {
        Visitor::end(visitor, begun.is_ok());
    }
    let obtained = begun?;
    report(sign_in, &person, &obtained, output)
}

/// The terms that the options give. Without --issuer, the others are those of the last time.
fn terms(arguments: &Login) -> anyhow::Result<SignIn> {
    let (service, client_id) = (&arguments.service, &arguments.client_id);
    let missing = |option: &str, what: &str| {
        wrong_usage(format!("{option} is missing: give {what}; `tokenberg login --help` has an example"))
    };
    let last = match &arguments.issuer {
        None => Session::find(service.server.as_ref(), client_id.as_deref())?,
        Some(_) => None,
    };
    let mut terms = match last {
        Some(last) => last.sign_in().clone(),
        None => {
            let server = service.server.clone();
            let server = server.ok_or_else(|| missing("--server", "the URL of the token service"))?;
            let client_id = client_id.clone();
            let client_id =
                client_id.ok_or_else(|| missing("--client-id", "the ID of a client without a secret"))?;
            let issuer = arguments.issuer.as_ref();
            let issuer = issuer.ok_or_else(|| missing("--issuer", "the issuer of the identity provider"))?;
            SignIn {
                server,
                client_id,
                issuer: issuer.as_str().into(),
                issuer_scope: "openid".parse()?,
                redirect_uri: DEFAULT_REDIRECT_URI.parse()?,
                scope: Scope::default(),
                audience: Vec::new(),
                resource: Vec::new(),
                ca_file: None,
                issuer_ca: None,
                issuer_secret_file: None,
                dpop_key: None,
                insecure_http: false,
            }
        }
    };
    replace(&mut terms.issuer_scope, arguments.issuer_scope.clone());
    replace(&mut terms.redirect_uri, arguments.redirect_uri.clone());
    if arguments.port.is_some() {
        // A URL with a host can have a port.
        let _ = terms.redirect_uri.set_port(arguments.port);
    }
    let target = &arguments.target;
    replace(&mut terms.scope, Some(target.scope.clone()).filter(|scope| !scope.is_empty()));
    replace(&mut terms.audience, Some(target.audience.clone()).filter(|names| !names.is_empty()));
    replace(&mut terms.resource, Some(target.resource.clone()).filter(|names| !names.is_empty()));
    for (file, given) in [
        (&mut terms.ca_file, &service.ca_file),
        (&mut terms.issuer_ca, &arguments.issuer_ca),
        (&mut terms.issuer_secret_file, &arguments.issuer_secret_file),
        (&mut terms.dpop_key, &arguments.dpop_key),
    ] {
        if let Some(given) = given {
            *file = Some(absolute(given)?);
        }
    }
    terms.insecure_http |= service.insecure_http;
    Ok(terms)
}

/// The path of a file that later commands find from any directory.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))
}

/// Exchanges the ID token (RFC 8693), and keeps the result.
fn begin(session: &Session, service: &Service, person: &Person) -> anyhow::Result<Obtained> {
    let sign_in = session.sign_in();
    let (request, authentication) = sign_in.exchange(person.id_token.clone())?;
    let obtained = service.send(&request, &authentication).map_err(|fault| match fault {
        NotObtained::Refused(fault) => {
            let pattern = option("--may-impersonate", &format!("{}|*", sign_in.issuer));
            let client = about("tokenberg client add", &sign_in.client_id, &format!(" --auth-method none{pattern}"));
            let issuer = quoted(&sign_in.issuer);
            anyhow::anyhow!(
                "you signed in at the identity provider as {}, and the token service did not accept that: {fault:#}. Its log has \
                 the exact reason, and `tokenberg explain` on its store tells what would permit the exchange. It needs \
                 `tokenberg issuer add {issuer} --discover --accept id_token` and `{client}`",
                person.name
            )
        }
        NotObtained::Unreachable(fault) => fault,
    })?;
    session.begin(&obtained)?;
    Ok(obtained)
}

fn report(sign_in: &SignIn, person: &Person, obtained: &Obtained, output: Output) -> anyhow::Result<()> {
    let (now, expires_at) = (clock::now()?, obtained.expires_at());
    // What catalogs authorize by: the provider's name for the person, or that with the prefix of the issuer.
    let token = CompactJws::parse(obtained.token().expose()).ok();
    let sub = token.as_ref().and_then(|token| token.unverified_payload().get("sub")?.as_str());
    let sub = sub.unwrap_or(&person.subject);
    output.show(
        || {
            json!({
                "server": sign_in.server,
                "client_id": sign_in.client_id,
                "issuer": sign_in.issuer,
                "subject": sub,
                "name": person.name,
                "expires_at": expires_at.map(|at| at.as_seconds()),
            })
        },
        || {
            let until = expires_at.map_or_else(String::new, |at| {
                format!(" The token expires {}, and is renewed before.", moment_text::with_distance(at, now))
            });
            format!(
                "Signed in at {} as {}; catalogs know you as {}.{until}\nNext: `tokenberg exec -- COMMAND` runs a command with the token; `tokenberg token` \
                 prints it; `tokenberg logout` ends the session.",
                on_one_line(&sign_in.issuer),
                person.name,
                on_one_line(sub)
            )
        },
    )?;
    Ok(())
}
