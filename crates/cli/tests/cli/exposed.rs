//! Files of the store that other users can change are reported, and a store is made with its key or not at all: KS-07.

use crate::support::{Place, within_a_second};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

#[test]
fn ks_07_files_that_other_users_can_change_are_a_problem_of_check_and_a_warning_of_serve() {
    let place = Place::new();
    place.add("etl", &[]);
    let (store, key) = (place.path("tokenberg.db"), place.path("tokenberg.db.key"));
    let check = || place.run(&["check", "--offline", "--listen", "127.0.0.1:0"]);
    let good = check().done();
    assert!(!good.out.contains("other users can write"), "{}", good.out);
    let set = |mode| fs::set_permissions(&store, Permissions::from_mode(mode)).unwrap();
    for mode in [0o666, 0o602, 0o660] {
        set(mode);
        let said = check();
        let expected = format!("other users can write tokenberg.db (mode {mode:04o})");
        assert!(said.code == 1 && said.out.contains(&expected), "{mode:o}: {}", said.out);
    }
    let server = place.serve(&[]);
    within_a_second("the warning", || {
        server.log().contains("other users can write tokenberg.db (mode 0660)")
    });
    // The file beside it is as good.
    let log = place.path("tokenberg.db-wal");
    set(0o600);
    fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
    let said = check();
    assert!(said.code == 1 && said.out.contains("other users can write tokenberg.db-wal"), "{}", said.out);
    drop(server);
    let _ = fs::set_permissions(&log, Permissions::from_mode(0o600));
    // Only root can give a file away.
    if fs::metadata(&store).unwrap().uid() != 0 {
        eprintln!("skipped: the owner of a file can be changed by root only");
        return;
    }
    chown(&key, Some(65_534), None).unwrap();
    let said = check();
    assert!(said.code == 1 && said.out.contains("belongs to the user 65534"), "{}", said.out);
    let server = place.serve(&[]);
    within_a_second("the warning", || server.log().contains("belongs to the user 65534"));
    drop(server);
    // The store of another user, which root looks at.
    for name in ["tokenberg.db", "tokenberg.db-wal", "tokenberg.db-shm"] {
        let _ = chown(place.path(name), Some(65_534), None);
    }
    let said = check().done();
    assert!(!said.out.contains("belongs to"), "{}", said.out);
}

#[test]
fn ks_07_a_store_is_made_with_its_key_or_not_at_all() {
    let place = Place::new();
    symlink("nowhere", place.path("dangling.key")).unwrap();
    fs::create_dir(place.path("malformed")).unwrap();
    place.file("malformed/a.key", "x");
    fs::set_permissions(place.path("malformed/a.key"), Permissions::from_mode(0o600)).unwrap();
    for (key, tip) in [
        ("dangling.key", "symbolic link to a file that does not exist"),
        ("none/a.key", "its directory does not exist"),
        ("malformed/a.key", "does not hold 32 bytes"),
    ] {
        let said = place.run(&["init", "--key-file", key]).refused();
        assert!(said.err.contains(tip), "{key}: {}", said.err);
        let left: Vec<_> =
            fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("tokenberg.db")), "{left:?}");
    }
    place.run(&["init"]).done();
}
