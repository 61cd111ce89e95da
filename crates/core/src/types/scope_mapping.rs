//! Grants scope to a subject by one of its claims: `CLAIM=VALUE:SCOPE`.

use super::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `CLAIM=VALUE:SCOPE`: a subject whose claim is, or contains, this value may have this scope.
///
/// The claim is a member of the payload by that name or, where there is none, a path: each dot descends into an object
/// (`realm_access.roles`). If that path does not exist, names with dots in them are tried, at each step the longest first
/// (`resource_access.my.client.roles`). `\.` is always a dot of a name, and if there is one, every other dot is a step; `\=` is an equals
/// sign of a name, `\\` a backslash.
///
/// A text matches as a whole, or by one of its words, as in `scope`; an array matches by each of its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeMapping {
    /// As it was written, with its escapes.
    claim: Box<str>,
    value: Box<str>,
    scope: Scope,
}

/// A text that is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a mapping is written CLAIM=VALUE:SCOPE, for example groups=analysts:PRINCIPAL_ROLE:analyst; a colon of the value is written \\:"
)]
pub struct ScopeMappingError;

impl std::str::FromStr for ScopeMapping {
    type Err = ScopeMappingError;
    fn from_str(text: &str) -> Result<Self, ScopeMappingError> {
        let (claim, rest) = split_unescaped(text, '=').ok_or(ScopeMappingError)?;
        let is_end = |(at, c): &(usize, char)| *c == ':' && !rest[..*at].ends_with('\\');
        let (end, _) = rest.char_indices().find(is_end).ok_or(ScopeMappingError)?;
        let value = rest[..end].replace("\\:", ":");
        let scope: Scope = rest[end + 1..].parse().map_err(|_| ScopeMappingError)?;
        if claim.is_empty() || value.is_empty() || scope.is_empty() {
            return Err(ScopeMappingError);
        }
        Ok(Self { claim: claim.into(), value: value.into(), scope })
    }
}

impl ScopeMapping {
    /// The claim that is compared, perhaps as a path with dots.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// What the mapping gives to a subject with the claim.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the mapping gives to a subject with these claims, if anything.
    #[must_use]
    pub fn scope_for(&self, claims: &Map<String, Value>) -> Option<&Scope> {
        let found = found(claims, &self.claim)?;
        let is_it = |value: &Value| match value {
            Value::String(text) => **text == *self.value || text.split(' ').any(|word| *word == *self.value),
            Value::Bool(truth) => truth.to_string() == *self.value,
            Value::Number(number) => number.to_string() == *self.value,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        // Within an array each text is one value, whatever spaces are in it.
        let matches = match found.as_array() {
            Some(many) => many.iter().any(|one| one.as_str() == Some(&self.value)),
            None => is_it(found),
        };
        matches.then_some(&self.scope)
    }
}

/// The text before and after the first such character that no backslash escapes.
fn split_unescaped(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == separator && !is_escaped {
            return Some((&text[..at], &text[at + c.len_utf8()..]));
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

/// The claim that a path leads to.
fn found<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if !path.contains('\\') {
        return at_names(claims, path);
    }
    if has_escaped_dot(path) { at_exactly(claims, path) } else { at_names(claims, &unescaped(path)) }
}

fn has_escaped_dot(path: &str) -> bool {
    let mut is_escaped = false;
    path.chars().any(|c| {
        let was_escaped = is_escaped;
        is_escaped = c == '\\' && !was_escaped;
        c == '.' && was_escaped
    })
}

/// A dot may be a step, or belong to a name.
fn at_names<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let whole = claims.get(path);
    if whole.is_some() || !path.contains('.') {
        return whole;
    }
    at_steps(claims, path).or_else(|| at_longest(claims, &path.split('.').collect::<Vec<_>>()))
}

/// Every dot is a step.
fn at_steps<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.as_object()?.get(name))
}

/// Takes at each step the longest name that is a member, and continues from there. Each object is searched at one place of the path only,
/// so the time is at most proportional to the size of the payload.
fn at_longest<'a>(claims: &'a Map<String, Value>, steps: &[&str]) -> Option<&'a Value> {
    (1..=steps.len()).rev().find_map(|length| {
        let (name, rest) = (steps[..length].join("."), &steps[length..]);
        let value = claims.get(&name)?;
        if rest.is_empty() { Some(value) } else { at_longest(value.as_object()?, rest) }
    })
}

/// Escaped dots belong to a name, and the others are steps.
fn at_exactly<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut rest = path;
    let mut object = claims;
    while let Some((name, after)) = split_unescaped(rest, '.') {
        object = object.get(&unescaped(name))?.as_object()?;
        rest = after;
    }
    object.get(&unescaped(rest))
}

fn unescaped(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    let mut characters = name.chars();
    while let Some(c) = characters.next() {
        let escaped = if c == '\\' { characters.clone().next() } else { None };
        match escaped {
            Some(escaped @ ('.' | '=' | '\\')) => {
                characters.next();
                written.push(escaped);
            }
            Some(_) | None => written.push(c),
        }
    }
    written
}

impl std::fmt::Display for ScopeMapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}:{}", self.claim, self.value.replace(':', "\\:"), self.scope)
    }
}

