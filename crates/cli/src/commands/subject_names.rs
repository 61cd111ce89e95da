//! The names of one user of another issuer: the issuer's own, and with the prefix by which catalogs know it; conformance CC-17.

use super::audit_filter::Filter;
use crate::failure::wrong_usage;
use tokenberg_core::{ClientId, Issuer, Subject};
use tokenberg_store::{Store, StoreError};

/// Refuses a pattern, which names no subject: a decision about it would reach nothing.
///
/// # Errors
/// If the subject is such a pattern.
pub(super) fn check_single(subject: &Subject) -> anyhow::Result<()> {
    let text = subject.as_str();
    if text.starts_with("spiffe:") && text.ends_with("/*") {
        return Err(wrong_usage(format!(
            "{text} is a pattern, but the subject of a token is a single SPIFFE ID: give one ID, or use `tokenberg client federate --remove`, \
             `tokenberg client disable` or `tokenberg revoke --issuer`"
        )));
    }
    if text.starts_with('*') || text.ends_with('*') {
        return Err(wrong_usage(format!(
            "{text} is not a pattern here, but the exact name of one subject, and nothing was changed: for all users of an issuer, use \
             `tokenberg revoke --issuer URL` or `tokenberg issuer disable URL`"
        )));
    }
    Ok(())
}

/// Selects the records of the audit that name the subject: of its issuer, if that is another one than the server's own.
///
/// # Errors
/// If the store fails.
pub(super) async fn filter(
    store: &Store,
    issuer: Option<&Issuer>,
    subject: &Subject,
) -> Result<Filter, StoreError> {
    let foreign = match issuer {
        Some(issuer) if is_trusted(store, issuer).await? => Some(issuer.to_string()),
        Some(_) | None => None,
    };
    Ok(Filter { subject: Some(subject.to_string()), issuer: foreign, ..Filter::default() })
}

/// Whether a client has this name, or an identity of this name is mapped to one.
///
/// # Errors
/// If the store fails.
pub(super) async fn is_registered(
    store: &Store,
    issuer: Option<&Issuer>,
    subject: &Subject,
) -> Result<bool, StoreError> {
    let id: Option<ClientId> = subject.as_str().parse().ok();
    if let Some(id) = id {
        match store.client(&id).await {
            Ok(_) => return Ok(true),
            Err(StoreError::NoSuchClient { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let clients = store.clients().await?;
    let mut identities = clients.iter().flat_map(|client| &client.rights.federations);
    Ok(identities.any(|identity| identity.is_of(issuer.unwrap_or(&identity.issuer), subject.as_str())))
}

async fn is_trusted(store: &Store, issuer: &Issuer) -> Result<bool, StoreError> {
    match store.issuer(issuer).await {
        Ok(_) => Ok(true),
        Err(StoreError::NoSuchIssuer { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name as an operator gave it and, if it begins with the prefix of the issuer, the issuer's own name of that user.
///
/// Tokens are compared by both names. A record under the issuer's own name also applies to tokens that the user took part in as an
/// actor, and stays in force when the prefix changes.
///
/// # Errors
/// If the store fails.
pub(super) async fn meant(
    store: &Store,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<Vec<Subject>, StoreError> {
    let prefix = prefix(store, issuer).await?;
    let own = prefix.and_then(|prefix| without(subject, &prefix));
    Ok(std::iter::once(subject.clone()).chain(own).collect())
}

/// Every name under which the user may be recorded: as given, without the prefix and with it.
///
/// # Errors
/// If the store fails.
pub(super) async fn all(
    store: &Store,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<Vec<Subject>, StoreError> {
    let mut names = meant(store, issuer, subject).await?;
    if let Some(prefix) = prefix(store, issuer).await? {
        names.extend(format!("{prefix}{subject}").parse());
    }
    Ok(names)
}

/// The users of trusted issuers whom catalogs know by this name, each with the name that its issuer uses.
///
/// # Errors
/// If the store fails.
pub(super) async fn known_as(store: &Store, sub: &Subject) -> Result<Vec<(Issuer, Subject)>, StoreError> {
    let issuers = store.issuers().await?;
    let of = |record: tokenberg_store::IssuerRecord| {
        let own = without(sub, record.trusted.trust.subject_prefix.as_deref()?)?;
        Some((record.trusted.issuer, own))
    };
    Ok(issuers.into_iter().filter_map(of).collect())
}

/// The name of the issuer's user in catalogs, if it differs from the issuer's name.
///
/// # Errors
/// If the store fails.
pub(super) async fn sub_of(
    store: &Store,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<Option<String>, StoreError> {
    Ok(prefix(store, issuer).await?.map(|prefix| format!("{prefix}{subject}")))
}

fn without(subject: &Subject, prefix: &str) -> Option<Subject> {
    subject.as_str().strip_prefix(prefix)?.parse().ok()
}

async fn prefix(store: &Store, issuer: &Issuer) -> Result<Option<Box<str>>, StoreError> {
    match store.issuer(issuer).await {
        Ok(record) => Ok(record.trusted.trust.subject_prefix),
        // The issuer is our own, or was removed.
        Err(StoreError::NoSuchIssuer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
