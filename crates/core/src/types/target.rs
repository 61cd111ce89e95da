//! Where a token will be used: `resource` (RFC 8707 §2) and `audience` (RFC 8693 §2.1).

/// One place where a token is to be used, as the client named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `resource`: an absolute URI without a fragment.
    Resource(Box<str>),
    /// `audience`: a logical name.
    Audience(Box<str>),
}

/// Why a text names no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// RFC 8707 §2: the value MUST be an absolute URI.
    #[error("resource is not an absolute URI")]
    NotAbsolute,
    /// RFC 8707 §2: it MUST NOT include a fragment component.
    #[error("resource has a fragment")]
    Fragment,
    /// Longer than 2048 bytes, or with characters that no claim should carry.
    #[error("the target is longer than 2048 bytes or is not printable ASCII")]
    Form,
}

impl Target {
    /// A value of the parameter `resource`.
    ///
    /// # Errors
    /// If it is not an absolute URI without a fragment, of at most 2048 printable ASCII characters.
    pub fn resource(text: &str) -> Result<Self, TargetError> {
        check_form(text)?;
        if text.contains('#') {
            return Err(TargetError::Fragment);
        }
        // absolute-URI = scheme ":" hier-part    scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )    (RFC 3986 §4.3, §3.1)
        let (scheme, rest) = text.split_once(':').ok_or(TargetError::NotAbsolute)?;
        let scheme_is_good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_is_good || rest.is_empty() || text.contains(' ') {
            return Err(TargetError::NotAbsolute);
        }
        Ok(Self::Resource(text.into()))
    }

    /// A value of the parameter `audience`.
    ///
    /// # Errors
    /// If it is longer than 2048 bytes or not printable ASCII.
    pub fn audience(text: &str) -> Result<Self, TargetError> {
        check_form(text)?;
        Ok(Self::Audience(text.into()))
    }

    /// The value, as it stands in `aud` when it is granted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Resource(text) | Self::Audience(text) => text,
        }
    }
}

fn check_form(text: &str) -> Result<(), TargetError> {
    if text.len() > 2048 || !text.bytes().all(|b| matches!(b, 0x20..=0x7E)) {
        return Err(TargetError::Form);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tx_12_a_resource_is_an_absolute_uri_without_fragment() {
        for good in ["https://cat.test", "https://cat.test/a?b=c", "urn:example:cooperation-context"] {
            assert_eq!(Target::resource(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("cat", TargetError::NotAbsolute),
            ("/cat", TargetError::NotAbsolute),
            ("1x:y", TargetError::NotAbsolute),
            ("https:", TargetError::NotAbsolute),
            ("https://cat.test#x", TargetError::Fragment),
            ("https://cat.test/\r\n", TargetError::Form),
            ("https://cat.test/é", TargetError::Form),
        ] {
            assert_eq!(Target::resource(bad), Err(why), "{bad}");
        }
    }
}
