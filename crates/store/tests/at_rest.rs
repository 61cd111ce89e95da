//! A stolen disk contains no secret, and a missing or wrong key is reported to the operator.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use sqlx::{Connection, SqliteConnection};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use tokenberg_core::{Answers, Secret};
use tokenberg_store::{KekError, KekSource, KeyEncryptionKey, NewSecret, Store, StoreError, StoreUrl};
use world::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|w| w == text)
}

#[tokio::test]
async fn se_03_neither_secrets_nor_private_keys_are_on_disk() {
    let world = World::new();
    let store = world.open().await;
    let generated = add(&store, "c1", NewSecret::Generate).await.secret.unwrap();
    add(&store, "c2", chosen("a secret that a person chose")).await;
    store.add_key(&key("k1")).await.unwrap();
    let k1 = key("k1");
    let private = k1.private.pkcs8().unwrap();
    // First with the write-ahead log, then after a checkpoint of everything.
    let with_log = world.bytes();
    assert!(world.directory().join("tokenberg.db-wal").exists());
    assert_eq!(mode(&world.directory().join("tokenberg.db-wal")), 0o600);
    store.close().await;
    for bytes in [with_log, world.bytes()] {
        assert!(holds(&bytes, b"c1") && holds(&bytes, b"k1"));
        assert!(!holds(&bytes, generated.expose().as_bytes()));
        assert!(!holds(&bytes, b"a secret that a person chose"));
        assert!(!holds(&bytes, &private[..16]));
    }
    assert_eq!(mode(&world.path()), 0o600);
    assert_eq!(mode(&world.key_file()), 0o600);
    let keys = world.open().await.keys().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(keys[0].private.pkcs8(), Some(private));
}

#[tokio::test]
async fn ks_07_a_key_file_that_others_can_read_is_refused_by_name_unless_root_gave_it_to_a_group() {
    let world = World::new();
    world.open().await.close().await;
    let content = fs::read_to_string(world.key_file()).unwrap();
    let change = |owner: Option<u32>, mode| {
        chown(world.key_file(), owner, None).unwrap();
        fs::set_permissions(world.key_file(), fs::Permissions::from_mode(mode)).unwrap();
    };
    // Only a file of root may be readable by its group. Another user than root cannot give files away, and tests its own.
    let is_root = fs::metadata(world.key_file()).unwrap().uid() == 0;
    let (others, root) = if is_root { (Some(65_532), Some(0)) } else { (None, None) };
    if !is_root {
        println!("skipped: only root can create files of root");
    }
    for (owner, modes) in
        [(others, &[0o640, 0o440, 0o604, 0o644, 0o660][..]), (root, &[0o604, 0o644, 0o660, 0o620])]
    {
        for mode in modes {
            change(owner, *mode);
            let message = fault(world.try_open().await).to_string();
            assert!(message.contains(&format!("mode {mode:04o}")), "{message}");
            assert!(message.contains(&format!("chmod 600 '{}'", world.key_file().display())), "{message}");
            assert!(!message.contains(content.trim()));
        }
    }
    for (owner, mode) in [(others, 0o400), (others, 0o600), (root, 0o600), (root, 0o640), (root, 0o440)] {
        if is_root || mode & 0o077 == 0 {
            change(owner, mode);
            world.open().await.close().await;
        }
    }
}

#[tokio::test]
async fn ks_07_a_malformed_key_file_is_named_without_its_content() {
    let world = World::new();
    let path = world.key_file();
    for content in
        ["", "\n", "hush hush", &"a".repeat(63), &"g".repeat(64), &"a".repeat(66), &"QUJD".repeat(400)]
    {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let message = fault(world.try_open().await).to_string();
        assert!(message.starts_with(&format!("the key file {} does not hold", path.display())), "{message}");
        assert!(!message.contains("hush"));
    }
    fs::write(&path, [0xFF; 32]).unwrap();
    assert!(fault(world.try_open().await).to_string().contains("does not hold"));
}

#[test]
fn a_key_is_hexadecimal_or_base64_with_any_space_around_it() {
    let world = World::new();
    let path = world.directory().join("kek");
    for content in [
        "0123456789abcdef".repeat(4),
        "0123456789ABCDEF".repeat(4) + "\n",
        "  ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=\r\n".to_owned(),
        "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8".to_owned(),
    ] {
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(KeyEncryptionKey::from_file(&path).is_ok(), "{content}");
        assert!(KeyEncryptionKey::from_text(&Secret::new(content)).is_ok());
    }
    assert!(KeyEncryptionKey::from_text(&secret("too short")).is_err());
}

