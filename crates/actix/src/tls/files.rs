//! Reads the files of TLS, and tells whether their contents have changed.

use crate::tls::fault::TlsFault;
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The digests of the files' contents; `None` for a file that cannot be read.
pub(super) type Contents = [Option<Box<[u8]>>; 3];

/// The files as they are at one time.
pub(super) struct Files {
    pub(super) certificate: io::Result<Vec<u8>>,
    pub(super) key: io::Result<Vec<u8>>,
    pub(super) authorities: Option<io::Result<Vec<u8>>>,
}

impl Files {
    pub(super) fn read(certificate: &Path, key: &Path, authorities: Option<&Path>) -> Self {
        Self {
            certificate: fs::read(certificate),
            key: fs::read(key),
            authorities: authorities.map(fs::read),
        }
    }

    /// The same for regular files only: reading a pipe that is in the place of one would wait.
    pub(super) fn read_again(certificate: &Path, key: &Path, authorities: Option<&Path>) -> Self {
        let read = |path: &Path| {
            if is_regular(path) {
                return fs::read(path);
            }
            let kind =
                if path.is_dir() { "it is a directory now" } else { "it is not a regular file any more" };
            Err(io::Error::other(kind))
        };
        Self { certificate: read(certificate), key: read(key), authorities: authorities.map(read) }
    }

    pub(super) fn contents(&self) -> Contents {
        let of = |read: &io::Result<Vec<u8>>| read.as_ref().ok().map(|bytes| digest_of(bytes));
        [of(&self.certificate), of(&self.key), self.authorities.as_ref().and_then(of)]
    }
}

pub(super) fn digest_of(bytes: &[u8]) -> Box<[u8]> {
    digest(&SHA256, bytes).as_ref().into()
}

/// The content of a file, or `fault` with the reason.
pub(super) fn content(
    read: io::Result<Vec<u8>>,
    path: &Path,
    fault: impl FnOnce(PathBuf, pem::Error) -> TlsFault,
) -> Result<Vec<u8>, TlsFault> {
    read.map_err(|error| fault(path.to_owned(), pem::Error::Io(error)))
}

/// Whether the file can be read again: a pipe has its content only once, and reading it would wait.
pub(super) fn is_regular(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file())
}
