//! What `tokenberg check` reports about the schema of the store, about the issuer of its servers, and about their snapshot.

use super::findings::Findings;
use crate::output::on_one_line;
use crate::server::listening::Listening;
use crate::server::settings::Settings;
use crate::store_access::{StoreLocation, older_schema};
use crate::{exposed_files, moment_text};
use std::fs::File;
use std::path::Path;
use tokenberg_store::{
    KekError, KekSource, KeyEncryptionKey, OpeningError, SchemaDifference, SnapshotError, Store, StoreUrl,
};

/// Compares the issuer that is configured with that of the servers of the store.
pub(super) async fn check_issuer(store: &Store, settings: Option<&Settings>, findings: &mut Findings) {
    let kept = match store.kept_issuer().await {
        Ok(Some(kept)) if kept.is_given => kept,
        Ok(_) => return,
        Err(error) => return findings.problem("store", error.to_string()),
    };
    let Some(Listening { issuer, change_issuer_from, .. }) = settings.map(|s| &s.listening) else { return };
    match issuer {
        Some(issuer) if *issuer != kept.issuer && change_issuer_from.as_ref() != Some(&kept.issuer) => {
            if store.binds_issuer(&kept) {
                let error = OpeningError::AnotherIssuer { kept: kept.issuer, issuer: issuer.clone() };
                findings.problem("issuer", error.to_string());
            } else {
                let lost = "tokens from before are not accepted with this one";
                findings.note("issuer", format!("the issuer was {} before; {lost}", kept.issuer));
            }
        }
        Some(_) => {}
        None => {
            let kept = kept.issuer;
            findings.note("issuer", format!("--issuer is not set, and the servers of the store have {kept}"));
        }
    }
}

/// Names the files of the key-encryption key, and checks that other users can change neither these nor those of the store. The present
/// key has opened the store, or the next one has.
pub(super) fn check_files(store: &StoreUrl, key: &KekSource, findings: &mut Findings) {
    exposed_files::exposed(store, key).into_iter().for_each(|sentence| findings.problem("files", sentence));
    if let Some(path) = key.file() {
        findings.ok("key file", path.display().to_string());
    }
    let KekSource::Files { next, .. } = key else { return };
    match KeyEncryptionKey::from_file(next) {
        Ok(_) => findings.ok("next key file", next.display().to_string()),
        Err(KekError::Missing { .. }) => {
            let text = format!(
                "{} does not exist; that is right while no change of the key is planned",
                next.display()
            );
            findings.note("next key file", text);
        }
        Err(error) => findings.problem("next key file", error.to_string()),
    }
}

/// Compares the schema of the store with that of this version.
pub(super) async fn check_schema(store: &Store, findings: &mut Findings) {
    let differences = match store.schema_differences().await {
        Ok(differences) => differences,
        Err(error) => return findings.problem("schema", error.to_string()),
    };
    let migration = store.schema();
    if migration.is_due() {
        findings.problem("schema", older_schema(migration));
    } else if migration.from > migration.to {
        let text = "a newer tokenberg has migrated it, and states that this one may use it";
        findings.note("schema", format!("the store has schema {}: {text}", migration.from));
    }
    if !differences.iter().any(SchemaDifference::affects_servers) {
        findings.ok("schema", "the tables are those that the migrations create");
    }
    for difference in differences {
        // Names come from the database, where anyone with access to it may have chosen them.
        let sentence = on_one_line(&difference.to_string());
        if difference.affects_servers() {
            findings.problem("schema", sentence);
        } else {
            findings.note("schema", sentence);
        }
    }
}

/// Why an SQLite store cannot be written: the file, or one that SQLite keeps beside it. Opening a file changes nothing.
pub(super) fn not_writable_file(store: &Path) -> Option<String> {
    exposed_files::files(store).into_iter().find_map(|path| {
        let error = path.exists().then(|| File::options().write(true).open(&path).err()).flatten()?;
        Some(format!("{}: {error}", path.display()))
    })
}

/// Checks the file from which a server starts while the database is away.
pub(super) fn check_snapshot(settings: &Settings, store: &StoreLocation, findings: &mut Findings) {
    let listening = &settings.listening;
    let Ok(issuer) = listening.issuer_at(listening.listen.port()) else { return };
    let Some(file) = settings.snapshot_file(&store.url, &issuer) else { return };
    let path = file.path().display();
    if let Err(error) = file.may_be_written() {
        return findings.problem("snapshot", format!("{path}: {error}"));
    }
    match file.examine(&store.key) {
        Ok(contact) => {
            findings.ok("snapshot", format!("{path} has the state of {}", moment_text::written(contact)))
        }
        Err(SnapshotError::Missing) => {
            findings.note("snapshot", format!("{path} does not exist yet; a running server writes it"))
        }
        Err(error) => findings.note("snapshot", format!("{path} would not be used at a start: {error}")),
    }
}
