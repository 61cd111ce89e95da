//! Secrets as they are mounted: variables with a line end, and files that root gave to a group; conformance SE-04, KS-07.

use crate::support::Place;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use tokenberg_testkit::{POSTGRES_PASSWORD, Postgres};

#[test]
fn se_04_one_trailing_line_end_of_a_variable_is_removed() {
    for end in ["", "\n", "\r\n"] {
        let place = Place::new();
        let with_end = |text: &str| format!("{text}{end}");
        let first = with_end("root:first-secret-of-root");
        let store = with_end("sqlite:other.db");
        let server =
            place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", &first), ("TOKENBERG_STORE", &store)]);
        assert_eq!(server.ask("root", "first-secret-of-root").status, 200, "{end:?}");
        assert!(place.path("other.db").exists(), "{end:?}");
        let key = fs::read_to_string(place.path("other.db.key")).unwrap();
        let key = with_end(key.trim());
        place
            .run_with(&["client", "list"], "", &[("TOKENBERG_STORE", &store), ("TOKENBERG_KEY", &key)])
            .done();
        let (id, secret) = (with_end("root"), with_end("first-secret-of-root"));
        let variables = [("TOKENBERG_CLIENT_ID", id.as_str()), ("TOKENBERG_CLIENT_SECRET", &secret)];
        place.run_with(&["token", "--server", &server.url], "", &variables).done();
        // The same as from a file.
        let file = place.file("secret", &secret);
        place.run(&["token", "--server", &server.url, "--client-id", "root", "--secret-file", &file]).done();
    }
}

#[test]
fn se_04_more_than_one_line_end_is_refused_and_a_lone_line_end_counts_as_absent() {
    let place = Place::new();
    for end in ["\n\n", "\r\n\n", "\r"] {
        let first = format!("root:first-secret-of-root{end}");
        let said = Place::new().start(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", &first)]).err().unwrap();
        assert!(said.code != 0 && !said.err.contains("first-secret"), "{end:?}: {}", said.err);
    }
    let server = place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", "\n")]);
    assert!(server.lines().iter().any(|line| line.starts_with("client secret")), "a secret is generated");
    let variables = [("TOKENBERG_CLIENT_ID", "root"), ("TOKENBERG_CLIENT_SECRET", "\n")];
    let said = place.run_with(&["token", "--server", &server.url], "", &variables);
    assert!(said.code == 2 && said.err.contains("--client-id needs a secret"), "{}", said.err);
}

#[test]
fn ks_07_the_files_of_all_keys_have_the_same_permission_rule() {
    let place = Place::new();
    drop(place.serve(&[]));
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = place.file("cert.pem", &certified.cert.pem());
    let tls_key = place.file("tls.pem", &certified.signing_key.serialize_pem());
    let signing = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let import = place.file("signing.pem", &signing);
    let sealing = place.path("tokenberg.db.key").display().to_string();
    let is_root = fs::metadata(&sealing).unwrap().uid() == 0;
    if !is_root {
        println!("skipped: files that belong to root can only be made by root");
    }
    for (is_of_root, mode, is_open) in [
        (true, 0o640, false),
        (true, 0o440, false),
        (true, 0o600, false),
        (true, 0o660, true),
        (true, 0o644, true),
        (true, 0o604, true),
        (false, 0o600, false),
        (false, 0o640, true),
        (false, 0o440, true),
        (false, 0o644, true),
    ] {
        if is_of_root && !is_root {
            continue;
        }
        for file in [&tls_key, &import, &sealing] {
            if is_root {
                chown(file, Some(if is_of_root { 0 } else { 65_532 }), None).unwrap();
            }
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let what = format!("{mode:04o}, of root: {is_of_root}");
        let said = place.run(&["client", "list"]);
        assert_eq!(
            (said.code != 0, said.err.contains("open to others")),
            (is_open, is_open),
            "{what} {}",
            said.err
        );
        let said = place.run(&["check", "--tls-cert", &certificate, "--tls-key", &tls_key]);
        assert_eq!(said.out.contains("tls.pem is accessible to other users"), is_open, "{what} {}", said.out);
        // The store is not that of the refused file.
        let variables = [("TOKENBERG_STORE", "sqlite:imported.db")];
        let said = place.run_with(&["key", "import", &import], "", &variables);
        assert_eq!(
            said.err.contains("signing.pem is accessible to other users"),
            is_open,
            "{what} {}",
            said.err
        );
    }
}

#[test]
fn op_12_the_password_of_the_store_is_read_from_a_file() {
    let Some(postgres) = Postgres::shared() else { return };
    let place = Place::new();
    let database = postgres.database();
    let store = format!("postgres://tokenberg@127.0.0.1:{}/{database}", postgres.port());
    let password = place.file("password", &format!("{POSTGRES_PASSWORD}\n"));
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    place.file("of-file.toml", &format!("store = \"{store}\"\nstore-password-file = \"password\"\n"));
    let key = ("TOKENBERG_KEY_FILE", "key");
    let server = place.serve_with(&["--config", "of-file.toml"], &[key]);
    let flags = ["client", "list", "--store", &store, "--store-password-file", "password"];
    place.run_with(&flags, "", &[key]).done();
    let variables = [key, ("TOKENBERG_STORE", &store), ("TOKENBERG_STORE_PASSWORD_FILE", "password")];
    for command in [&["client", "list"][..], &["migrate", "--plan"], &["migrate"], &["check"]] {
        place.run_with(command, "", &variables).done();
    }
    drop(server);
    let twice = postgres.url(&database);
    for (store, said) in [(&*twice, "given twice"), ("sqlite:x.db", "only for a PostgreSQL store")] {
        let variables = [key, ("TOKENBERG_STORE", store), ("TOKENBERG_STORE_PASSWORD_FILE", "password")];
        let refused = place.run_with(&["client", "list"], "", &variables);
        assert!(refused.err.contains(said) && !refused.err.contains(POSTGRES_PASSWORD), "{}", refused.err);
    }
    let missing = [key, ("TOKENBERG_STORE", &store)];
    let refused = place.run_with(&["client", "list"], "", &missing);
    assert!(refused.err.contains("no password was given"), "{}", refused.err);
}