impl TryFrom<String> for ScopeMapping {
    type Error = ScopeMappingError;
    fn try_from(text: String) -> Result<Self, ScopeMappingError> {
        text.parse()
    }
}

impl From<ScopeMapping> for String {
    fn from(mapping: ScopeMapping) -> Self {
        mapping.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tx_42_a_mapping_gives_scope_for_exactly_its_value() {
        let claims = json!({"groups": ["analysts", "a b"], "scope": "status feed", "admin": true, "level": 3,
            "realm_access": {"roles": ["lead"]}, "dotted.name": "x", "nested": {"deep": {"x": "y"}}});
        let claims = claims.as_object().unwrap();
        for (mapping, scope) in [
            ("groups=analysts:PRINCIPAL_ROLE:analyst", Some("PRINCIPAL_ROLE:analyst")),
            ("groups=analyst:PRINCIPAL_ROLE:analyst", None),
            ("groups=a:x", None),
            ("groups=a b:x", Some("x")),
            ("scope=status:status", Some("status")),
            ("scope=status feed:both", Some("both")),
            ("scope=stat:x", None),
            ("admin=true:ns:write", Some("ns:write")),
            ("level=3:x y", Some("x y")),
            ("realm_access.roles=lead:x", Some("x")),
            ("dotted.name=x:y", Some("y")),
            ("nested.deep.x=y:z", Some("z")),
            ("nested=y:z", None),
            ("absent=y:z", None),
        ] {
            let parsed: ScopeMapping = mapping.parse().unwrap();
            assert_eq!(parsed.scope_for(claims).map(Scope::as_str), scope, "{mapping}");
            assert_eq!(parsed.to_string(), mapping);
        }
        let escaped: ScopeMapping = "g=urn\\:a\\:b:x".parse().unwrap();
        assert_eq!(
            escaped.scope_for(json!({"g": "urn:a:b"}).as_object().unwrap()).map(Scope::as_str),
            Some("x")
        );
        assert_eq!(String::from(escaped), "g=urn\\:a\\:b:x");
        for bad in ["", "a", "a=b", "=b:c", "a=:c", "a=b:", "a=b:c\"d"] {
            assert_eq!(bad.parse::<ScopeMapping>(), Err(ScopeMappingError), "{bad}");
        }
    }

    #[test]
    fn tx_42_a_claim_is_found_if_names_contain_dots() {
        let claims = json!({
            "https://idp.example/groups": ["a"],
            "https://idp.example/user": {"team": "b"},
            "https://idp.example/x?y=1": "c",
            "resource_access": {"my.client": {"roles": ["d"]}, "plain": {"roles": ["e"]}, "my": {"client": 1}},
            "a.b": {"c": "of a.b"}, "a": {"b": {"c": "of a"}, "b.d": "of b.d"},
            "p": {"q.r": {"none": 1}, "q": {"r.s": "t"}},
            "back\\slash": "f",
        });
        let claims = claims.as_object().unwrap();
        for (claim, value) in [
            ("https://idp.example/groups", "a"),
            ("https://idp\\.example/groups", "a"),
            ("https://idp.example/user.team", "b"),
            ("https://idp\\.example/user.team", "b"),
            ("https://idp.example/x?y\\=1", "c"),
            ("resource_access.my.client.roles", "d"),
            ("resource_access.my\\.client.roles", "d"),
            ("resource_access.plain.roles", "e"),
            // What worked before means what it meant: every dot a step comes before names with dots.
            ("a.b.c", "of a"),
            ("a\\.b.c", "of a.b"),
            ("a.b.d", "of b.d"),
            // A longer name that leads nowhere hides no shorter one.
            ("p.q.r.s", "t"),
            ("back\\\\slash", "f"),
            ("back\\slash", "f"),
        ] {
            let mapping = format!("{claim}={value}:x");
            let parsed: ScopeMapping = mapping.parse().unwrap();
            assert_eq!(parsed.scope_for(claims).map(Scope::as_str), Some("x"), "{mapping}");
            assert_eq!((parsed.to_string().as_str(), parsed.claim()), (mapping.as_str(), claim));
            let other: ScopeMapping = format!("{claim}=other:x").parse().unwrap();
            assert_eq!(other.scope_for(claims), None, "{mapping}");
        }
        for nowhere in [
            "resource_access\\.my\\.client\\.roles",
            "resource_access.my.client",
            "a\\.b\\.c",
            "https://idp\\.example/x?y",
            ".",
            "..",
            "a..b",
        ] {
            let parsed: ScopeMapping = format!("{nowhere}=d:x").parse().unwrap();
            assert_eq!(parsed.scope_for(claims), None, "{nowhere}");
        }
    }

    #[test]
    fn tx_42_a_path_costs_no_more_than_the_payload() {
        // Each object has the next one under every length of name that the path could mean.
        let mut value = json!("end");
        for _ in 0..12 {
            value = json!({"a": value, "a.a": 1, "a.a.a": {"x": 1}});
        }
        let path = vec!["a"; 200].join(".");
        let mapping: ScopeMapping = format!("{path}=end:x").parse().unwrap();
        assert_eq!(mapping.scope_for(value.as_object().unwrap()), None);
    }
}
