//! Parsers of values whose messages say how the value is written.

use serde::{Serialize, Serializer};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use tokenberg_actix::BasePathFault;

/// Parses a whole number in the range.
pub(crate) fn whole_number(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let wrong = || format!("expected a whole number from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wrong)
    }
}

/// Parses the address of a listener.
///
/// # Errors
/// If the text is no IP address with a port.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = "expected an IP address and a port, such as 127.0.0.1:8183 or [::1]:8183";
    text.parse().map_err(|_| wrong.to_owned())
}

/// Parses a path before all routes; a single slash is refused.
///
/// # Errors
/// If it is not a valid path.
pub(crate) fn base_path(text: &str) -> Result<String, BasePathFault> {
    let text = if text == "/" { "" } else { text };
    tokenberg_actix::check_base_path(text).map(|()| text.to_owned())
}

/// Serializes a path, also one that is not UTF-8.
pub(crate) fn path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}
