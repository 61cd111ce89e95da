//! Revokes a token and its family, or all that a client, a subject or the subjects of an issuer have: `tokenberg revoke`; RFC 7009,
//! TX-38.

use crate::commands::foreign_issuer::foreign;
use crate::commands::revoke_subject;
use crate::common::Common;
use crate::configuration::Configuration;
use crate::failure::{note, wrong_usage};
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, input, moment_text};
use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::PathBuf;
use tokenberg_core::{
    AccessTokenClaims, ClientId, CompactJws, Issuer, Keys, Policy, Secret, Subject, Timestamp,
    TokenVerification,
};
use tokenberg_jose::Keyring;
use tokenberg_store::{NewRevocation, Store};

/// `tokenberg revoke`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true), after_help = "\
Examples:
  tokenberg revoke --token-file stolen.token       the token, and all that it was renewed to or exchanged for
  tokenberg revoke --client spark                  what spark has until now; its credential goes on working
  tokenberg revoke --subject spark --before 2026-11-21T21:58:00Z
  tokenberg revoke --subject 00u1alice --issuer https://idp.example
      what was obtained for that user, or by a client as that workload; a new login goes on working
      (`subject disable` stops that, too)
  tokenberg revoke --issuer https://idp.example
      what was obtained with tokens of that issuer, for users and as workloads, after a key of it leaked; first replace its keys

Tokens of the issuer from before are refused, too: users sign in again, workloads need a new token. A running
server follows within one second. What was revoked stays so; `client disable` can be taken back.")]
pub(crate) struct Revoke {
    /// The token in this file, or on standard input for `-`, and all that go back to the same authentication
    #[arg(long, value_name = "FILE", group = "what", conflicts_with_all = ["before", "client", "subject", "issuer"])]
    token_file: Option<PathBuf>,

    /// The tokens that were issued to this client
    #[arg(long, value_name = "ID", group = "what", conflicts_with_all = ["subject", "issuer"])]
    client: Option<ClientId>,

    /// The tokens on behalf of this subject, whichever client has them, and those that clients obtained as this workload; a user of
    /// another issuer by the issuer's name for it, or with the issuer's --subject-prefix
    #[arg(long, value_name = "SUB", group = "what")]
    subject: Option<Subject>,

    /// With --subject, only the subject of this issuer, which is or was registered, or is our own as TOKENBERG_ISSUER or the configuration
    /// file name it; --subject alone is the subject of that name of every issuer. Without --subject, all users and workloads of this
    /// registered issuer
    #[arg(long, value_name = "URL", group = "what", value_parser = foreign)]
    issuer: Option<Issuer>,

    /// Only what goes back to before then: 2026-11-21T21:58:00Z, seconds since 1970, or now
    #[arg(long, value_name = "TIME", default_value = "now")]
    before: String,
}

/// Revokes the tokens that the arguments name.
///
/// # Errors
/// If the token is not ours, the client or issuer does not exist, the time is in the future, or the store fails.
pub(crate) fn run(
    common: &Common,
    asked: Revoke,
    configuration: &Configuration,
    output: Output,
) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let own: Option<Issuer> = configuration.of_server("issuer").and_then(|issuer| issuer.parse().ok());
    let token = asked.token_file.as_deref().map(input::token).transpose()?;
    let before = before(&asked.before, clock::now()?)?;
    wait_for(async {
        let store = location.open_existing().await?;
        let done = match (token, asked.client, asked.subject) {
            (Some(token), _, _) => revoke_token(&store, &token, output).await,
            (None, Some(client), _) => revoke_client(&store, client, before, output).await,
            (None, None, Some(subject)) => {
                revoke_subject::run(&store, own.as_ref(), asked.issuer, subject, before, output).await
            }
            (None, None, None) => match asked.issuer {
                Some(issuer) => revoke_issuer(&store, issuer, before, output).await,
                None => Err(wrong_usage("nothing is named that could be revoked")),
            },
        };
        store.close().await;
        done
    })
}

