//! Unique beginnings of generated identifiers as arguments: of the `kid` of a key, and of the name of a secret.

/// The fewest characters of a beginning, so that an empty variable of a script names nothing.
const FEWEST: usize = 4;

/// The identifier that is meant: itself, or the only one that begins so. An identifier that is not found is returned unchanged, so
/// that the store reports it.
///
/// # Errors
/// If several begin so, or it is too short for a beginning.
pub(super) fn resolve<'a>(
    given: &'a str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> anyhow::Result<&'a str> {
    if known.clone().any(|id| id == given) {
        return Ok(given);
    }
    anyhow::ensure!(
        given.chars().count() >= FEWEST,
        "{given:?} is too short: give the whole ID, or at least {FEWEST} characters of its beginning"
    );
    let matching: Vec<&str> = known.filter(|id| id.starts_with(given)).collect();
    match matching.as_slice() {
        [] => Ok(given),
        [one] => Ok(one),
        [first, second, ..] => anyhow::bail!("{given} is not unique: {first} and {second} begin with it"),
    }
}

/// The shortest beginning of at least 8 characters that is unique among the known identifiers.
pub(super) fn shortened<'a, 'b>(id: &'a str, known: impl Iterator<Item = &'b str> + Clone) -> &'a str {
    let is_unique = |end: usize| {
        id.get(..end).is_some_and(|start| !known.clone().any(|other| other != id && other.starts_with(start)))
    };
    (8..id.len()).find(|end| is_unique(*end)).map_or(id, |end| &id[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_named_by_a_unique_beginning() {
        let known = ["abcdefgh1", "abcdefgh2", "abcdefgh", "xyz-1234567890"];
        let of = |given| resolve(given, known.into_iter());
        assert_eq!(of("xyz-").unwrap(), "xyz-1234567890");
        assert_eq!(of("abcdefgh").unwrap(), "abcdefgh", "an exact name is not ambiguous");
        assert!(of("abcde").unwrap_err().to_string().contains("abcdefgh1"));
        assert_eq!(of("none").unwrap(), "none");
        for short in ["", "x", "xyz"] {
            assert!(of(short).unwrap_err().to_string().contains("at least 4"), "{short}");
        }
        assert_eq!(shortened(known[3], known.into_iter()), "xyz-1234");
        assert_eq!(shortened(known[0], known.into_iter()), known[0]);
    }
}
