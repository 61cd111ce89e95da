//! What the operator decides in a history, and its decoding from bytes.

use super::cast::{CLIENTS, ISSUERS};

/// A decision of the operator. Numbers of tokens are taken modulo their count, the latest first.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Decision {
    RevokeToken {
        token: usize,
    },
    RevokeClient {
        client: usize,
        ago: u32,
    },
    RevokeSubject {
        user: usize,
        whose: usize,
        ago: u32,
    },
    RevokeIssuer {
        issuer: usize,
        ago: u32,
    },
    EnableClient {
        client: usize,
        enabled: bool,
    },
    /// Removes the client, or registers it as it was at the beginning.
    RemoveClient {
        client: usize,
    },
    /// Registers or removes the client with the name of a user.
    Namesake,
    Right {
        client: usize,
        right: Right,
        is_given: bool,
    },
    Lifetime {
        client: usize,
        of_token: bool,
        eighths: i64,
    },
    EnableIssuer {
        issuer: usize,
        enabled: bool,
    },
    /// Removes the issuer, or trusts it as at the beginning.
    RemoveIssuer {
        issuer: usize,
    },
    /// Trusts the issuer, or changes its terms.
    Issuer {
        issuer: usize,
        has_prefix: bool,
        /// Whether it asks for the prefix that the other issuer has at the beginning.
        of_other: bool,
        shared: bool,
        outlives: bool,
        /// Whether its subjects have less scope than at the beginning.
        is_narrow: bool,
        names_subjects: bool,
    },
    Subject {
        user: usize,
        whose: usize,
        disabled: bool,
    },
    RotateKey,
    RevokeKey {
        token: usize,
    },
}

/// A right that is withdrawn or given.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "they are those of a registration")]
pub enum Right {
    MayActFor,
    MayImpersonate,
    MayAssertUsers,
    Serves,
    Scope,
    /// All audiences but the first.
    OtherAudiences,
    FirstAudience,
    /// A foreign identity of it or, if the number is odd, of the client of a recent token.
    Identity,
    ClientCredentials,
    TokenExchange,
    AnyKey,
}

const RIGHTS: [Right; 11] = [
    Right::MayActFor,
    Right::MayImpersonate,
    Right::MayAssertUsers,
    Right::Serves,
    Right::Scope,
    Right::OtherAudiences,
    Right::FirstAudience,
    Right::Identity,
    Right::ClientCredentials,
    Right::TokenExchange,
    Right::AnyKey,
];

impl Decision {
    /// Reads a decision from the kind of its event and the bytes after it.
    pub(super) fn read(&[kind, a, b, c, d, e]: &[u8; 6]) -> Self {
        let at = usize::from;
        let client = at(a) % CLIENTS.len();
        let (is, whose, ago) = (b % 4 != 0, at(c) % (ISSUERS.len() + 2), u32::from(d) % 4 * u32::from(e));
        match kind {
            0..205 => Self::RevokeToken { token: at(b) },
            205..208 => Self::RevokeClient { client: at(a), ago },
            208..211 => Self::RevokeSubject { user: at(b), whose, ago },
            211..215 => Self::EnableClient { client: at(a), enabled: is },
            215..219 => Self::RemoveClient { client: at(a) },
            219..223 => Self::Namesake,
            223..235 => {
                Self::Right { client: at(a), right: RIGHTS[at(c) % RIGHTS.len()], is_given: b % 2 == 0 }
            }
            235..239 => Self::Lifetime { client, of_token: b % 2 == 0, eighths: [1, 4, 8, 16][at(c) % 4] },
            239..241 => Self::EnableIssuer { issuer: at(a) % ISSUERS.len(), enabled: is },
            241..242 => Self::RemoveIssuer { issuer: at(a) % ISSUERS.len() },
            242..246 => Self::Issuer {
                issuer: at(a) % ISSUERS.len(),
                has_prefix: c % 2 == 0,
                of_other: c % 4 == 2,
                shared: c % 8 > 5,
                outlives: is,
                is_narrow: d % 4 == 0,
                names_subjects: e % 8 != 0,
            },
            246..251 => Self::Subject { user: at(b), whose, disabled: d % 4 == 0 },
            251..252 => Self::RotateKey,
            252..253 => Self::RevokeKey { token: at(b) },
            253..=255 => {
                Self::RevokeIssuer { issuer: at(a) % ISSUERS.len(), ago: if d % 4 == 1 { ago } else { 0 } }
            }
        }
    }
}
