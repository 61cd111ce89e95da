//! The names of an issuer's users in catalogs: the options `--subject-prefix` and `--shared-names`, and the warnings about them.

use crate::failure::{note, warn};
use crate::issuer_names::{MOST_CLIENTS, Names};
use clap::Args;
use tokenberg_core::explanation::quoted;
use tokenberg_core::issuer::SubjectNames;
use tokenberg_core::registration::check_subject_prefix;
use tokenberg_core::{ClientId, Issuer, Trust};
use tokenberg_store::{Store, StoreError};

/// What catalogs call its users.
#[derive(Clone, Debug, Args)]
pub(super) struct Naming {
    /// Prefix of its users' names in `sub`, by which catalogs authorize: with 'okta:', alice is okta:alice in catalogs, and no
    /// user of another issuer receives a token with such a name. The prefixes of two issuers must not overlap. In options and
    /// commands of tokenberg, the user is still alice. Prefix and name together have at most 255 bytes
    #[arg(long, value_name = "PREFIX", value_parser = prefix, conflicts_with = "shared_names")]
    pub(super) subject_prefix: Option<Box<str>>,

    /// State that a user and a client, or users of two issuers, with the same name are one principal in every catalog. Without
    /// it, a user with the name of a registered client receives no token
    #[arg(long)]
    pub(super) shared_names: bool,
}

impl Naming {
    /// Applies the options to a new registration.
    pub(super) fn apply(self, trust: &mut Trust) {
        trust.subject_names = if self.shared_names { SubjectNames::Shared } else { SubjectNames::Separate };
        trust.subject_prefix = self.subject_prefix;
    }
}

/// Parses a prefix: what a subject may begin with.
///
/// # Errors
/// A sentence that describes the expected form.
pub(super) fn prefix(text: &str) -> Result<Box<str>, String> {
    check_subject_prefix(text).map(|()| text.into())
}

/// The setting for names as it is shown in lists and on the page of an issuer.
pub(super) fn shown(trust: &Trust) -> String {
    match (&trust.subject_prefix, trust.subject_names) {
        _ if !trust.names_subjects() => String::new(),
        (Some(prefix), _) => format!("{prefix}…"),
        (None, SubjectNames::Separate) => "separate".to_owned(),
        (None, SubjectNames::Shared) => "shared".to_owned(),
        (None, SubjectNames::Undecided) => "UNDECIDED".to_owned(),
    }
}

/// The setting for names as a sentence.
pub(super) fn explained(trust: &Trust) -> &'static str {
    match trust.subject_names {
        _ if !trust.names_subjects() => "",
        SubjectNames::Separate => "separate: a user with the name of a registered client receives no token",
        SubjectNames::Shared => "shared: equal names are one principal",
        SubjectNames::Undecided => "UNDECIDED: catalogs treat equal names as one principal",
    }
}

/// Whether the settings for names differ.
pub(super) fn differs(before: &Trust, after: &Trust) -> bool {
    let decisive =
        |trust: &Trust| (trust.subject_prefix.clone(), trust.subject_names, trust.names_subjects());
    decisive(before) != decisive(after)
}

/// Prints notes for the operator about the names of an issuer's users, which were as `before` or are new.
///
/// A store that cannot be read causes another warning, and no error, because the issuer is registered by then.
pub(super) async fn print_notes(store: &Store, issuer: &Issuer, before: Option<&Trust>) {
    warn_if_unread(notes(store, issuer, before).await);
}

/// Prints warnings about other principals that have, or could have, the names of the issuer's users.
pub(super) async fn warn_of_others(store: &Store, issuer: &Issuer) {
    warn_if_unread(others(store, issuer).await);
}

/// Prints warnings about users of trusted issuers who could be named as the client.
pub(crate) async fn warn_of_users(store: &Store, client: &ClientId) {
    let warned = store.issuers().await.map(|issuers| {
        Names::of_records(&issuers).of_client(client).iter().for_each(|sentence| warn(sentence));
    });
    warn_if_unread(warned);
}

