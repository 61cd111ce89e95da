//! Writes a change of the model as a command.

use serde_json::Value;
use tokenberg_testkit::ISSUER;
use tokenberg_testkit::laws::{Change, Credential, Realm, Registration, Terms, Token};

/// The arguments of the commands that make the change, in their order.
pub fn commands(change: &Change, is_registered: bool, token: Option<&Token>, now: i64) -> Vec<Vec<String>> {
    let before = |ago: i64| if ago == 0 { "now".to_owned() } else { (now - ago).to_string() };
    let one = |arguments: &[&str]| vec![arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>()];
    match change {
        Change::Client { id, registration } if is_registered => vec![changed(id, registration)],
        Change::Client { id, registration } => added(id, registration),
        Change::EnableClient { id, enabled } => one(&["client", enable(*enabled), id]),
        Change::RemoveClient { id } => one(&["client", "remove", id]),
        Change::Identity { client, issuer, subject, stands } => {
            let mut federate = federate(client, issuer, subject);
            federate.extend((!stands).then(|| "--remove".to_owned()));
            vec![federate]
        }
        Change::Issuer { issuer, terms } => vec![trusted(issuer, terms)],
        Change::EnableIssuer { issuer, enabled } => one(&["issuer", enable(*enabled), issuer]),
        Change::RemoveIssuer { issuer } => one(&["issuer", "remove", issuer]),
        Change::Subject { principal, disabled, .. } => {
            let mut subject = one(&["subject", enable(!*disabled), &principal.name]);
            if let Realm::Of(issuer) = principal.realm {
                subject[0].extend(["--issuer".to_owned(), issuer.to_owned()]);
            }
            subject
        }
        Change::RevokeToken { .. } => one(&["revoke", "--token-file", "revoked.token"]),
        Change::RevokeClient { id, ago } => one(&["revoke", "--client", id, "--before", &before(*ago)]),
        Change::RevokeSubject { realm, name, ago, .. } => {
            let mut revoke = one(&["revoke", "--subject", name, "--before", &before(*ago)]);
            let issuer = realm.map(|realm| match realm {
                Realm::Of(issuer) => issuer,
                Realm::Ours | Realm::Unsecured => ISSUER,
            });
            revoke[0].extend(issuer.into_iter().flat_map(|i| ["--issuer".to_owned(), i.to_owned()]));
            revoke
        }
        Change::RevokeIssuer { issuer, ago } => {
            one(&["revoke", "--issuer", issuer, "--before", &before(*ago)])
        }
        Change::RotateKey => one(&["key", "rotate", "--now"]),
        Change::RevokeKey { .. } => one(&["key", "revoke", token.map_or("", |token| &token.key)]),
    }
}

fn enable(enabled: bool) -> &'static str {
    if enabled { "enable" } else { "disable" }
}

fn added(id: &str, registration: &Registration) -> Vec<Vec<String>> {
    let mut add = vec!["client".to_owned(), "add".to_owned(), id.to_owned()];
    let then =
        registration.identities.iter().map(|(issuer, subject)| federate(id, issuer, subject)).collect();
    match registration.credential {
        Credential::Secret => {}
        Credential::Certificate(subject) => {
            add.extend(["--auth-method", "tls_client_auth", "--tls-subject", subject].map(str::to_owned));
        }
        Credential::Key => {
            add.extend(["--auth-method", "private_key_jwt", "--jwks", "signer.jwks"].map(str::to_owned));
        }
        Credential::None => add.extend(["--auth-method", "federated"].map(str::to_owned)),
        Credential::Public => add.extend(["--auth-method", "none"].map(str::to_owned)),
    }
    if registration.dpop_bound {
        add.push("--dpop-bound".to_owned());
    }
    add.extend(rights(registration));
    [vec![add], then].concat()
}

fn federate(client: &str, issuer: &str, subject: &str) -> Vec<String> {
    ["client", "federate", client, "--issuer", issuer, "--subject", subject].map(str::to_owned).to_vec()
}

fn changed(id: &str, registration: &Registration) -> Vec<String> {
    let mut change = vec!["client".to_owned(), "change".to_owned(), id.to_owned()];
    change.extend(["--dpop-bound".to_owned(), registration.dpop_bound.to_string()]);
    change.extend(rights(registration));
    let lists = [
        ("may_act_for", registration.may_act_for.is_empty()),
        ("may_impersonate", registration.may_impersonate.is_empty()),
        ("may_assert_users", registration.may_assert_users.is_empty()),
        ("serves", registration.serves.is_empty()),
    ];
    let none: Vec<&str> = lists.into_iter().filter(|list| list.1).map(|list| list.0).collect();
    if !none.is_empty() {
        change.extend(["--clear".to_owned(), none.join(",")]);
    }
    change
}

fn rights(registration: &Registration) -> Vec<String> {
    let names = ["client_credentials", "token_exchange", "jwt_bearer"];
    let grants: Vec<&str> =
        names.into_iter().zip(registration.grants).filter(|grant| grant.1).map(|grant| grant.0).collect();
    // A client without any grant requests nothing, and the command requires one.
    let grants = if grants.is_empty() { "client_credentials".to_owned() } else { grants.join(",") };
    let mut flags = vec![
        ("--scope", registration.scope.to_owned()),
        ("--grant", grants),
        ("--token-lifetime", format!("{}s", registration.token_lifetime)),
        ("--session-lifetime", format!("{}s", registration.session_lifetime)),
    ];
    let texts = |patterns: &[tokenberg_testkit::laws::Pattern]| {
        patterns.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (flag, list) in [
        ("--audience", owned(&registration.audiences)),
        ("--may-act-for", texts(&registration.may_act_for)),
        ("--may-impersonate", texts(&registration.may_impersonate)),
        ("--may-assert-users", owned(&registration.may_assert_users)),
        ("--serves", owned(&registration.serves)),
    ] {
        flags.extend(list.into_iter().map(|value| (flag, value)));
    }
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn trusted(issuer: &str, terms: &Terms) -> Vec<String> {
    let file = format!("{}.jwks", issuer.trim_start_matches("https://"));
    let mut add: Vec<String> = [
        "issuer",
        "add",
        issuer,
        "--jwks",
        &file,
        "--leeway",
        "5s",
        "--audience",
        "everybody",
        "--scope",
        terms.scope,
        "--replace",
    ]
    .map(str::to_owned)
    .to_vec();
    if terms.names_subjects {
        add.extend(["--accept", "id_token,jwt,access_token,jwt_bearer"].map(str::to_owned));
    }
    if let Some(prefix) = terms.prefix {
        add.extend(["--subject-prefix".to_owned(), prefix.to_owned()]);
    }
    add.extend(terms.shared.then(|| "--shared-names".to_owned()));
    add.extend(terms.outlives.then(|| "--outlives-subject".to_owned()));
    add
}

/// The secret that a command printed.
pub fn secret(printed: &Value) -> Option<String> {
    printed["client_secret"].as_str().map(str::to_owned)
}

/// The time before which the command revoked what was issued, in seconds, if it printed one.
pub fn before(printed: &Value) -> Option<i64> {
    let time: jiff::Timestamp = printed["before"].as_str()?.parse().expect("a time of RFC 3339");
    Some(time.as_second())
}
