//! Revokes a token and its family, or all that a client, a subject or the subjects of an issuer have: `tokenberg revoke`; RFC 7009,
//! TX-38.

use crate::commands::audit_filter::Filter;
use crate::commands::confirming::Confirming;
use crate::commands::followers::{Manner, Waiting, as_json, ending};
use crate::commands::foreign_issuer::foreign;
use crate::commands::issued::Counted;
use crate::commands::revoke_subject::{self, Wanted};
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
  tokenberg revoke --token-file stolen.token
      the token, and all tokens that it was renewed to or exchanged for
  tokenberg revoke --client spark
      all present tokens of spark; its credential stays valid
  tokenberg revoke --subject spark --before 2026-11-21T21:58:00Z
  tokenberg revoke --subject 00u1alice --issuer https://idp.example
      all tokens that were obtained for this user, or by a client with this workload identity. New
      logins are accepted; `tokenberg subject disable` refuses them, too
  tokenberg revoke --issuer https://idp.example
      all tokens that were obtained with tokens of this issuer, for users and workloads, for example
      after one of its keys leaked. First replace its keys

With --subject or --issuer, the issuer's own tokens from before that time are also refused: users
must log in again, and workloads need a new token. A revocation is final; `tokenberg client disable`
can be undone. A running server applies the change within one second; the command waits for up to 3s
and warns of each server that has not followed (`tokenberg nodes` lists them all).

On a terminal, the command says how many tokens were issued, and asks; --yes and scripts do not.")]
pub(crate) struct Revoke {
    /// Revoke the token in this file (`-`: standard input), and all tokens of its session
    #[arg(long, value_name = "FILE", group = "what", conflicts_with_all = ["before", "client", "subject", "issuer"])]
    token_file: Option<PathBuf>,

    /// Revoke the tokens that were issued to this client
    #[arg(long, value_name = "ID", group = "what", conflicts_with_all = ["subject", "issuer"])]
    client: Option<ClientId>,

    /// Revoke the tokens for this subject, of any client, and those that clients obtained with this workload identity. Give a
    /// user of another issuer by the issuer's name for it, or with the issuer's --subject-prefix
    #[arg(long, value_name = "SUB", group = "what")]
    subject: Option<Subject>,

    /// With --subject: only the subject of this issuer, which is or was registered or is the server's own (TOKENBERG_ISSUER or
    /// the configuration file); without --issuer, the subjects of this name of all issuers. Without --subject: revoke the tokens
    /// for all users and workloads of this registered issuer
    #[arg(long, value_name = "URL", group = "what", value_parser = foreign)]
    issuer: Option<Issuer>,

    /// Only tokens of sessions that began, or that the client joined, before this time: 2026-11-21T21:58:00Z, 1h (ago), seconds since 1970,
    /// or now
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    before: String,

    #[command(flatten)]
    confirming: Confirming,

    #[command(flatten)]
    waiting: Waiting,
}

