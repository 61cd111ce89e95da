//! Checks who may read files that hold a secret, and creates them; conformance KS-07.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Returns the mode of a file that others may use, and `None` if only its owner may.
///
/// The rule is that of PostgreSQL for `ssl_key_file`: `0600` or less, and `0640` or less where root owns the file. So root can give
/// a file to the group of a service, as Kubernetes does with `fsGroup`. A file that its group may write, or that others than owner
/// and group may read, is open to others, with any owner. On systems without such modes, no file is.
#[cfg(unix)]
#[must_use]
pub fn open_to_others(about: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let mode = about.mode() & 0o7777;
    is_open(about.uid(), mode).then_some(mode)
}

#[cfg(not(unix))]
#[must_use]
pub fn open_to_others(_: &Metadata) -> Option<u32> {
    None
}

/// Makes only the owner able to read and write a file that is created with these options.
pub(crate) fn owners_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The path with something appended to its name.
pub(crate) fn sibling(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Makes the name of a new file durable, not only its content.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn is_open(owner: u32, mode: u32) -> bool {
    const ROOT: u32 = 0;
    let refused = if owner == ROOT { 0o037 } else { 0o077 };
    mode & refused != 0
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ks_07_a_group_may_read_what_root_owns_and_nothing_else() {
        for (mode, of_root, of_others) in [
            (0o600, false, false),
            (0o400, false, false),
            (0o000, false, false),
            (0o700, false, false),
            (0o640, false, true),
            (0o440, false, true),
            // As with a sticky or setgid bit, which Kubernetes sets on volumes.
            (0o2640, false, true),
            (0o660, true, true),
            (0o620, true, true),
            (0o650, true, true),
            (0o644, true, true),
            (0o604, true, true),
            (0o602, true, true),
            (0o601, true, true),
            (0o666, true, true),
        ] {
            assert_eq!(is_open(0, mode), of_root, "{mode:o} of root");
            for owner in [1, 1000, 65532, u32::MAX] {
                assert_eq!(is_open(owner, mode), of_others, "{mode:o} of {owner}");
            }
        }
    }
}