/// The error of a change of the issuer; if another issuer has the prefix, with the possible solutions.
pub(super) async fn with_solutions(store: &Store, issuer: &Issuer, error: StoreError) -> anyhow::Error {
    let StoreError::PrefixTaken { taken, by, .. } = &error else { return error.into() };
    let free = store.issuers().await.map(|records| Names::of_records(&records).free_prefix(issuer));
    let another = free.map_or_else(
        |_| "another prefix".to_owned(),
        |free| format!("another prefix, such as --subject-prefix={}", quoted(&free)),
    );
    let frees = format!(
        "to free {taken:?}, first use `tokenberg issuer change {} --clear subject_prefix` for {by}, or give that issuer another prefix; \
         both end its users' sessions",
        quoted(by.as_str())
    );
    anyhow::anyhow!("{error}. Nothing was changed. Give {another}; or, {frees}")
}

fn warn_if_unread(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        warn(&format!("could not check whether two principals have the same name: {error}"));
    }
}

async fn notes(store: &Store, issuer: &Issuer, before: Option<&Trust>) -> Result<(), StoreError> {
    let records = store.issuers().await?;
    let Some(record) = records.iter().find(|record| record.trusted.issuer == *issuer) else { return Ok(()) };
    let trust = &record.trusted.trust;
    if let Some(sentence) = Names::of_records(&records).without_prefix(issuer) {
        note(&sentence);
    }
    others(store, issuer).await?;
    if let Some(before) = before.filter(|before| before.names_subjects() && trust.names_subjects()) {
        note_new_names(issuer, before, trust);
    }
    Ok(())
}

async fn others(store: &Store, issuer: &Issuer) -> Result<(), StoreError> {
    let records = store.issuers().await?;
    let names = Names::of_records(&records);
    for sentence in names.of_issuer(issuer) {
        warn(&sentence);
    }
    let Some(prefix) = names.prefix_of(issuer) else { return Ok(()) };
    // One more than the warning names, so that it can say that there are others.
    let most = u32::try_from(MOST_CLIENTS).unwrap_or(0) + 1;
    let clients = store.clients_beginning_with(prefix, most).await?;
    if let Some(sentence) = names.clients_in_prefix(issuer, &clients) {
        warn(&sentence);
    }
    if prefix.ends_with(char::is_alphanumeric) {
        note(&format!(
            "the prefix {prefix:?} does not end with a separator, such as a colon: users of other issuers whose names begin with it \
             receive no token"
        ));
    }
    Ok(())
}

/// A sentence about sessions with a prefix that their issuer gives up, and about when another issuer may have it.
pub(super) fn given_up(prefix: &str) -> String {
    format!(
        "sessions that began with the prefix {prefix:?} have ended. A catalog that checks only signatures accepts their tokens until \
         they expire, so do not give this prefix to another issuer before then"
    )
}

/// Prints a note if the names change, because catalogs grant rights by name.
fn note_new_names(issuer: &Issuer, before: &Trust, after: &Trust) {
    let (old, new) = (before.sub_of("alice"), after.sub_of("alice"));
    if old != new {
        let sessions = match &before.subject_prefix {
            None => "existing sessions keep their names".to_owned(),
            Some(prefix) => given_up(prefix),
        };
        note(&format!(
            "users of {issuer} have other names in catalogs from now on: {old} is {new}. Grants in the catalogs must use the new names; \
             {sessions}"
        ));
    }
    if before.subject_names != SubjectNames::Separate && after.subject_names == SubjectNames::Separate {
        note(&format!(
            "from now on, tokens of users of {issuer} with the name of a registered client are inactive"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cc_17_a_prefix_is_short_and_plain() {
        for good in ["okta:", "x", "Zoë|", "a b ", "https://idp.example#", &"x".repeat(64)] {
            assert_eq!(prefix(good).as_deref(), Ok(good));
            assert!(format!("{good}alice").parse::<tokenberg_core::Subject>().is_ok());
        }
        for (bad, tip) in [
            ("", "0 bytes"),
            (&"x".repeat(65), "65 bytes"),
            (&"é".repeat(33), "66 bytes"),
            (" okta:", "begins with a space"),
            ("okta\u{202e}:", "\\u{202e}"),
            ("okta\n", "\\u{a}"),
            ("okta\u{200b}:", "\\u{200b}"),
            ("okta\u{a0}", "\\u{a0}"),
        ] {
            let fault = prefix(bad).unwrap_err();
            assert!(
                fault.contains(tip) && fault.contains("1 to 64 bytes") && fault.contains("255"),
                "{fault}"
            );
        }
    }
}
