//! The fault of a claim or header member of a token: RFC 7519 §4 and §5, RFC 9068 §2.2.

use super::excerpt::Excerpt;
use serde_json::Value;
use std::borrow::Cow;

/// A claim that is missing or is not what its RFC says, with what was found instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim {} {}", .0.name, .0.defect)]
pub struct ClaimFault(Box<Facts>);

/// A member of a header that is missing or is not what its RFC says, with what was found instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header member {} {}", .0.name, .0.defect)]
pub struct HeaderFault(Box<Facts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    name: Cow<'static, str>,
    defect: Defect,
}

/// What is wrong with a claim or with a member of a header, as the rest of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there, and must not be.
    #[error("is not allowed here")]
    NotAllowed,
    /// It has another JSON type.
    #[error("is {found}, and has to be {expected}")]
    Type {
        /// What it is.
        found: Excerpt,
        /// What it has to be.
        expected: &'static str,
    },
    /// It is too long.
    #[error("is {bytes} bytes long, more than {most}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The greatest length.
        most: usize,
    },
    /// It is too long only because of the prefix that its issuer is registered with.
    #[error("is {found}: with the prefix {prefix:?} it is {bytes} bytes long, and a subject has 255 at most")]
    TooLongWithPrefix {
        /// What it is.
        found: Excerpt,
        /// The prefix.
        prefix: Box<str>,
        /// The length of both together, in bytes.
        bytes: usize,
    },
    /// It does not follow a rule.
    #[error("is {found}: {rule}")]
    Rule {
        /// What it is.
        found: Excerpt,
        /// The rule.
        rule: Cow<'static, str>,
    },
    /// It has another value than the required one.
    #[error("is {found}, and has to be {expected}")]
    Value {
        /// What it is.
        found: Excerpt,
        /// What it has to be.
        expected: Excerpt,
    },
}

impl Defect {
    /// What is wrong with a value that has to be a text: it is missing or of another type; or it does not follow `rule`.
    #[must_use]
    pub fn of_text(value: Option<&Value>, rule: impl Into<Cow<'static, str>>) -> Self {
        match value {
            None => Self::Missing,
            Some(value @ Value::String(_)) => {
                Self::Rule { found: Excerpt::of_value(Some(value)), rule: rule.into() }
            }
            Some(value) => Self::Type { found: Excerpt::of_value(Some(value)), expected: "a text" },
        }
    }

    /// The same of a value that has to be of another type than a text.
    #[must_use]
    pub fn of(value: Option<&Value>, is_of_type: fn(&Value) -> bool, expected: &'static str) -> Self {
        match value {
            None => Self::Missing,
            Some(value) if is_of_type(value) => {
                Self::Rule { found: Excerpt::of_value(Some(value)), rule: expected.into() }
            }
            Some(value) => Self::Type { found: Excerpt::of_value(Some(value)), expected },
        }
    }
}

impl ClaimFault {
    /// A claim, with what is wrong with it.
    #[must_use]
    pub fn new(claim: impl Into<Cow<'static, str>>, defect: Defect) -> Self {
        Self(Box::new(Facts { name: claim.into(), defect }))
    }

    /// A claim that is not there.
    #[must_use]
    pub fn missing(claim: impl Into<Cow<'static, str>>) -> Self {
        Self::new(claim, Defect::Missing)
    }

    /// A member of an object that must not have it. The name may be any text.
    #[must_use]
    pub(crate) fn unknown_member(object: &'static str, member: &str) -> Self {
        Self::not_allowed(member).within(object)
    }

    /// A claim that must not be there. The name may be any text.
    #[must_use]
    pub(crate) fn not_allowed(claim: &str) -> Self {
        Self::new(Excerpt::of_claim(claim).to_plain(), Defect::NotAllowed)
    }

    /// The same about a member of an object: `act.sub`.
    #[must_use]
    pub(crate) fn within(mut self, object: &'static str) -> Self {
        self.0.name = format!("{object}.{}", self.0.name).into();
        self
    }

    /// The claim; of a member of an object its path, with dots.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.0.name
    }

    /// What is wrong with it.
    #[must_use]
    pub fn defect(&self) -> &Defect {
        &self.0.defect
    }
}

impl HeaderFault {
    /// A member, with what is wrong with it.
    #[must_use]
    pub fn new(member: impl Into<Cow<'static, str>>, defect: Defect) -> Self {
        Self(Box::new(Facts { name: member.into(), defect }))
    }

    /// A member that must not be there. Its name may be any text.
    #[must_use]
    pub(crate) fn not_allowed(member: &str) -> Self {
        Self::new(Excerpt::of_claim(member).to_plain(), Defect::NotAllowed)
    }

    /// The member.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.0.name
    }
}
