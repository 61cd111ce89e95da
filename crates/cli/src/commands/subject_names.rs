//! The names of one user of another issuer: the issuer's own, and with the prefix by which catalogs know it; conformance CC-17.

use crate::failure::wrong_usage;
use tokenberg_core::{Issuer, Subject};
use tokenberg_store::{Store, StoreError};

/// Refuses the pattern of SPIFFE IDs, which names no subject: a decision about it would reach nothing.
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
    Ok(())
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
