//! One request, and what it is answered from: for commands that decide about it without HTTP.

use crate::blocking::BlockingBackends;
use crate::common::Common;
use crate::input;
use crate::issuer_keys::{self, IssuerAccess};
use crate::store_access::{StoreLocation, runtime};
use clap::{ArgAction, Args};
use ring::rand::{SecureRandom, SystemRandom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokenberg_core::{Answers, Blocking, Entropy, Issuer, Policy, Request, Secret, Timestamp, TokenEndpoint};
use tokenberg_jose::{FetchLimits, Keyring};
use zeroize::Zeroizing;

/// The request, and under which policy it is decided.
#[derive(Debug, Args)]
pub(crate) struct OneRequest {
    /// File with the value of the Authorization header
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,

    /// File with the value of the DPoP header
    #[arg(long, value_name = "FILE")]
    dpop_file: Option<PathBuf>,

    /// Issuer of the token, as for `serve --issuer`
    #[arg(long, value_name = "URL", env = "TOKENBERG_ISSUER", default_value = "http://127.0.0.1:8183")]
    issuer: Issuer,

    /// Send only the six error codes of Iceberg's specification, as for `serve --strict-iceberg-errors`
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_STRICT_ICEBERG_ERRORS", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true")]
    strict_iceberg_errors: bool,

    #[command(flatten)]
    issuer_access: IssuerAccess,
}

/// The request that was read.
pub(crate) struct Sent {
    authorization: Option<Secret>,
    dpop: Option<Secret>,
    body: Zeroizing<Vec<u8>>,
}

impl OneRequest {
    /// Reads the request: its headers from files, its body from standard input.
    ///
    /// # Errors
    /// If a file or standard input cannot be read.
    pub(crate) fn read(&self) -> anyhow::Result<Sent> {
        let header = |file: &Option<PathBuf>| file.as_deref().map(input::secret).transpose();
        let (authorization, dpop) = (header(&self.authorization_file)?, header(&self.dpop_file)?);
        let mut body = input::bytes(Path::new("-"))?;
        // A line end that a shell or an editor appends is not part of the form.
        if body.last() == Some(&b'\n') {
            body.pop();
        }
        Ok(Sent { authorization, dpop, body })
    }

    /// Opens the store and calls `decide` with its state at `now`. Unless `uses` it, the store is only read.
    ///
    /// # Errors
    /// If the store cannot be read, or `decide` fails.
    pub(crate) fn answered<T>(
        &self,
        common: &Common,
        now: Timestamp,
        uses: bool,
        decide: impl FnOnce(&dyn Answers, &dyn Blocking) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let location = StoreLocation::of(common)?;
        let keys = issuer_keys::held(&self.issuer_access, FetchLimits::default(), Arc::default())?;
        let runtime = runtime()?;
        let watched = runtime.block_on(async {
            let store = if uses { location.open_existing().await? } else { location.open_to_read().await? };
            anyhow::Ok(store.watch(move |keys, _: Option<&Keyring>| Keyring::read(keys, now)).await?)
        })?;
        let moment = watched.now();
        decide(&*moment, &BlockingBackends::new(&runtime, &watched, &keys))
    }

    /// The endpoint that decides.
    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        let mut policy = Policy::new(self.issuer.clone());
        policy.strict_iceberg_errors = self.strict_iceberg_errors;
        TokenEndpoint::new(policy)
    }
}

impl Sent {
    /// Calls `decide` with the request.
    pub(crate) fn as_request<T>(&self, decide: impl FnOnce(&Request<'_>) -> T) -> T {
        let (authorization, dpop) = (values(self.authorization.as_ref()), values(self.dpop.as_ref()));
        let body = &*self.body;
        decide(&Request { authorization: &authorization, dpop: &dpop, body, ..Request::default() })
    }
}

fn values(header: Option<&Secret>) -> Vec<&[u8]> {
    header.iter().map(|value| value.expose().as_bytes()).collect()
}

/// Random bits for the identifier of a token.
///
/// # Errors
/// If the operating system provides none.
pub(crate) fn entropy() -> anyhow::Result<Entropy> {
    let mut bits = [0; 16];
    SystemRandom::new()
        .fill(&mut bits)
        .map_err(|_| anyhow::anyhow!("the operating system provides no random numbers"))?;
    Ok(Entropy::from_bits(bits))
}
