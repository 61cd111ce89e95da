//! The key-encryption key, and the file that holds it; conformance KS-07.

use crate::private_file::{open_to_others, owners_only, sync_directory};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tokenberg_core::Secret;
use zeroize::Zeroizing;

/// The key that seals the signing keys and the pepper of a store: 32 bytes, which are never in the database.
///
/// It is written as 64 hexadecimal digits, or as base64 of 32 bytes; space and newlines around it do not matter.
/// It cannot be printed, and its memory is cleared when it is dropped.
pub struct KeyEncryptionKey(Zeroizing<[u8; 32]>);

/// Where the key-encryption key comes from.
#[derive(Clone, Debug)]
pub enum KekSource {
    /// A file that is closed to others, see [`open_to_others`]. It is created while nothing in the store is sealed yet.
    File(PathBuf),
    /// The same, and a second file with the key that follows. It is read where the first does not open the store, and may be
    /// missing, so that nodes can start and go on while the key changes.
    Files {
        /// The file of the present key.
        present: PathBuf,
        /// The file of the next key.
        next: PathBuf,
    },
    /// The text of the key, as from an environment variable.
    Text(Secret),
}

/// Why there is no key-encryption key. Contains the path of the file, and nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KekError {
    /// The store is sealed, and the file does not exist.
    #[error("the key file {path} is missing; the store's keys cannot be read without it", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write it, see [`open_to_others`].
    #[error(
        "the key file {path} is open to others (mode {mode:04o}); run: chmod 600 '{path}'; or let root own it with mode 0640 or 0440, \
         as in a volume of Kubernetes with fsGroup", path = path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It does not contain a key.
    #[error("{from} does not hold 32 bytes as 64 hexadecimal digits or as base64")]
    Malformed {
        /// Where the text came from.
        from: String,
    },
    /// It cannot be read or written.
    #[error("the key file {path} cannot be {what}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `made`.
        what: &'static str,
        /// The error of the operating system.
        reason: String,
    },
    /// The operating system returned no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
}

/// Both alphabets and missing padding are accepted.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The limit for a key file, so that a wrong path does not read a gigabyte.
const LONGEST_FILE: u64 = 1024;

impl KeyEncryptionKey {
    /// 32 random bytes.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate() -> Result<Self, KekError> {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| KekError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    /// If the file is missing, holds no key, or is [open to others](open_to_others).
    pub fn from_file(path: &Path) -> Result<Self, KekError> {
        let refused = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                KekError::Missing { path: path.to_owned() }
            } else {
                KekError::File { path: path.to_owned(), what: "read", reason: error.to_string() }
            }
        };
        // Opening a pipe would wait for a writer, and a device may have no end.
        let about = fs::metadata(path).map_err(refused)?;
        if !about.is_file() {
            let kind = if about.is_dir() { "it is a directory" } else { "it is not a regular file" };
            return Err(refused(io::Error::other(kind)));
        }
        let file = File::open(path).map_err(refused)?;
        // The mode of the open file, so that it is that of the file that is read.
        if let Some(mode) = open_to_others(&file.metadata().map_err(refused)?) {
            return Err(KekError::OpenToOthers { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE as usize + 1));
        let length = file.take(LONGEST_FILE + 1).read_to_string(&mut text);
        let malformed = || KekError::Malformed { from: format!("the key file {}", path.display()) };
        match length {
            Ok(length) if length as u64 > LONGEST_FILE => Err(malformed()),
            Ok(_) => parse(&text).ok_or_else(malformed),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(malformed()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Creates a key and its file, with mode 0600. If the file exists already, or another process is faster, reads that one.
    ///
    /// The file appears with all of its content or not at all, and is on disk before this returns.
    ///
    /// # Errors
    /// If the file cannot be created, or exists and cannot be read.
    pub fn create_file(path: &Path) -> Result<Self, KekError> {
        if path.exists() {
            return Self::from_file(path);
        }
        let key = Self::generate()?;
        let mut tag = [0; 8];
        SystemRandom::new().fill(&mut tag).map_err(|_| KekError::NoRandomness)?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{:016x}.tmp", u64::from_be_bytes(tag)));
        let aside = PathBuf::from(aside);
        let linked = write_new(&aside, &key).and_then(|()| fs::hard_link(&aside, path));
        // It may not exist, and if it stays, only its owner can read it.
        let _ = fs::remove_file(&aside);
        match linked.and_then(|()| sync_directory(path)) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::from_file(path),
            Err(error) => {
                Err(KekError::File { path: path.to_owned(), what: "made", reason: error.to_string() })
            }
        }
    }

    /// Parses the key, as from an environment variable.
    ///
    /// # Errors
    /// If the text is not a key.
    pub fn from_text(text: &Secret) -> Result<Self, KekError> {
        parse(text.expose()).ok_or_else(|| KekError::Malformed { from: "the key-encryption key".to_owned() })
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl KekSource {
    /// Whether the key is in a file that does not exist yet.
    pub(crate) fn is_to_be_created(&self) -> bool {
        self.file().is_some_and(|path| fs::symlink_metadata(path).is_err())
    }

    /// Checks before a store is made that its key can be read, or its file made, so that no store without a key is left behind.
    pub(crate) fn check_before_making(&self) -> Result<(), KekError> {
        let Some(path) = self.file() else { return self.key(true).map(drop) };
        let fault = |what, reason: &str| {
            let (path, reason) = (path.to_owned(), reason.to_owned());
            Err(KekError::File { path, what, reason })
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match fs::symlink_metadata(path) {
            Ok(about) if about.is_symlink() && !path.exists() => {
                fault("read", "it is a symbolic link to a file that does not exist")
            }
            Ok(_) => KeyEncryptionKey::from_file(path).map(drop),
            Err(_) if directory.is_some_and(|directory| !directory.is_dir()) => {
                fault("made", "its directory does not exist")
            }
            Err(_) => Ok(()),
        }
    }

    /// The file of the present key, if it comes from one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Files { present: path, .. } => Some(path),
            Self::Text(_) => None,
        }
    }

    /// Reads the present key. A file is created only if nothing is sealed yet.
    pub(crate) fn key(&self, is_sealed: bool) -> Result<KeyEncryptionKey, KekError> {
        match self {
            Self::File(path) | Self::Files { present: path, .. } if is_sealed => {
                KeyEncryptionKey::from_file(path)
            }
            Self::File(path) | Self::Files { present: path, .. } => KeyEncryptionKey::create_file(path),
            Self::Text(text) => KeyEncryptionKey::from_text(text),
        }
    }

    /// Reads the next key, if its file exists.
    pub(crate) fn next_key(&self) -> Result<Option<KeyEncryptionKey>, KekError> {
        let Self::Files { next, .. } = self else { return Ok(None) };
        match KeyEncryptionKey::from_file(next) {
            Err(KekError::Missing { .. }) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Where the key comes from, for error messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Files { present, next } => {
                format!("the files {} and {}", present.display(), next.display())
            }
            Self::Text(_) => "the environment or configuration".to_owned(),
        }
    }
}

fn parse(text: &str) -> Option<KeyEncryptionKey> {
    let text = text.trim_ascii();
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(KeyEncryptionKey(bytes));
    }
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().map(Zeroizing::new)?;
    bytes.copy_from_slice(decoded.get(..32).filter(|_| decoded.len() == 32)?);
    Some(KeyEncryptionKey(bytes))
}

fn write_new(path: &Path, key: &KeyEncryptionKey) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in key.bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    text.push('\n');
    let mut file = owners_only(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