/// Revokes the tokens that the arguments name.
///
/// # Errors
/// If the token is not ours, the client or issuer does not exist, the time is in the future, or the store fails.
pub(crate) fn run(
    common: &Common,
    arguments: Revoke,
    configuration: &Configuration,
    output: Output,
) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let configured: Option<Issuer> = configuration.of_server("issuer").and_then(|issuer| issuer.parse().ok());
    let token = arguments.token_file.as_deref().map(input::token).transpose()?;
    let before = before(&arguments.before, clock::now()?)?;
    let manner = Manner { confirming: arguments.confirming, waiting: arguments.waiting, output };
    wait_for(async {
        let store = location.open_existing().await?;
        let own = match configured {
            Some(issuer) => Some(issuer),
            None => store.kept_issuer().await?.map(|kept| kept.issuer),
        };
        let done = match (token, arguments.client, arguments.subject) {
            (Some(token), _, _) => revoke_token(&store, &token, manner).await,
            (None, Some(client), _) => revoke_client(&store, client, before, manner).await,
            (None, None, Some(subject)) => {
                let wanted = Wanted { own: own.as_ref(), issuer: arguments.issuer, subject, before };
                revoke_subject::run(&store, wanted, manner).await
            }
            (None, None, None) => match arguments.issuer {
                Some(issuer) if own.as_ref() == Some(&issuer) => Err(wrong_usage(format!(
                    "{issuer} is the server's own issuer, whose subjects are the clients: nothing was revoked; `tokenberg revoke --client \
                     ID` revokes the tokens of a client, `--subject SUB` those for a subject, and `tokenberg key revoke KID` all that a \
                     key signed"
                ))),
                Some(issuer) => revoke_issuer(&store, issuer, before, manner).await,
                None => {
                    Err(wrong_usage("nothing to revoke: give --token-file, --client, --subject or --issuer"))
                }
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
    let time = moment_text::parse_past(text, now);
    let time = time.map_err(|sentence| wrong_usage(format!("--before: {sentence}")))?;
    if time > now {
        return Err(wrong_usage(format!(
            "--before {text} is in the future; only tokens of the past can be revoked"
        )));
    }
    Ok(Some(time))
}

async fn revoke_token(store: &Store, token: &Secret, manner: Manner) -> anyhow::Result<()> {
    let Manner { confirming, waiting, output } = manner;
    let now = clock::now()?;
    let keys = Keyring::read(&store.keys().await?, now)?;
    let claims = ours(&keys, token.expose(), now)?;
    // Only the lifetime of an issuer's sessions is read from the policy, and that is the same for all of our issuers.
    let revoke = tokenberg_core::Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), now);
    if claims.session.end <= now {
        note("the session of the token had already ended, so the token was already invalid");
    }
    let action = format!(
        "revoke a token of client {} for {} and all tokens of its session",
        claims.client_id, claims.subject
    );
    let effects =
        [format!("the session ends at {} in any case", moment_text::with_distance(claims.session.end, now))];
    if !confirming.allows(&action, &effects, output)? {
        return Ok(());
    }
    let (id, session, until) = (revoke.id().clone(), revoke.session().clone(), revoke.until());
    store.revoke(&NewRevocation::Family { token: id, session, client: None, until }).await?;
    let followers = waiting.followers(store).await;
    output.show(
        || {
            json!({
                "revoked": "token",
                "jti": revoke.id().as_str(),
                "session": revoke.session().as_str(),
                "client_id": claims.client_id,
                "sub": claims.subject.as_str(),
                "nodes": as_json(followers.as_ref()),
            })
        },
        || {
            format!(
                "token {} of client {} and all tokens of session {} are revoked{}",
                revoke.id().as_str(),
                claims.client_id,
                revoke.session().as_str(),
                ending(followers.as_ref())
            )
        },
    )?;
    Ok(())
}

const NOT_OURS: &str = "the token was not issued by a server of this store";

/// The claims of the token, if a key of this store has signed it, for any issuer. It may have expired: its session goes on.
fn ours(keys: &Keyring, token: &str, now: Timestamp) -> anyhow::Result<AccessTokenClaims> {
    let unverified = CompactJws::parse(token).context("this is not a token")?;
    let issuer = unverified.unverified_payload().get("iss").and_then(|iss| iss.as_str());
    let issuer: Issuer = issuer.context("the token has no issuer")?.parse().context(NOT_OURS)?;
    let framed = TokenVerification::new(issuer, Vec::new()).framed(token).context(NOT_OURS)?;
    keys.verify(&framed, now).context(NOT_OURS)?;
    AccessTokenClaims::read(framed.unverified_payload()).context(NOT_OURS)
}

async fn revoke_client(
    store: &Store,
    id: ClientId,
    before: Option<Timestamp>,
    manner: Manner,
) -> anyhow::Result<()> {
    let Manner { confirming, waiting, output } = manner;
    // A typo must not be reported as success.
    store.client(&id).await?;
    let filter = Filter { client: Some(id.to_string()), ..Filter::default() };
    let action = format!("revoke the tokens of client {id}");
    let asked = Counted::ask(store, (filter, "to it"), &action, confirming, output).await?;
    let Some(mut counted) = asked else { return Ok(()) };
    let before = clock::or_next_second(store, before).await?;
    store.revoke(&NewRevocation::Client { id: id.clone(), before }).await?;
    let (time, now) = (moment_text::written(before), clock::now()?);
    let followers = waiting.followers(store).await;
    counted.count(now).await;
    output.show(
        || {
            json!({"revoked": "client", "client_id": id, "before": time, "issued": counted.value(),
                "nodes": as_json(followers.as_ref())})
        },
        || {
            let (counted, ending) = (counted.sentence(now), ending(followers.as_ref()));
            format!("the tokens of client {id} from before {time} are revoked{counted}{ending}")
        },
    )?;
    Ok(())
}

async fn revoke_issuer(
    store: &Store,
    issuer: Issuer,
    before: Option<Timestamp>,
    manner: Manner,
) -> anyhow::Result<()> {
    let Manner { confirming, waiting, output } = manner;
    // A mistyped issuer must not be reported as revoked. The tokens of a removed issuer are revoked already.
    store.issuer(&issuer).await?;
    let filter = Filter { issuer: Some(issuer.to_string()), ..Filter::default() };
    let action = format!("revoke the tokens for all users and workloads of {issuer}");
    let asked = Counted::ask(store, (filter, "for its users"), &action, confirming, output).await?;
    let Some(mut counted) = asked else { return Ok(()) };
    let before = clock::or_next_second(store, before).await?;
    store.revoke(&NewRevocation::Issuer { issuer: issuer.clone(), before }).await?;
    let (time, now) = (moment_text::written(before), clock::now()?);
    let followers = waiting.followers(store).await;
    counted.count(now).await;
    output.show(
        || {
            json!({"revoked": "issuer", "issuer": issuer, "before": time, "issued": counted.value(),
                "nodes": as_json(followers.as_ref())})
        },
        || {
            let (counted, ending) = (counted.sentence(now), ending(followers.as_ref()));
            format!(
                "the tokens for all users and workloads of {issuer} from before {time} are revoked{counted}{ending}"
            )
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_past() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let now = at(1_795_298_280);
        assert_eq!(before("now", now).unwrap(), None);
        assert_eq!(before("1795298280", now).unwrap(), Some(now));
        assert_eq!(before("2026-11-21T21:58:00Z", now).unwrap(), Some(now));
        assert_eq!(before("1h", now).unwrap(), Some(at(1_795_294_680)));
        for wrong in ["1795298281", "+1h", "2126-11-21T21:58:00Z", "-1", "soon", ""] {
            assert!(before(wrong, now).is_err(), "{wrong}");
        }
    }
}
