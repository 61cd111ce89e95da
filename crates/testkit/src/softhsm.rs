//! A token of SoftHSM in a directory: PKCS#11 without hardware.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian's package `libsofthsm2` and others have the module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/// The directory with a token.
pub struct SoftHsm {
    /// The module, a shared library.
    pub module: PathBuf,
    /// The file that `SOFTHSM2_CONF` of a program has to name.
    pub configuration: PathBuf,
}

impl SoftHsm {
    /// The label of the token.
    pub const TOKEN: &str = "test token";
    /// The PIN of its user.
    pub const PIN: &str = "1234-of-the-test";
    /// The name of the variable with [`SoftHsm::configuration`].
    pub const VARIABLE: &str = "SOFTHSM2_CONF";

    /// The token in this directory, which is made if it does not exist. `None`, with a message, if the machine has no SoftHSM.
    pub fn at(directory: &Path) -> Option<Self> {
        let found = MODULES.iter().find(|module| Path::new(module).exists());
        let (Some(module), Ok(_)) = (found, Command::new("softhsm2-util").arg("--version").output()) else {
            eprintln!("skipped: there is no SoftHSM (Debian: softhsm2)");
            return None;
        };
        let (configuration, tokens) = (directory.join("softhsm2.conf"), directory.join("tokens"));
        let hsm = Self { module: module.into(), configuration };
        if !tokens.exists() {
            std::fs::create_dir_all(&tokens).unwrap();
            let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
            std::fs::write(&hsm.configuration, text).unwrap();
            hsm.util(&[
                "--init-token",
                "--free",
                "--label",
                Self::TOKEN,
                "--so-pin",
                "5678-of-the-test",
                "--pin",
                Self::PIN,
            ]);
        }
        Some(hsm)
    }

    /// Imports a private key from a PKCS#8 file, with its public half.
    pub fn import(&self, pkcs8: &Path, label: &str, id: &str, more: &[&str]) {
        let (file, token) = (pkcs8.to_str().unwrap(), Self::TOKEN);
        let import = ["--import", file, "--token", token, "--pin", Self::PIN, "--label", label, "--id", id];
        self.util(&[&import, more].concat());
    }

    fn util(&self, arguments: &[&str]) {
        let mut command = Command::new("softhsm2-util");
        let done = command.args(arguments).env(Self::VARIABLE, &self.configuration).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
