//! Tests of the addresses of PostgreSQL stores.

use super::*;

fn parse(text: &str) -> Result<PostgresUrl, StoreUrlError> {
    PostgresUrl::parse(text.strip_prefix("postgres:").unwrap())
}

#[test]
fn se_05_the_password_is_never_displayed() {
    for (text, printed) in [
        ("postgres://u:hush@h:5/d", "postgres://u@h:5/d"),
        ("postgres://u:hush@h:5/d?sslmode=require", "postgres://u@h:5/d"),
        ("postgres://u@127.0.0.1:5/d?password=hush", "postgres://u@127.0.0.1:5/d"),
        ("postgres:///d?host=/run/pg&user=u&password=hush", "postgres:///d?host=/run/pg&user=u"),
        ("postgres://u:hu%2Fsh@[::1]:5/d", "postgres://u@[::1]:5/d"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(url.to_string(), printed);
        assert_eq!(format!("{url:?}"), printed);
    }
    for (text, without) in [
        ("postgres://u:hush@h:5/d", "postgres://u@h:5/d"),
        ("postgres://u:hush@h:5/d?sslmode=require", "postgres://u@h:5/d?sslmode=require"),
        ("postgres://u:hu:sh@h?password=hush&port=7", "postgres://u@h?port=7"),
        ("postgres://u@v:hush@h/d", "postgres://u@v@h/d"),
        ("postgres://:hush@h/d", "postgres://@h/d"),
        ("postgres:///d?host=/run/pg&user=u&password=hu=sh", "postgres:///d?host=/run/pg&user=u"),
        ("postgres://h:5/d", "postgres://h:5/d"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(url.without_password(), without, "{text}");
        assert!(parse(without).is_ok(), "{without}");
    }
    let of = |text: &str| parse(text).unwrap();
    assert!(of("postgres://u:a@h/d") == of("postgres://u:a@h/d"));
    assert!(of("postgres://u:a@h/d") != of("postgres://u:b@h/d"), "a new password is a change");
}

#[test]
fn se_05_a_password_that_was_not_encoded_is_refused_and_not_displayed() {
    for (text, why) in [
        ("postgres:u@h/d", StoreUrlError::PostgresForm),
        ("postgres://u:hu/sh@h/d", StoreUrlError::PostgresForm),
        ("postgres://u:12/hush@h/d", StoreUrlError::PostgresForm),
        ("postgres://u:12/hush@h", StoreUrlError::PostgresForm),
        ("postgres://u:hu#sh@h/d", StoreUrlError::PostgresForm),
        ("postgres://u:12?hush@h/d", StoreUrlError::PostgresParameter),
        ("postgres://u@h/d?passwort=hush", StoreUrlError::PostgresParameter),
        ("postgres://u@h:99999/d", StoreUrlError::PostgresForm),
    ] {
        let fault = parse(text).unwrap_err();
        assert_eq!(fault, why, "{text}");
        assert!(!fault.to_string().contains("hush") && !fault.to_string().contains("passwort"));
    }
}

#[test]
fn op_12_several_hosts_and_ports_are_written_as_for_libpq() {
    for (text, hosts) in [
        ("postgres://u@a,b/d", "a:5432,b:5432"),
        ("postgres://u@a:1,b:2,c/d", "a:1,b:2,c:5432"),
        ("postgres://u@a,b/d?port=7", "a:7,b:7"),
        ("postgres:///d?host=a,b&port=1,2&user=u", "a:1,b:2"),
        ("postgres://u@[::1]:1,[fe80::2]/d", "[::1]:1,[fe80::2]:5432"),
        ("postgres:///d?hostaddr=10.0.0.7&user=u", "10.0.0.7:5432"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), format!("postgres://u@{hosts}/d"), "{text}");
    }
    for (text, is_read_write) in [
        ("postgres://u@a/d", false),
        ("postgres://u@a,b/d", true),
        ("postgres://u@a,b/d?target_session_attrs=any", false),
        ("postgres://u@a/d?target_session_attrs=read-write", true),
        ("postgres://u@a/d?target_session_attrs=primary", true),
    ] {
        assert_eq!(parse(text).unwrap().is_read_write(), is_read_write, "{text}");
    }
}

#[test]
fn op_12_what_has_no_effect_is_refused_by_its_name() {
    for (text, name) in [
        ("postgres://u@h/d?service=hush", "service"),
        ("postgres://u@h/d?channel_binding=require", "channel_binding"),
        ("postgres://u@h/d?keepalives_idle=10", "keepalives_idle"),
        ("postgres://u@h/d?hostaddr=10.0.0.7", "hostaddr"),
        ("postgres://u@h/d?sslmode=hush", "sslmode"),
        ("postgres://u@h/d?sslrootcert=system", "sslrootcert"),
        ("postgres://u@h/d?sslrootcert=ca.pem&sslmode=prefer", "sslmode"),
        ("postgres://u@h/d?target_session_attrs=standby", "target_session_attrs"),
        ("postgres://u@h/d?connect_timeout=hush", "connect_timeout"),
        ("postgres://u@a,b/d?port=1,2,3", "port"),
    ] {
        let fault = parse(text).unwrap_err().to_string();
        assert!(fault.contains(name) && !fault.contains("hush"), "{text}: {fault}");
    }
    let harmless =
        "postgres://u@h/d?channel_binding=prefer&gssencmode=disable&connect_timeout=10&keepalives=0";
    assert!(parse(harmless).is_ok());
}

#[test]
fn op_12_variables_supply_what_the_url_omits_and_others_are_refused() {
    let with = |text: &str, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        PostgresUrl::parse_with(text, &variable)
    };
    let variables = [("PGHOST", "a,b"), ("PGPORT", "1,2"), ("PGUSER", "u"), ("PGDATABASE", "d")];
    assert_eq!(with("//", &variables).unwrap().to_string(), "postgres://u@a:1,b:2/d");
    assert_eq!(with("//v@h:5/e", &variables).unwrap().to_string(), "postgres://v@h:5/e");
    let attrs = [("PGTARGETSESSIONATTRS", "read-write"), ("PGCONNECT_TIMEOUT", "2")];
    let url = with("//u@h/d", &attrs).unwrap();
    assert!(url.is_read_write() && url.connect_timeout() == Some(Duration::from_secs(2)));
    for (name, value) in
        [("PGSERVICE", "x"), ("PGREQUIREAUTH", "scram-sha-256"), ("PGCHANNELBINDING", "require")]
    {
        let fault = with("//u@h/d", &[(name, value)]).err().unwrap().to_string();
        assert!(fault.contains(name), "{fault}");
    }
    assert!(with("//u@h/d", &[("PGGSSENCMODE", "disable"), ("PGSERVICE", "")]).is_ok());
}