#[test]
fn processes_that_create_the_key_file_concurrently_agree_on_one_key() {
    let world = World::new();
    let path = world.directory().join("kek");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| KeyEncryptionKey::create_file(&path).map(drop).unwrap());
        }
    });
    assert_eq!(fs::read_dir(world.directory()).unwrap().count(), 1, "nothing is left beside the file");
    assert_eq!(fs::read_to_string(&path).unwrap().len(), 65);
}

#[tokio::test]
async fn op_12_a_missing_or_wrong_key_is_reported_and_not_replaced() {
    let world = World::new();
    world.open().await.close().await;
    let aside = world.directory().join("aside");
    fs::rename(world.key_file(), &aside).unwrap();
    let missing = fault(world.try_open().await);
    assert_eq!(missing, StoreError::KeyEncryptionKey(KekError::Missing { path: world.key_file() }));
    assert!(missing.to_string().ends_with("is missing; the store's keys cannot be read without it"));
    assert!(!world.key_file().exists());

    KeyEncryptionKey::create_file(&world.key_file()).map(drop).unwrap();
    let wrong = fault(world.try_open().await);
    let from = format!("the file {}", world.key_file().display());
    assert_eq!(wrong, StoreError::WrongKey { from, since: None });
    let text = KekSource::Text(Secret::new("ab".repeat(32)));
    assert!(matches!(fault(Store::open(&world.url(), text).await), StoreError::WrongKey { .. }));

    let right = KekSource::Text(Secret::new(fs::read_to_string(&aside).unwrap()));
    Store::open_existing(&world.url(), right).await.map(drop).unwrap();
}

#[tokio::test]
async fn op_12_administration_creates_no_missing_store() {
    let world = World::new();
    let kek = || world.key();
    let missing = fault(Store::open_existing(&world.url(), kek()).await);
    assert_eq!(missing, StoreError::Missing { store: world.path().display().to_string() });
    assert_eq!(fs::read_dir(world.directory()).unwrap().count(), 0);
}

#[tokio::test]
async fn op_12_a_directory_that_is_not_writable_is_named() {
    for path in ["/proc/tokenberg.db", "/nonexistent/tokenberg.db", "/dev/null/tokenberg.db"] {
        let url = StoreUrl::sqlite(Path::new(path));
        let message = fault(Store::open(&url, KekSource::File(url.key_file().unwrap())).await).to_string();
        // Whichever file is the first that cannot be made.
        let is_named =
            ["the store", "the key file"].iter().any(|what| message.starts_with(&format!("{what} {path}")));
        assert!(is_named, "{message}");
        assert!(message.contains("directory"), "{message}");
    }
    let world = World::new();
    let url = StoreUrl::sqlite(world.directory());
    assert!(matches!(
        fault(Store::open(&url, KekSource::File(url.key_file().unwrap())).await),
        StoreError::CannotOpen { .. }
    ));
    fs::write(world.path(), "this is no database, but it is long enough to look like one").unwrap();
    let message = fault(world.try_open().await).to_string();
    assert!(message.contains("the SQLite file is corrupt"), "{message}");
}

#[tokio::test]
async fn op_21_cc_19_a_replaced_database_is_reported_and_not_read() {
    let world = World::new();
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let path = world.path();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    until(&watched, |w| matches!(w.health().fault, Some(StoreError::Replaced { .. }))).await;
    // As after a backup was restored: a client that was disabled since is enabled in it, and the server reports that the file
    // was replaced.
    std::fs::copy(&aside, &path).unwrap();
    assert!(matches!(watched.refresh().await, Err(StoreError::Replaced { .. })));
    assert!(watched.now().client(&id("c1")).is_some(), "what was read stays in force");
    std::fs::rename(&aside, &path).unwrap();
    until(&watched, |w| w.health().fault.is_none()).await;
}

#[tokio::test]
async fn se_09_sqlite_has_the_fix_for_corrupting_resets_of_its_log() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await.unwrap();
    let numbers: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "{version}: versions before 3.51.3 corrupt databases in WAL mode");
}
