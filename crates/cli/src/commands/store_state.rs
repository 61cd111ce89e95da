//! What `tokenberg check` reports about the schema of the store, and about the issuer of its servers.

use super::findings::Findings;
use crate::output::on_one_line;
use crate::server::listening::Listening;
use crate::server::settings::Settings;
use crate::store_access::older_schema;
use std::fs::File;
use std::path::{Path, PathBuf};
use tokenberg_store::{KeptIssuer, OpeningError, SchemaDifference, Store};

/// Compares the issuer that is configured with that of the servers of the store.
pub(super) async fn check_issuer(store: &Store, settings: Option<&Settings>, findings: &mut Findings) {
    let kept = match store.kept_issuer().await {
        Ok(Some(KeptIssuer { issuer, is_given: true })) => issuer,
        Ok(_) => return,
        Err(error) => return findings.problem("store", error.to_string()),
    };
    let Some(Listening { issuer, change_issuer_from, .. }) = settings.map(|s| &s.listening) else { return };
    match issuer {
        Some(issuer) if *issuer != kept && change_issuer_from.as_ref() != Some(&kept) => {
            if store.is_shared() {
                let error = OpeningError::AnotherIssuer { kept, issuer: issuer.clone() };
                findings.problem("issuer", error.to_string());
            } else {
                let lost = "tokens from before are not accepted with this one";
                findings.note("issuer", format!("the issuer was {kept} before; {lost}"));
            }
        }
        Some(_) => {}
        None => {
            findings.note("issuer", format!("--issuer is not set, and the servers of the store have {kept}"))
        }
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
    ["", "-wal", "-shm"].iter().find_map(|ending| {
        let mut path = store.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        let error = path.exists().then(|| File::options().write(true).open(&path).err()).flatten()?;
        Some(format!("{}: {error}", path.display()))
    })
}
