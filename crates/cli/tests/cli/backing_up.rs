//! Is a backup whole, and can one go on from it? OP-10, with a server that writes meanwhile.

use crate::support::{Place, post, within_a_second};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn op_10_a_backup_under_writes_is_whole_and_a_server_goes_on_from_it() {
    let place = Place::new();
    let mut server = place.serve(&["--issuer", "https://tokens.example"]);
    let secret = place.add("before", &[]);
    within_a_second("the client is there", || server.ask("before", &secret).status == 200);
    let early = server.ask("before", &secret).token();
    let who = format!("client_id=before&client_secret={secret}");
    let (endpoint, revocation) = (server.endpoint(), format!("{}/v1/oauth/revoke", server.url));
    let revoke = |token: &str| post(&revocation, None, &format!("{who}&token={token}")).status;
    assert_eq!(revoke(&early), 200);

    // Somebody revokes for as long as copies are made.
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let form = format!("grant_type=client_credentials&{who}");
                assert_eq!(revoke(&post(&endpoint, None, &form).token()), 200);
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        for n in 0..5 {
            let at = written.load(Ordering::SeqCst);
            within_a_second("it is written", || written.load(Ordering::SeqCst) > at + 2);
            let said = place.run(&["backup", &format!("copy-{n}.db"), "--json"]).done();
            let length = fs::metadata(place.path(&format!("copy-{n}.db"))).unwrap().len();
            assert_eq!(said.json()["bytes"], length);
        }
        stop.store(true, Ordering::SeqCst);
    });
    place.add("after", &[]);

    for n in 0..5 {
        let copy = place.path(&format!("copy-{n}.db"));
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let store = format!("sqlite:copy-{n}.db");
        place.run(&["check", "--store", &store, "--key-file", "tokenberg.db.key"]).done();
    }
    assert!(!crate::support::files(&place.path("")).iter().any(|(path, _)| path.ends_with(".tmp")));

    // Restoring, as the help has it.
    server.signal("TERM");
    server.ended();
    for beside in ["tokenberg.db-wal", "tokenberg.db-shm"] {
        // They are there only if the server was killed.
        let _ = fs::remove_file(place.path(beside));
    }
    fs::copy(place.path("copy-4.db"), place.path("tokenberg.db")).unwrap();
    let server = place.serve(&["--issuer", "https://tokens.example"]);
    assert_eq!(server.ask("before", &secret).status, 200);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    let told = post(&format!("{}/v1/oauth/introspect", server.url), None, &format!("{who}&token={early}"));
    assert_eq!(told.body["active"], false, "what was revoked before the copy is revoked");
    assert!(!place.run(&["client", "list"]).done().out.contains("after"));
    place.add("later", &[]);
}

#[test]
fn op_10_a_backup_replaces_nothing_and_leaves_nothing_behind() {
    let place = Place::new();
    place.run(&["backup", "copy.db"]).refused();
    drop(place.serve(&[]));
    place.file("taken", "mine");
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).unwrap();
    for (name, why) in [
        ("taken", "there already"),
        ("dangling", "there already"),
        ("tokenberg.db", "there already"),
        ("no/such/directory", "cannot be written"),
    ] {
        let said = place.run(&["backup", name]).refused();
        assert!(said.err.contains(why) && said.err.contains(name), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(place.path("taken")).unwrap(), "mine");
    let said = place.run(&["backup", "it's a copy.db"]).done();
    assert!(said.out.contains("it's a copy.db") && said.err.contains("tokenberg.db.key"), "{}", said.err);
    let names: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{names:?}");
    // Neither the key nor a secret is in it.
    let copy = fs::read(place.path("it's a copy.db")).unwrap();
    for secret in ["first-secret-of-root", fs::read_to_string(place.path("tokenberg.db.key")).unwrap().trim()]
    {
        assert!(!copy.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
