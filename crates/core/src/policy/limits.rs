//! The ceilings of a grant by party, for the log of a refusal and for explanations.

use crate::registration::AllowedScope;
use crate::{ClientId, Excerpt, Issuer, Scope};

/// A party of a request, and which of its rights limits the grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// The client that made the request, as it is registered now.
    Client(ClientId),
    /// The subject token, which is ours.
    SubjectToken,
    /// The rights that the subject's issuer gives it here.
    SubjectIssuer(Issuer),
    /// The actor token, which is ours.
    ActorToken,
    /// The rights that the actor's issuer gives it here.
    ActorIssuer(Issuer),
    /// The subject as it is registered now, where it is a client of ours.
    Principal(ClientId),
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "the registration of client {id}"),
            Self::SubjectToken => f.write_str("the subject token"),
            Self::SubjectIssuer(issuer) => write!(f, "the registration of issuer {issuer} for the subject"),
            Self::ActorToken => f.write_str("the actor token"),
            Self::ActorIssuer(issuer) => write!(f, "the registration of issuer {issuer} for the actor"),
            Self::Principal(id) => write!(f, "the registration of the subject {id}"),
        }
    }
}

/// What one party allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling<T> {
    /// Whose it is.
    pub party: Party,
    /// What is within it.
    pub allowed: T,
}

/// The scope that one party allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeCeiling {
    /// What is registered, and `catalog`.
    Registered(AllowedScope),
    /// Exactly the scope that the party holds.
    Held(Scope),
}

/// The scope that each party allows; the result is within all of them.
pub type ScopeCeilings = Vec<Ceiling<ScopeCeiling>>;

/// The audience that each party allows; the result is within all of them.
pub type AudienceCeilings = Vec<Ceiling<Vec<Box<str>>>>;

/// The ceilings of a request that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of scope.
    pub scope: ScopeCeilings,
    /// Of audience.
    pub audience: AudienceCeilings,
}

impl Ceiling<ScopeCeiling> {
    /// Whether this party allows the scope-token.
    #[must_use]
    pub fn allows(&self, token: &str) -> bool {
        match &self.allowed {
            ScopeCeiling::Registered(registered) => registered.allows(token),
            ScopeCeiling::Held(scope) => scope.contains(token),
        }
    }

    /// Whether this party allows no scope at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.allowed {
            ScopeCeiling::Registered(_) => false,
            ScopeCeiling::Held(scope) => scope.is_empty(),
        }
    }

    /// The scope-tokens that this party allows; `None` if that is every one.
    fn listed(&self) -> Option<Scope> {
        match &self.allowed {
            ScopeCeiling::Registered(AllowedScope::Every) => None,
            ScopeCeiling::Registered(AllowedScope::Only(scope)) => Some(Scope::catalog().union(scope)),
            ScopeCeiling::Held(scope) => Some(scope.clone()),
        }
    }
}

impl Ceiling<Vec<Box<str>>> {
    /// Whether this party allows the target.
    #[must_use]
    pub fn allows(&self, target: &str) -> bool {
        self.allowed.iter().any(|known| **known == *target)
    }
}

/// More scope-tokens than this are not named one by one.
const MOST_NAMED: usize = 8;

/// The longest list of scope-tokens that is written whole, in bytes.
const LONGEST_LIST: usize = 512;

/// The scope that all parties allow, as the end of a sentence: each of its scope-tokens, or a statement that all are allowed.
pub(crate) fn allowed_by_all(ceilings: &ScopeCeilings) -> String {
    if ceilings.iter().all(|ceiling| ceiling.listed().is_none()) {
        return "every scope".to_owned();
    }
    scope_text(&scope_within_all(ceilings))
}

/// The scope that all of these parties allow; `catalog` if each of them allows every scope.
pub(crate) fn scope_within_all<'a>(
    ceilings: impl IntoIterator<Item = &'a Ceiling<ScopeCeiling>, IntoIter: Clone>,
) -> Scope {
    let ceilings = ceilings.into_iter();
    let bounded = ceilings.clone().find_map(Ceiling::listed).unwrap_or_else(Scope::catalog);
    bounded.retain(|token| ceilings.clone().all(|ceiling| ceiling.allows(token)))
}

fn scope_text(scope: &Scope) -> String {
    let text = scope.as_str();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    if text.len() <= LONGEST_LIST {
        return format!("{text:?}");
    }
    let end = text[..LONGEST_LIST].rfind(' ').unwrap_or(LONGEST_LIST);
    format!("\"{} …\" ({} scope-tokens)", &text[..end], scope.tokens().count())
}

/// Which party lacks which of the scope-tokens, as the end of a sentence; of no scope-tokens, what each party allows.
pub(crate) fn lacking_scope(refused: &Scope, ceilings: &ScopeCeilings) -> String {
    if refused.is_empty() {
        let allowed = ceilings.iter().map(|ceiling| {
            let scope = ceiling.listed().map_or_else(|| "every scope".to_owned(), |scope| scope_text(&scope));
            format!("{} allows {scope}", ceiling.party)
        });
        return bracketed(&allowed.collect::<Vec<_>>());
    }
    let lacking = refused.tokens().take(MOST_NAMED).filter_map(|token| {
        named(
            &Excerpt::of_claim(token),
            ceilings.iter().filter(|ceiling| !ceiling.allows(token)).map(|c| &c.party),
        )
    });
    bracketed(&lacking.collect::<Vec<_>>())
}

/// The same for a target.
pub(crate) fn lacking_target(refused: Option<&str>, ceilings: &AudienceCeilings) -> String {
    let Some(target) = refused else {
        let allowed = ceilings.iter().map(|ceiling| {
            let targets = Excerpt::of_list(ceiling.allowed.iter().map(AsRef::as_ref));
            format!("{} allows {targets}", ceiling.party)
        });
        return bracketed(&allowed.collect::<Vec<_>>());
    };
    let lacking = named(
        &Excerpt::of_parameter(target),
        ceilings.iter().filter(|ceiling| !ceiling.allows(target)).map(|c| &c.party),
    );
    bracketed(&lacking.into_iter().collect::<Vec<_>>())
}

fn named<'a>(what: &Excerpt, parties: impl Iterator<Item = &'a Party>) -> Option<String> {
    let parties: Vec<String> = parties.map(ToString::to_string).collect();
    let what = what.to_plain();
    (!parties.is_empty()).then(|| format!("{what} is not in {}", parties.join(" nor in ")))
}

fn bracketed(parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}
