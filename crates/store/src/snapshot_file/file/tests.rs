//! When the file is written and when its state is used; conformance OP-33.
#![cfg(feature = "postgres")]

use super::*;
use crate::keys::{KeyEncryptionKey, Purpose, Sealer};
use crate::snapshot::Registered;
use std::sync::Arc;
use tokenberg_core::Secret;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const HOUR: Duration = Duration::from_secs(3600);

fn file(path: &Path) -> SnapshotFile {
    let store = "postgres://tokenberg@db.test/tokens".parse().unwrap();
    SnapshotFile::new(path, &store, &"https://tokens.test".parse().unwrap(), HOUR)
}

fn seal() -> Seal {
    let key = KeyEncryptionKey::from_text(&Secret::new(KEY.to_owned())).unwrap();
    let pepper = Sealer::new(&key).unwrap().seal(Purpose::Pepper, &[7; 32]).unwrap();
    Seal::new(&key, pepper).unwrap()
}

fn snapshot(revision: i64) -> Snapshot {
    let mut numbers = [1; 7];
    numbers[0] = revision;
    Snapshot {
        numbers,
        recorded: Recorded { number: revision, hash: vec![9; 32] },
        clients: Arc::new(Registered::with_room_for(0)),
        keys: Arc::default(),
        revoked_ids: Arc::new(crate::revocations::RevokedIds::new()),
        revoked_before: Arc::default(),
        issuers: Arc::default(),
        disabled_subjects: Arc::default(),
    }
}

#[test]
fn op_33_an_age_counts_from_the_last_contact_and_no_state_is_of_the_future() {
    let file = file(Path::new("unused"));
    let checked = |store: &str, issuer: &str, ago: i64| {
        // The form in which other builds of this version write and read it.
        let heading = serde_json::json!({
            "store": store, "issuer": issuer, "contact": now() - ago, "pepper": [1, 2], "numbers": [1, 2, 3, 4, 5, 6, 7],
            "recorded": [3, [1, 2]], "rows": [0, 0, 0, 0, 0, 0],
        });
        file.check(&serde_json::from_value(heading).unwrap())
    };
    let (store, issuer) = ("postgres://tokenberg@db.test:5432/tokens", "https://tokens.test");
    let at = |ago: i64| checked(store, issuer, ago);
    assert!(at(0).unwrap() < Duration::from_secs(60));
    assert!(at(3_500_000).unwrap() >= Duration::from_secs(3500));
    assert!(matches!(at(3_601_000), Err(SnapshotError::TooOld { age: 3601.., most: 3600, .. })));
    assert_eq!(at(-30_000), Ok(Duration::ZERO), "the clock may have been corrected since");
    assert!(matches!(at(-120_000), Err(SnapshotError::InTheFuture { .. })));
    assert!(matches!(
        checked("postgres://tokenberg@db.test:5432/other", issuer, 0),
        Err(SnapshotError::AnotherStore { .. })
    ));
    assert!(matches!(checked(store, "https://tokens.test/", 0), Err(SnapshotError::AnotherIssuer { .. })));
}

#[test]
fn op_33_a_file_is_written_when_it_says_more_and_replaces_the_one_before_as_a_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node.snapshot");
    let (kept, seal, contact) = (file(&path), seal(), now());
    let keep = |revision, contact, is_end| kept.keep(&snapshot(revision), contact, &seal, is_end).unwrap();
    // What a killed process left.
    std::fs::write(sibling(&path, ".new"), "half").unwrap();
    assert_eq!((kept.contact(), kept.revision()), (None, None));
    assert!(keep(5, contact, false));
    assert_eq!((kept.contact(), kept.revision()), (timestamp(contact), Some(11)));
    assert!(!keep(5, contact, false) && !keep(5, contact + 59_000, false) && !keep(5, contact, true));
    // It pauses after a write, and not at the end.
    kept.last().as_mut().unwrap().took = HOUR;
    assert!(!keep(6, contact, false) && !keep(5, contact + 3_600_000, false));
    assert!(keep(6, contact, true) && keep(6, contact + 1, true));
    kept.last().as_mut().unwrap().took = Duration::ZERO;
    assert!(keep(6, contact + 60_001, false), "it says how recent it is");
    kept.last().as_mut().unwrap().took = Duration::ZERO;
    assert!(keep(6, contact, false), "a clock that was set back makes no file of the future");
    assert!(!sibling(&path, ".new").exists());

    let kek = KekSource::Text(Secret::new(KEY.to_owned()));
    let again = file(&path);
    let found = again.read(&kek, &KnownRights::default()).unwrap();
    assert_eq!((found.snapshot.revision(), found.contact), (12, contact));
    assert_eq!(found.seal.plain_pepper().unwrap().as_slice(), [7; 32]);
    assert!(!again.keep(&found.snapshot, contact, &seal, true).unwrap(), "it has it already");
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let failed = again.keep(&snapshot(9), contact, &seal, false).unwrap_err();
    assert!(matches!(failed, SnapshotError::NotWritten { .. }) && !sibling(&path, ".new").exists());
}

#[test]
fn op_33_a_file_that_is_no_snapshot_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let (place, seal) = (file(&path), seal());
    let keep = |revision| place.keep(&snapshot(revision), now(), &seal, true);
    assert_eq!(place.may_be_written(), Ok(()), "there is none yet");
    for other in [KEY, "tokenberg", "\n"] {
        fs::write(&path, other).unwrap();
        assert_eq!(keep(1), Err(SnapshotError::NotOurs), "{other}");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(keep(1), Err(SnapshotError::NotOurs), "a directory");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert_eq!(keep(1), Ok(true), "an empty file");
    assert_eq!(keep(2), Ok(true), "a snapshot");
    fs::write(&path, "tokenberg snapshot 0\nof another version").unwrap();
    assert_eq!(keep(3), Ok(true));
}
