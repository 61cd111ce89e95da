//! Where the password of PostgreSQL comes from. Files are read at each connect, so that a password can be rotated.

use crate::private_file::open_to_others;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The size limit of a password file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The source of the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// The URL or `PGPASSWORD`.
    Fixed(Zeroizing<String>),
    /// A file that contains nothing else, with or without a line end.
    File(PathBuf),
    /// A file in the format of libpq's `.pgpass`; `None` if the home directory is unknown.
    Passfile(Option<PathBuf>),
}

/// The user of a database server, whom a line of a password file names.
pub(crate) struct Account<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) password: Option<Zeroizing<String>>,
    /// Why there is no password, for the error if the server asks for one.
    pub(crate) why_none: String,
}

impl PasswordSource {
    pub(crate) fn new(password: Option<Zeroizing<String>>, passfile: Option<PathBuf>) -> Self {
        let in_home = || Some(std::env::home_dir()?.join(".pgpass"));
        password.map_or_else(|| Self::Passfile(passfile.or_else(in_home)), Self::Fixed)
    }

    /// Reads the password now.
    pub(crate) fn read(&self, account: &Account<'_>) -> Found {
        let found = match self {
            Self::Fixed(password) => Ok(Some(password.clone())),
            Self::File(path) => read(path).map(|text| {
                let text = text
                    .strip_suffix('\n')
                    .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
            }),
            Self::Passfile(None) => Ok(None),
            Self::Passfile(Some(path)) => read(path).map(|text| {
                let mut lines = text.lines().filter(|line| !line.starts_with('#'));
                lines.find_map(|line| of_line(line, account))
            }),
        };
        let missing = match self {
            Self::Fixed(_) => "no password was given".to_owned(),
            Self::File(path) => format!("no password was given: {} is empty", path.display()),
            Self::Passfile(_) => format!(
                "no password was given: neither the URL, PGPASSWORD nor --store-password-file has one, and the password file{} \
                 has no line for it",
                self.path().map_or_else(String::new, |path| format!(" {}", path.display()))
            ),
        };
        match found {
            Ok(password) => Found { password, why_none: missing },
            Err(why_none) => Found { password: None, why_none: format!("no password was given: {why_none}") },
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Fixed(_) => None,
            Self::File(path) => Some(path),
            Self::Passfile(path) => path.as_deref(),
        }
    }
}

/// The text of a file that only its owner may read.
fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let cannot = |error: std::io::Error| format!("cannot read the password file {}: {error}", path.display());
    let file = File::open(path).map_err(cannot)?;
    if let Some(mode) = open_to_others(&file.metadata().map_err(cannot)?) {
        let path = path.display();
        return Err(format!(
            "the password file {path} is ignored, because it has mode {mode:04o} and other users may read it; run: chmod 600 {path}"
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST).read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

/// The password of a line `HOST:PORT:DATABASE:USER:PASSWORD`, if it is for the account. `*` matches everything, and a backslash
/// precedes a colon or a backslash that belongs to a field.
fn of_line(line: &str, account: &Account<'_>) -> Option<Zeroizing<String>> {
    let (mut fields, mut rest) = (Vec::new(), line);
    while fields.len() < 4 {
        let (field, after) = split_field(rest)?;
        fields.push(field);
        rest = after;
    }
    let port = account.port.to_string();
    let expected = [account.host, &port, account.database, account.user];
    let is_match = fields.iter().zip(expected).all(|(field, expected)| **field == "*" || **field == expected);
    is_match.then(|| split_field(rest).map_or_else(|| unescaped(rest), |(password, _)| password))
}

/// The text before the first colon without a backslash before it, and the text after it.
fn split_field(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    Some((unescaped(&text[..end]), &text[end + 1..]))
}

fn unescaped(text: &str) -> Zeroizing<String> {
    let mut unescaped = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        unescaped.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Account<'static> = Account { host: "db.example", port: 5432, database: "d", user: "u" };

    #[test]
    fn a_line_of_a_password_file_is_read_as_libpq_reads_it() {
        for (line, password) in [
            ("db.example:5432:d:u:hush", Some("hush")),
            ("*:*:*:*:hush", Some("hush")),
            ("*:*:*:u:hu\\:sh\\\\", Some("hu:sh\\")),
            ("*:*:*:u:hush:rest", Some("hush")),
            ("*:*:*:u:hush ", Some("hush ")),
            ("*:*:*:u:", Some("")),
            ("db.example:5433:d:u:hush", None),
            ("db\\.example:5432:d:u:hush", Some("hush")),
            ("*:*:*:other:hush", None),
            ("*:*:*:u", None),
            ("", None),
        ] {
            assert_eq!(of_line(line, &ACCOUNT).as_deref().map(String::as_str), password, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_password_file_that_others_may_read_is_ignored_and_named_with_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        std::fs::write(&path, "# comment\nother:*:*:*:no\n*:*:*:u:hush\n").unwrap();
        let source = PasswordSource::new(None, Some(path.clone()));
        for (mode, is_read) in [(0o600, true), (0o644, false), (0o666, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = source.read(&ACCOUNT);
            assert_eq!(found.password.is_some(), is_read);
            let mode = format!("{mode:04o}");
            let is_named = found.why_none.contains(&mode) && found.why_none.contains("pgpass");
            assert_eq!(is_named, !is_read, "{}", found.why_none);
        }
        std::fs::write(&path, "hush\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let found = PasswordSource::File(path.clone()).read(&ACCOUNT);
        assert_eq!(found.password.as_deref().map(String::as_str), Some("hush"));
        std::fs::remove_file(&path).unwrap();
        let found = PasswordSource::File(path).read(&ACCOUNT);
        assert!(found.password.is_none() && found.why_none.contains("pgpass"), "{}", found.why_none);
    }
}
