//! Token type identifiers, RFC 8693 §3.

use super::secret::Secret;

/// A token type identifier that the Iceberg specification or RFC 8693 §3 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// `urn:ietf:params:oauth:token-type:access_token`
    AccessToken,
    /// `urn:ietf:params:oauth:token-type:refresh_token`
    RefreshToken,
    /// `urn:ietf:params:oauth:token-type:id_token`
    IdToken,
    /// `urn:ietf:params:oauth:token-type:saml1`
    Saml1,
    /// `urn:ietf:params:oauth:token-type:saml2`
    Saml2,
    /// `urn:ietf:params:oauth:token-type:jwt`
    Jwt,
}

const PREFIX: &str = "urn:ietf:params:oauth:token-type:";

impl TokenType {
    /// All of them, in the order of RFC 8693 §3.
    pub const ALL: [Self; 6] =
        [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Saml1, Self::Saml2, Self::Jwt];

    /// The whole identifier, a URN.
    #[must_use]
    pub fn as_urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Saml1 => "urn:ietf:params:oauth:token-type:saml1",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// The identifier that is exactly `urn`, if it is one of ours.
    #[must_use]
    pub fn from_urn(urn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_urn() == urn)
    }

    /// The last part of the identifier: `access_token`, `id_token`, ….
    #[must_use]
    pub fn short_name(self) -> &'static str {
        self.as_urn().strip_prefix(PREFIX).unwrap_or_default()
    }
}

impl std::fmt::Display for TokenType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.short_name())
    }
}

/// A token and the type that was declared for it, which RFC 8693 §2.1 never lets apart.
#[derive(Clone, Debug)]
pub struct TypedToken {
    /// The token, not yet parsed.
    pub token: Secret,
    /// The type that the client declares.
    pub token_type: TokenType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tx_03_identifiers_are_exact() {
        for t in TokenType::ALL {
            assert_eq!(TokenType::from_urn(t.as_urn()), Some(t));
            assert_eq!(t.as_urn(), format!("{PREFIX}{t}"));
        }
        for no in ["urn:x", "access_token", "URN:ietf:params:oauth:token-type:access_token", ""] {
            assert_eq!(TokenType::from_urn(no), None);
        }
    }
}