#[test]
fn ht_19_a_root_certificate_is_there_to_be_verified_against() {
    for (text, mode) in [
        ("postgres://u@h/d?sslmode=require&sslrootcert=ca.pem", "VerifyCa"),
        ("postgres://u@localhost/d?sslrootcert=ca.pem", "VerifyFull"),
        ("postgres://u@h/d?sslmode=allow", "Prefer"),
    ] {
        assert_eq!(format!("{:?}", parse(text).unwrap().hosts[0].get_ssl_mode()), mode, "{text}");
    }
}

#[test]
fn ht_19_a_remote_database_has_to_authenticate() {
    for (text, mode) in [
        ("postgres://u@db.example/d", "VerifyFull"),
        ("postgres://u@10.0.0.7/d", "VerifyFull"),
        ("postgres://u@db.example/d?sslmode=disable", "Disable"),
        ("postgres://u@db.example/d?sslmode=require", "Require"),
        ("postgres://u@localhost/d", "Prefer"),
        ("postgres://u@127.0.0.1/d", "Prefer"),
        ("postgres://u@[::1]/d", "Prefer"),
        ("postgres:///d?host=/run/pg", "Prefer"),
    ] {
        assert_eq!(format!("{:?}", parse(text).unwrap().hosts[0].get_ssl_mode()), mode, "{text}");
    }
    assert!(parse("postgres://u@db.example/d?sslmode=prefer").unwrap().is_in_the_clear());
    assert!(!parse("postgres://u@localhost/d?sslmode=disable").unwrap().is_in_the_clear());
    assert!(!parse("postgres://u@db.example/d").unwrap().is_in_the_clear());
}