/// The requested time; `None` is now. A future time would refuse tokens until then, and could not be undone.
fn before(text: &str, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    if text == "now" {
        return Ok(None);
    }
    let time = match text.parse::<i64>() {
        Ok(seconds) => {
            Timestamp::from_seconds(seconds).map_err(|fault| wrong_usage(format!("--before: {fault}")))?
        }
        Err(_) => moment_text::parse(text, now).map_err(wrong_usage)?,
    };
    if time > now {
        return Err(wrong_usage(format!(
            "--before {text} lies ahead; what is issued until then cannot be known"
        )));
    }
    Ok(Some(time))
}

async fn revoke_token(store: &Store, token: &Secret, output: Output) -> anyhow::Result<()> {
    let now = clock::now()?;
    let keys = Keyring::read(&store.keys().await?, now)?;
    let claims = ours(&keys, token.expose(), now)?;
    // Only the lifetime of an issuer's sessions is read from the policy, and that is the same for all of our issuers.
    let revoke = tokenberg_core::Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), now);
    if claims.session.end <= now {
        note("the session of the token is over, so the token was worth nothing already");
    }
    let (id, session, until) = (revoke.id().clone(), revoke.session().clone(), revoke.until());
    store.revoke(&NewRevocation::Family { token: id, session, client: None, until }).await?;
    output.show(
        || {
            json!({
                "revoked": "token",
                "jti": revoke.id().as_str(),
                "session": revoke.session().as_str(),
                "client_id": claims.client_id,
                "sub": claims.subject.as_str(),
            })
        },
        || {
            format!(
                "token {} of client {} is revoked, and with it all of session {}",
                revoke.id().as_str(),
                claims.client_id,
                revoke.session().as_str()
            )
        },
    )?;
    Ok(())
}

/// The claims of the token, if a key of this store has signed it, for any issuer. It may have expired: its session goes on.
fn ours(keys: &Keyring, token: &str, now: Timestamp) -> anyhow::Result<AccessTokenClaims> {
    let unverified = CompactJws::parse(token).context("this is no token")?;
    let issuer = unverified.unverified_payload().get("iss").and_then(|iss| iss.as_str());
    let issuer: Issuer =
        issuer.context("the token names no issuer")?.parse().context("the token is not ours")?;
    let framed = TokenVerification::new(issuer, Vec::new()).framed(token).context("the token is not ours")?;
    keys.verify(&framed, now).context("the token is not ours")?;
    AccessTokenClaims::read(framed.unverified_payload()).context("the token is not ours")
}

async fn revoke_client(
    store: &Store,
    id: ClientId,
    before: Option<Timestamp>,
    output: Output,
) -> anyhow::Result<()> {
    // A typo must not be reported as success.
    store.client(&id).await?;
    let before = clock::or_next_second(before).await?;
    store.revoke(&NewRevocation::Client { id: id.clone(), before }).await?;
    let time = moment_text::written(before);
    output.show(
        || json!({"revoked": "client", "client_id": id, "before": time}),
        || format!("the tokens of client {id} from before {time} are revoked"),
    )?;
    Ok(())
}

async fn revoke_issuer(
    store: &Store,
    issuer: Issuer,
    before: Option<Timestamp>,
    output: Output,
) -> anyhow::Result<()> {
    // A mistyped issuer must not be reported as revoked. The tokens of a removed issuer are revoked already.
    store.issuer(&issuer).await?;
    let before = clock::or_next_second(before).await?;
    store.revoke(&NewRevocation::Issuer { issuer: issuer.clone(), before }).await?;
    let time = moment_text::written(before);
    output.show(
        || json!({"revoked": "issuer", "issuer": issuer, "before": time}),
        || format!("the tokens for all users and workloads of {issuer} from before {time} are revoked"),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_past_and_read_in_three_ways() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let now = at(1_795_298_280);
        assert_eq!(before("now", now).unwrap(), None);
        assert_eq!(before("1795298280", now).unwrap(), Some(now));
        assert_eq!(before("2026-11-21T21:58:00Z", now).unwrap(), Some(now));
        for wrong in ["1795298281", "+1h", "2126-11-21T21:58:00Z", "-1", "soon", ""] {
            assert!(before(wrong, now).is_err(), "{wrong}");
        }
    }
}
