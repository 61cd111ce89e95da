//! Warns of a scope with commas: the values of other options are separated by them, those of a scope by spaces (RFC 6749 §3.3).

use crate::failure::warn;
use tokenberg_core::Scope;

/// Warns if a scope-token contains a comma, which is allowed and rarely intended.
pub(super) fn warn_of_commas(scope: Option<&Scope>) {
    for token in scope.into_iter().flat_map(Scope::tokens).filter(|token| token.contains(',')) {
        warn(&format!(
            "{token:?} is one scope with a comma in its name; separate scopes by spaces: {:?}",
            token.split(',').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        ));
    }
}
