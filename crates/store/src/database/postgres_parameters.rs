//! The parameters of a PostgreSQL connection by their names in libpq, from the URL and from the variables `PG…`.

use crate::database::url_error::StoreUrlError;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The parameters that are supported, each with the variable that supplies it if the URL does not. sqlx itself reads the two
/// variables of `application_name` and `options`.
const SUPPORTED: [(&str, &str); 16] = [
    ("application_name", ""),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("options", ""),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("statement-cache-capacity", ""),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("user", "PGUSER"),
];

/// A parameter of libpq that has no effect here: its name, its variable, the values that ask for nothing else than what happens
/// anyway, and what to do instead.
type Unsupported = (&'static str, &'static str, &'static [&'static str], &'static str);

const LIMITS: &str = "the limits for a server that does not answer are fixed";
const VERIFY: &str = "sslmode=verify-full authenticates the server by its certificate";
const IN_URL: &str = "write the settings into the URL";
const NONE: &str = "remove it";

const UNSUPPORTED: [Unsupported; 29] = [
    ("channel_binding", "PGCHANNELBINDING", &["disable", "prefer"], VERIFY),
    (
        "client_encoding",
        "PGCLIENTENCODING",
        &["auto", "utf8", "UTF8", "UTF-8"],
        "the encoding is always UTF8",
    ),
    ("gssdelegation", "PGGSSDELEGATION", &["0"], NONE),
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer"], "use sslmode"),
    ("gsslib", "PGGSSLIB", &[], NONE),
    ("keepalives", "", &["0"], LIMITS),
    ("keepalives_count", "", &[], LIMITS),
    ("keepalives_idle", "", &[], LIMITS),
    ("keepalives_interval", "", &[], LIMITS),
    ("krbsrvname", "PGKRBSRVNAME", &[], NONE),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", &["disable"], "hosts are tried in the given order"),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"], NONE),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"], NONE),
    ("replication", "", &["0", "false", "no", "off"], NONE),
    ("require_auth", "PGREQUIREAUTH", &[], VERIFY),
    ("requirepeer", "PGREQUIREPEER", &[], NONE),
    ("requiressl", "PGREQUIRESSL", &["0"], "use sslmode"),
    ("service", "PGSERVICE", &[], IN_URL),
    ("servicefile", "PGSERVICEFILE", &[], IN_URL),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"], "TLS 1.2 and 1.3 are used"),
    (
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "TLS 1.2 and 1.3 are used",
    ),
    ("sslcertmode", "PGSSLCERTMODE", &["allow"], NONE),
    ("sslcompression", "PGSSLCOMPRESSION", &["0"], NONE),
    ("sslcrl", "PGSSLCRL", &[], NONE),
    ("sslcrldir", "PGSSLCRLDIR", &[], NONE),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres"], NONE),
    ("sslpassword", "", &[], "decrypt the key of sslkey"),
    ("sslsni", "PGSSLSNI", &["1"], NONE),
    ("tcp_user_timeout", "", &["0"], LIMITS),
];

/// The values of the supported parameters.
#[derive(Default)]
pub(super) struct Parameters(BTreeMap<&'static str, Zeroizing<String>>);

impl Parameters {
    /// What the variables supply. Refuses variables of libpq that would have no effect.
    pub(super) fn of_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, StoreUrlError> {
        let value =
            |name: &str| if name.is_empty() { None } else { variable(name).filter(|v| !v.is_empty()) };
        for (_, name, harmless, instead) in UNSUPPORTED {
            if value(name).is_some_and(|value| !harmless.contains(&value.as_str())) {
                return Err(StoreUrlError::PostgresUnsupported { name, instead });
            }
        }
        let supplied =
            SUPPORTED.into_iter().filter_map(|(name, of)| Some((name, Zeroizing::new(value(of)?))));
        Ok(Self(supplied.collect()))
    }

    /// Sets a parameter of the URL.
    pub(super) fn set(&mut self, name: &str, value: Zeroizing<String>) -> Result<(), StoreUrlError> {
        if let Some((name, _, harmless, instead)) = UNSUPPORTED.into_iter().find(|row| row.0 == name) {
            let is_harmless = harmless.contains(&value.as_str());
            return is_harmless.then_some(()).ok_or(StoreUrlError::PostgresUnsupported { name, instead });
        }
        let (name, _) =
            SUPPORTED.into_iter().find(|row| row.0 == name).ok_or(StoreUrlError::PostgresParameter)?;
        self.0.insert(name, value);
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        self.0.remove(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}
