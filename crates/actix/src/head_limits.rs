//! The limits of the head of a request; conformance HT-06.

/// The largest head, in bytes.
pub(crate) const LARGEST_HEAD: usize = 32 * 1024;

/// The most fields of a head: as many as actix decodes, which answers more with an empty body.
pub(crate) const MOST_FIELDS: usize = 96;
