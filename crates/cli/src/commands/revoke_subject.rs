//! Revokes the tokens of a subject, and reports which principals that reached: `tokenberg revoke --subject`; TX-38, CC-17.

use crate::commands::followers::{Manner, as_json, ending};
use crate::commands::issued::{Counted, Issued};
use crate::commands::subject_names;
use crate::configuration::nearest;
use crate::failure::{note, warn};
use crate::{clock, moment_text};
use serde_json::json;
use tokenberg_core::explanation::quoted;
use tokenberg_core::{Issuer, Subject, Timestamp};
use tokenberg_store::{NewRevocation, Store, StoreError};

/// Whose tokens are revoked.
pub(super) struct Wanted<'a> {
    /// The server's own issuer, as it is configured or kept in the store.
    pub(super) own: Option<&'a Issuer>,
    /// The issuer of the subject; `None` for those of every issuer.
    pub(super) issuer: Option<Issuer>,
    /// The subject.
    pub(super) subject: Subject,
    /// Only tokens from before this time; `None` for now.
    pub(super) before: Option<Timestamp>,
}

/// Revokes what was issued for the subject.
///
/// # Errors
/// If the issuer is not registered, never was, and is not our own, or the store fails.
pub(super) async fn run(store: &Store, wanted: Wanted<'_>, manner: Manner) -> anyhow::Result<()> {
    let Manner { confirming, waiting, output } = manner;
    let Wanted { own, issuer, subject, before } = wanted;
    subject_names::check_single(&subject)?;
    if let Some(issuer) = &issuer {
        check_issuer(store, own, issuer, &subject).await?;
    }
    let reached = reached(store, issuer.as_ref(), &subject).await?;
    let whose = reached.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and for ");
    let filter = subject_names::filter(store, issuer.as_ref(), &subject).await?;
    let action = format!("revoke the tokens for {whose}");
    let asked = Counted::ask(store, (filter, "for this name"), &action, confirming, output).await?;
    let Some(mut counted) = asked else { return Ok(()) };
    let before = clock::or_next_second(store, before).await?;
    for Reached { issuer, subject, .. } in &reached {
        let (issuer, subject) = (issuer.clone(), subject.clone());
        store.revoke(&NewRevocation::Subject { issuer, subject, before }).await?;
    }
    let (time, now) = (moment_text::written(before), clock::now()?);
    let followers = waiting.followers(store).await;
    let is_unknown = counted.count(now).await.is_some_and(Issued::is_unknown);
    if is_unknown && !subject_names::is_registered(store, issuer.as_ref(), &subject).await? {
        warn(&format!(
            "{subject} is unknown: it is not registered here, and the audit has no token for it; if the name is misspelled, the tokens \
             that were meant are still valid"
        ));
    }
    output.show(
        || {
            let reached: Vec<_> =
                reached.iter().map(|one| json!({"sub": one.subject, "issuer": one.issuer})).collect();
            json!({"revoked": "subject", "sub": subject, "issuer": issuer, "before": time, "reached": reached,
                "issued": counted.value(), "nodes": as_json(followers.as_ref())})
        },
        || {
            let (counted, ending) = (counted.sentence(now), ending(followers.as_ref()));
            format!("the tokens for {whose} from before {time} are revoked{counted}{ending}")
        },
    )?;
    Ok(())
}

/// A name that is revoked.
struct Reached {
    /// The issuer of the name; `None` for every principal that has it.
    issuer: Option<Issuer>,
    /// The name, as the issuer calls the subject or as catalogs do.
    subject: Subject,
    /// The name of the issuer's user in catalogs, if it differs from the issuer's name.
    sub: Option<String>,
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.subject)?;
        match (&self.issuer, &self.sub) {
            (None, _) => f.write_str(" of any issuer"),
            (Some(issuer), None) => write!(f, " of {issuer}"),
            (Some(issuer), Some(sub)) => write!(f, " of {issuer} ({sub} in catalogs)"),
        }
    }
}

/// The revoked names; without an issuer, the subject of that name of every issuer: the operator may not know which one it is.
async fn reached(
    store: &Store,
    issuer: Option<&Issuer>,
    subject: &Subject,
) -> Result<Vec<Reached>, StoreError> {
    let names: Vec<(Option<Issuer>, Subject)> = match issuer {
        Some(issuer) => {
            let names = subject_names::meant(store, issuer, subject).await?;
            names.into_iter().map(|name| (Some(issuer.clone()), name)).collect()
        }
        None => {
            let users = subject_names::known_as(store, subject).await?;
            let users = users.into_iter().map(|(issuer, own)| (Some(issuer), own));
            std::iter::once((None, subject.clone())).chain(users).collect()
        }
    };
    let mut reached = Vec::with_capacity(names.len());
    for (issuer, subject) in names {
        let sub = match &issuer {
            Some(issuer) => subject_names::sub_of(store, issuer, &subject).await?,
            None => None,
        };
        reached.push(Reached { issuer, subject, sub });
    }
    Ok(reached)
}

/// Refuses an issuer that names no user here: a revocation for it would report success and reach nothing.
async fn check_issuer(
    store: &Store,
    own: Option<&Issuer>,
    issuer: &Issuer,
    subject: &Subject,
) -> anyhow::Result<()> {
    match store.issuer(issuer).await {
        Ok(_) => return Ok(()),
        Err(StoreError::NoSuchIssuer { .. }) if own == Some(issuer) => return Ok(()),
        Err(StoreError::NoSuchIssuer { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if store.was_issuer_removed(issuer).await? {
        note(&format!(
            "{issuer} was removed, which revoked all tokens of its users; this revocation applies if the issuer is added again"
        ));
        return Ok(());
    }
    let issuers = store.issuers().await?;
    let known = issuers.iter().map(|record| &record.trusted.issuer).chain(own);
    // Issuers that differ by case or a slash come before those with a similar spelling.
    let similar = known.clone().find(|known| known.is_similar_to(issuer.as_str())).map(ToString::to_string);
    let nearest = || nearest(issuer.as_str(), known.map(Issuer::as_str));
    let meant = similar.or_else(nearest).map_or_else(String::new, |meant| {
        format!(
            "if you meant {2}, use `tokenberg revoke --subject {0} --issuer {1}`; ",
            quoted(subject.as_str()),
            quoted(&meant),
            meant
        )
    });
    let ours = match own {
        Some(own) => format!("the server's own issuer is {own}"),
        None => "if it is the server's own issuer, set TOKENBERG_ISSUER or give --config".to_owned(),
    };
    let error = StoreError::NoSuchIssuer { issuer: issuer.clone() };
    Err(anyhow::anyhow!("{error}. Nothing was revoked: {meant}{ours}"))
}
