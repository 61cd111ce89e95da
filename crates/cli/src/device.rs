//! The device that holds signing keys, such as an HSM, by its PKCS#11 module; conformance KS-10.

use crate::configuration::values::{path, whole_number};
use crate::failure::{Mistakes, warn};
use crate::input;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tokenberg_jose::{Pkcs11, Pkcs11Options};

/// How many signatures may wait for a session, for each session.
const WAITING_FOR_A_SESSION: usize = 16;

/// The token of the device, and how the server logs in.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Signing keys in a device")]
pub(crate) struct DeviceOptions {
    /// PKCS#11 module, a shared library, of the device that holds signing keys, such as an HSM
    #[arg(long, value_name = "FILE", env = "TOKENBERG_PKCS11_MODULE")]
    #[serde(serialize_with = "path")]
    pub(crate) pkcs11_module: Option<PathBuf>,

    /// Label of the token that holds the keys
    #[arg(long, value_name = "LABEL", env = "TOKENBERG_PKCS11_TOKEN")]
    pub(crate) pkcs11_token: Option<String>,

    /// File with the PIN of the token's user
    #[arg(long, value_name = "FILE", env = "TOKENBERG_PKCS11_PIN_FILE")]
    #[serde(serialize_with = "path")]
    pub(crate) pkcs11_pin_file: Option<PathBuf>,

    /// Maximum number of sessions, each of which makes one signature at a time; fewer if the token allows fewer
    #[arg(long, value_name = "N", env = "TOKENBERG_PKCS11_SESSIONS", default_value = "64", value_parser = whole_number(1..=1024))]
    pub(crate) pkcs11_sessions: u32,
}

impl DeviceOptions {
    /// Checks that all options are given, or none.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        if let Err(sentence) = self.all() {
            mistakes.add_usage(sentence);
        }
    }

    /// Whether a device is configured.
    pub(crate) fn is_given(&self) -> bool {
        self.pkcs11_module.is_some()
    }

    /// Opens the device, if one is configured.
    ///
    /// # Errors
    /// If an option or the PIN file is missing, or the device refuses.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Pkcs11>> {
        let Some((module, token, pin_file)) = self.all().map_err(crate::failure::wrong_usage)? else {
            return Ok(None);
        };
        if let Some(mode) = input::open_to_others(pin_file) {
            warn(&format!(
                "the PIN file {} is accessible to other users (mode {mode:04o})",
                pin_file.display()
            ));
        }
        let sessions = usize::try_from(self.pkcs11_sessions).unwrap_or(1);
        let options = Pkcs11Options {
            module: module.clone(),
            token: token.as_str().into(),
            pin: input::secret(pin_file)?,
            sessions,
            waiting: sessions * WAITING_FOR_A_SESSION,
        };
        Ok(Some(Pkcs11::open(options)?))
    }

    /// Opens the device, which has to be configured.
    ///
    /// # Errors
    /// As [`DeviceOptions::open`], and if none is configured.
    pub(crate) fn required(&self) -> anyhow::Result<Pkcs11> {
        self.open()?.ok_or_else(|| {
            crate::failure::wrong_usage(
                "--pkcs11 needs the device: give --pkcs11-module, --pkcs11-token and --pkcs11-pin-file"
                    .to_owned(),
            )
        })
    }

    fn all(&self) -> Result<Option<(&PathBuf, &String, &PathBuf)>, String> {
        match (&self.pkcs11_module, &self.pkcs11_token, &self.pkcs11_pin_file) {
            (Some(module), Some(token), Some(pin)) => Ok(Some((module, token, pin))),
            (None, None, None) => Ok(None),
            (None, ..) => Err("--pkcs11-token and --pkcs11-pin-file need --pkcs11-module".to_owned()),
            (Some(_), None, _) => {
                Err("--pkcs11-module needs --pkcs11-token, the label of the token".to_owned())
            }
            (Some(_), Some(_), None) => {
                Err("--pkcs11-module needs --pkcs11-pin-file, a file with the PIN of the token's user"
                    .to_owned())
            }
        }
    }
}
