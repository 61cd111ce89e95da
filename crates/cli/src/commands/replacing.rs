//! Replaces what the options of `client change`, `issuer change` and `login` name; everything else stays.

use crate::failure::wrong_usage;

/// Replaces a value if the option names one.
pub(crate) fn replace<T>(there: &mut T, named: Option<T>) {
    if let Some(named) = named {
        *there = named;
    }
}

/// Replaces a list if the option names one, or clears it.
///
/// # Errors
/// If both are given.
pub(crate) fn replace_list<T>(
    there: &mut Vec<T>,
    named: Vec<T>,
    is_cleared: bool,
    flag: &str,
) -> anyhow::Result<()> {
    if is_cleared && !named.is_empty() {
        return Err(given_and_cleared(flag));
    }
    if is_cleared || !named.is_empty() {
        *there = named;
    }
    Ok(())
}

/// The error for an option that is given and cleared.
pub(crate) fn given_and_cleared(flag: &str) -> anyhow::Error {
    wrong_usage(format!("{flag} is both given and in --clear: omit one of them"))
}
