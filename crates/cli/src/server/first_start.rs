//! Prepares an empty store: a signing key, and one client, whose credential is printed once or comes from a variable.

use crate::clock;
use crate::failure::wrong_usage;
use crate::input::SecretVariable;
use crate::issuer_names::Names;
use crate::output::facts;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{ClientId, KeyDevice, Rights, Secret};
use tokenberg_service::devices;
use tokenberg_store::{NewSecret, SecretStrength, Snapshot, Store};

/// A credential that was generated, to be shown once.
pub(crate) struct FirstCredential {
    pub(crate) client_id: ClientId,
    pub(crate) secret: Secret,
}

/// The credential of the first client that the operator gave, if one was given.
pub(crate) struct Given(Option<(ClientId, Secret)>);

impl Given {
    /// Reads the variable.
    ///
    /// # Errors
    /// If its value is invalid.
    pub(crate) fn read() -> anyhow::Result<Self> {
        given().map(Self)
    }

    /// Whether the operator expects that there is no store yet.
    pub(crate) fn expects_new_store(&self) -> bool {
        self.0.is_some()
    }
}

/// Creates the first key, in the device if there is one, and the first client, if the store had neither when it was read, and still has neither.
/// `warn` receives what the operator should know.
///
/// # Errors
/// If the store fails.
pub(crate) async fn prepare(
    store: &Store,
    device: Option<&dyn KeyDevice>,
    as_read: &Snapshot,
    given: Given,
    algorithm: Algorithm,
    warn: impl Fn(&str),
) -> anyhow::Result<Option<FirstCredential>> {
    // Checked first, so that an ordinary start writes nothing.
    if !as_read.keys().is_empty() {
        if as_read.clients() == 0 {
            warn("no client is registered yet; `tokenberg client add` registers one");
        }
        if given.expects_new_store() {
            let name = SecretVariable::BootstrapCredential.name();
            warn(&format!(
                "{name} is not used, because the store exists; remove it: on PostgreSQL, a server with it makes a new store in an empty \
                 database"
            ));
        }
        return Ok(None);
    }
    let now = clock::now()?;
    let key = devices::generate(device, algorithm, now).await?;
    let (client_id, secret) = match given.0 {
        Some((client_id, secret)) => (client_id, NewSecret::Chosen(secret)),
        None => ("root".parse()?, NewSecret::Generate),
    };
    let done = store.bootstrap(now, &key, &client_id, &Rights::new(AllowedScope::Every), secret).await;
    if !done.as_ref().is_ok_and(|done| done.key_added) {
        devices::discard(device, &key).await;
    }
    let done = done?;
    if done.key_added {
        tracing::info!(kid = key.id.as_str(), alg = key.algorithm.as_str(), "created the first signing key");
    }
    let Some(added) = done.root else { return Ok(None) };
    tracing::info!(client = client_id.as_str(), "created the first client, which may request every scope");
    for sentence in Names::new(as_read.issuers_in_order()).of_client(&client_id) {
        warn(&sentence);
    }
    if added.strength == SecretStrength::Weak {
        warn(&format!(
            "the secret in {} is short enough to be guessed; a generated secret has 256 random bits",
            SecretVariable::BootstrapCredential.name()
        ));
    }
    Ok(added.secret.map(|secret| FirstCredential { client_id, secret }))
}

/// The credential that the operator gave: the identifier ends at the first colon.
fn given() -> anyhow::Result<Option<(ClientId, Secret)>> {
    let variable = SecretVariable::BootstrapCredential;
    let Some(text) = variable.read()? else { return Ok(None) };
    let (id, secret) = text
        .expose()
        .split_once(':')
        .ok_or_else(|| wrong_usage(format!("{} must have the form ID:SECRET", variable.name())))?;
    let id = id.parse().map_err(|fault| wrong_usage(format!("{}: {fault}", variable.name())))?;
    Ok(Some((id, Secret::new(secret.to_owned()))))
}

impl FirstCredential {
    /// The credential for people, with a command that obtains a token with it.
    pub(crate) fn text(&self, token_endpoint: &str) -> String {
        let known = facts(&[
            ("client id", self.client_id.to_string()),
            ("client secret", self.secret.expose().to_owned()),
        ]);
        format!(
            "\nThis store is new. Its first client may request every scope. Its secret is shown only once:\n\n{known}\n\
             Request a token:\n\n\
             curl -sS -d grant_type=client_credentials -d client_id={0} -d client_secret={1} {token_endpoint}\n\n\
             If the secret is lost: tokenberg client secret add {0}\n\n",
            self.client_id,
            self.secret.expose()
        )
    }
}
