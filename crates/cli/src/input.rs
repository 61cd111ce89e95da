//! Reads secrets and tokens from files, standard input and variables, never from arguments: conformance SE-04.

use crate::failure::note;
use anyhow::Context;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use tokenberg_core::Secret;
use zeroize::Zeroizing;

/// The size limit of a secret, token, form or key file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// If the file cannot be read or is larger than one megabyte; the error names the file, never its content.
pub(crate) fn bytes(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if path.as_os_str() == OsStr::new("-") {
        return read(io::stdin().lock()).context("cannot read standard input");
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    read(file).with_context(|| format!("cannot read {}", path.display()))
}

fn read(from: impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= LARGEST, "it is larger than {LARGEST} bytes");
    Ok(bytes)
}

/// The mode of a key file that other users can access; `None` for `-`, and for a file that cannot be found.
pub(crate) fn open_to_others(path: &Path) -> Option<u32> {
    let is_file = path.as_os_str() != OsStr::new("-");
    let about = is_file.then(|| std::fs::metadata(path).ok()).flatten()?;
    tokenberg_store::open_to_others(&about)
}

/// The text without one line end, `\n` or `\r\n`: editors and `echo` append one that does not belong to the secret.
pub(crate) fn without_line_end(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

/// Reads an argument whose variable may be filled from a secret as well, without one line end.
///
/// # Errors
/// None; clap requires this signature.
pub(crate) fn line<T: for<'text> From<&'text str>>(text: &str) -> Result<T, Infallible> {
    Ok(without_line_end(text).into())
}

/// The content as a secret, without one line end.
///
/// # Errors
/// If the file cannot be read, or is not text.
pub(crate) fn secret(path: &Path) -> anyhow::Result<Secret> {
    announce(path, "secret");
    let bytes = bytes(path)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| anyhow::anyhow!("{} is not UTF-8 text", name(path)))?;
    Ok(Secret::new(without_line_end(text).to_owned()))
}

/// The content as a token: without whitespace around it, since no token has any.
///
/// # Errors
/// If the file cannot be read, is not text, or is empty.
pub(crate) fn token(path: &Path) -> anyhow::Result<Secret> {
    announce(path, "token");
    let bytes = bytes(path)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| anyhow::anyhow!("{} is not UTF-8 text", name(path)))?;
    anyhow::ensure!(!text.trim_ascii().is_empty(), "{} contains no token", name(path));
    Ok(Secret::new(text.trim_ascii().to_owned()))
}

/// Prints what the command waits for, if a person has to type it.
fn announce(path: &Path, what: &str) {
    if path.as_os_str() == OsStr::new("-") && io::stdin().is_terminal() {
        note(&format!("reading a {what} from standard input: paste it, press Enter and then Ctrl-D"));
    }
}

/// The name of the file in messages.
pub(crate) fn name(path: &Path) -> String {
    if path.as_os_str() == OsStr::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// A variable that holds a secret. There is no flag for it, because every user of the machine can read arguments.
#[derive(Clone, Copy)]
pub(crate) enum SecretVariable {
    /// The key that the store is sealed with.
    Key,
    /// The credential of the first client of a new store.
    BootstrapCredential,
    /// The client secret of `tokenberg token`.
    ClientSecret,
}

impl SecretVariable {
    /// All secret variables.
    pub(crate) const ALL: [Self; 3] = [Self::Key, Self::BootstrapCredential, Self::ClientSecret];

    /// The name of the variable.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "TOKENBERG_KEY",
            Self::BootstrapCredential => "TOKENBERG_BOOTSTRAP_CREDENTIAL",
            Self::ClientSecret => "TOKENBERG_CLIENT_SECRET",
        }
    }

    /// The value without one line end; an empty one counts as absent.
    ///
    /// # Errors
    /// If the value is not text; the error names the variable only.
    pub(crate) fn read(self) -> anyhow::Result<Option<Secret>> {
        match std::env::var(self.name()) {
            Ok(mut text) => {
                // Truncated in place, so that no copy of the secret stays in memory.
                text.truncate(without_line_end(&text).len());
                Ok((!text.is_empty()).then(|| Secret::new(text)))
            }
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                anyhow::bail!("the variable {} is not UTF-8 text", self.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_04_exactly_one_trailing_line_end_is_removed_from_a_secret() {
        for (text, secret) in [
            ("s", "s"),
            ("s\n", "s"),
            ("s\r\n", "s"),
            ("s\n\n", "s\n"),
            ("s\r\n\r\n", "s\r\n"),
            ("s\r", "s\r"),
            ("s\r\r\n", "s\r"),
            ("\ns ", "\ns "),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text), secret, "{text:?}");
        }
    }
}
