//! Checks what is registered for clients and issuers: the same for commands, files and programs that embed the store.

use super::distinguished_name::DistinguishedName;
use super::federation::Federation;
use super::peer_certificate::CertificateName;
use super::registration::Rights;
use super::spiffe_id::SpiffeId;
use super::subject::{Subject, is_unsafe_to_display};
use super::subject_names::{LONGEST_SUBJECT_PREFIX, SubjectNames};
use super::subject_pattern::SubjectPattern;
use super::target::Target;
use super::trusted_issuer::Trust;
use super::user_pattern::UserPattern;

/// Why rights or trust cannot be registered. The message has no character that is unsafe to display.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {reason}")]
pub struct RegistrationError {
    /// The member of [`Rights`], [`Federation`] or [`Trust`].
    pub property: &'static str,
    /// A sentence.
    pub reason: String,
}

impl RegistrationError {
    fn new(property: &'static str, reason: impl Into<String>) -> Self {
        Self { property, reason: reason.into() }
    }
}

impl Rights {
    /// Checks that every value can be displayed, compared with what requests have, and registered in this combination.
    ///
    /// # Errors
    /// The first value that cannot.
    pub fn check(&self) -> Result<(), RegistrationError> {
        for (property, audiences) in [("audiences", &self.audiences), ("serves", &self.serves)] {
            audiences.iter().try_for_each(|audience| check_audience(property, audience))?;
        }
        let patterns = [("may_act_for", &self.may_act_for), ("may_impersonate", &self.may_impersonate)];
        for (property, patterns) in patterns {
            patterns.iter().map(SubjectPattern::as_str).try_for_each(|text| displayable(property, text))?;
        }
        let users = self.may_assert_users.iter().map(UserPattern::as_str);
        users.into_iter().try_for_each(|text| displayable("may_assert_users", text))?;
        for (name, text) in &self.labels {
            displayable("labels", name)?;
            text.chars().try_for_each(|c| safe("labels", c))?;
        }
        self.certificate.as_ref().map_or(Ok(()), check_certificate)?;
        for (at, federation) in self.federations.iter().enumerate() {
            federation.check()?;
            let is_same =
                |other: &Federation| other.issuer == federation.issuer && other.subject == federation.subject;
            if self.federations[..at].iter().any(is_same) {
                let reason = format!("{} of {} is repeated", federation.subject, federation.issuer);
                return Err(RegistrationError::new("federations", reason));
            }
        }
        Ok(())
    }
}

impl Federation {
    /// Checks that tokens of the issuer can have such a subject.
    ///
    /// # Errors
    /// The value that no token can have.
    pub fn check(&self) -> Result<(), RegistrationError> {
        let fault = |reason: String| Err(RegistrationError::new("subject", reason));
        for (property, value) in [("audience", &self.audience), ("uid", &self.uid)] {
            value.as_deref().map_or(Ok(()), |text| displayable(property, text))?;
        }
        if Subject::of_client(&self.subject).is_err() {
            return fault(
                "it has 1 to 2048 bytes and no control, format or bidirectional characters".to_owned(),
            );
        }
        if !self.issuer.is_spiffe() {
            return Ok(());
        }
        let single = self.subject.strip_suffix("/*").unwrap_or(&self.subject);
        let id: SpiffeId = single.parse().map_err(|error: super::spiffe_id::SpiffeIdError| {
            RegistrationError::new("subject", error.to_string())
        })?;
        if id.trust_domain() != self.issuer.as_str() {
            return fault(format!(
                "{} is not in the trust domain {}, which issues identities below itself only",
                self.subject, self.issuer
            ));
        }
        if !id.has_path() && *single == *self.subject {
            return fault(format!(
                "{} is the trust domain itself, not a workload; {}/* matches all its workloads",
                self.subject, self.issuer
            ));
        }
        if self.uid.is_some() {
            let reason = "it is for Kubernetes service accounts; a SPIFFE ID has none";
            return Err(RegistrationError::new("uid", reason));
        }
        Ok(())
    }
}

impl Trust {
    /// Checks that every value can be displayed, compared with what tokens have, and registered in this combination.
    ///
    /// # Errors
    /// The first value that cannot.
    pub fn check(&self) -> Result<(), RegistrationError> {
        displayable("subject_claim", &self.subject_claim)?;
        self.audiences.iter().try_for_each(|audience| displayable("audiences", audience))?;
        self.map.iter().try_for_each(|mapping| displayable("map", &mapping.to_string()))?;
        let Some(prefix) = &self.subject_prefix else { return Ok(()) };
        check_subject_prefix(prefix).map_err(|reason| RegistrationError::new("subject_prefix", reason))?;
        if self.subject_names == SubjectNames::Shared {
            let reason = format!(
                "the prefix {prefix:?} contradicts shared names: with a prefix, no other principal has the name of a user"
            );
            return Err(RegistrationError::new("subject_names", reason));
        }
        Ok(())
    }
}

/// Checks that a subject may begin with this text.
///
/// # Errors
/// A sentence that describes the expected form.
pub fn check_subject_prefix(text: &str) -> Result<(), String> {
    let length = text.len();
    let fault = if !(1..=LONGEST_SUBJECT_PREFIX).contains(&length) {
        format!("this one has {length} bytes")
    } else if let Some(c) = text.chars().find(|c| is_unsafe_to_display(*c)) {
        format!("this one has the character {}", c.escape_unicode())
    } else if text.starts_with(' ') {
        "this one begins with a space".to_owned()
    } else {
        return Ok(());
    };
    Err(format!(
        "a prefix must have 1 to {LONGEST_SUBJECT_PREFIX} bytes, no control, format or bidirectional characters, and no leading space; \
         with the user's name it must have at most 255 bytes; {fault}"
    ))
}

fn check_audience(property: &'static str, text: &str) -> Result<(), RegistrationError> {
    displayable(property, text)?;
    Target::audience(text).map(drop).map_err(|error| RegistrationError::new(property, error.to_string()))
}

/// The text of a subject is compared with the one spelling of [`DistinguishedName`].
fn check_certificate(name: &CertificateName) -> Result<(), RegistrationError> {
    let text = match name {
        CertificateName::Subject(text)
        | CertificateName::Dns(text)
        | CertificateName::Uri(text)
        | CertificateName::Ip(text)
        | CertificateName::Email(text) => text,
    };
    displayable("certificate", text)?;
    let CertificateName::Subject(subject) = name else { return Ok(()) };
    match subject.parse::<DistinguishedName>() {
        Ok(name) if *name.as_str() == **subject => Ok(()),
        Ok(name) => Err(RegistrationError::new("certificate", format!("write the subject as {name}"))),
        Err(error) => Err(RegistrationError::new("certificate", error.to_string())),
    }
}

/// Checks that the text is not empty and cannot change what surrounds it on a terminal or page.
fn displayable(property: &'static str, text: &str) -> Result<(), RegistrationError> {
    if text.is_empty() {
        return Err(RegistrationError::new(property, "it must not be empty"));
    }
    text.chars().try_for_each(|c| safe(property, c))
}

fn safe(property: &'static str, c: char) -> Result<(), RegistrationError> {
    if !is_unsafe_to_display(c) {
        return Ok(());
    }
    let reason = format!(
        "it must have no control, format or bidirectional characters, and has the character {}",
        c.escape_unicode()
    );
    Err(RegistrationError::new(property, reason))
}

#[cfg(test)]
mod tests {
    use super::super::issuer::Issuer;
    use super::super::registration::AllowedScope;
    use super::super::scope::Scope;
    use super::super::trusted_issuer::KeySource;
    use super::*;

    fn rights(change: impl FnOnce(&mut Rights)) -> Result<(), RegistrationError> {
        let mut rights = Rights::new(AllowedScope::Only(Scope::catalog()));
        change(&mut rights);
        rights.check()
    }

    fn trust(change: impl FnOnce(&mut Trust)) -> Result<(), RegistrationError> {
        let mut trust = Trust::new(KeySource::Discovery);
        change(&mut trust);
        trust.check()
    }

    #[test]
    fn se_05_no_registered_text_controls_a_terminal_or_changes_the_order_of_characters() {
        for odd in ["a\nclient evil", "a\u{1b}[2K", "a\u{202e}b", "a\u{9b}", "a\u{200b}"] {
            for refused in [
                rights(|rights| rights.audiences = vec![odd.into()]),
                rights(|rights| rights.serves = vec![odd.into()]),
                rights(|rights| rights.may_act_for = vec![format!("https://a|{odd}").parse().unwrap()]),
                rights(|rights| rights.may_impersonate = vec![format!("{odd}|*").parse().unwrap()]),
                rights(|rights| rights.may_assert_users = vec![odd.parse().unwrap()]),
                rights(|rights| rights.labels = [("owner".into(), odd.into())].into()),
                rights(|rights| rights.certificate = Some(CertificateName::Dns(odd.into()))),
                rights(|rights| {
                    rights.certificate = Some(CertificateName::Subject(format!("CN={odd}").into()))
                }),
                federation("https://k8s.example", odd).check(),
                rights(|rights| rights.federations = vec![federation("https://k8s.example", odd)]),
                trust(|trust| trust.audiences = vec![odd.into()]),
                trust(|trust| trust.subject_claim = odd.into()),
                trust(|trust| trust.map = vec![format!("groups={odd}:x").parse().unwrap()]),
                trust(|trust| trust.map = vec![format!("{odd}=a:x").parse().unwrap()]),
                trust(|trust| trust.subject_prefix = Some(odd.into())),
            ] {
                let message = refused.unwrap_err().to_string();
                assert!(!message.chars().any(is_unsafe_to_display), "{message:?}");
            }
        }
    }

    fn federation(issuer: &str, subject: &str) -> Federation {
        Federation {
            issuer: Issuer::foreign(issuer).unwrap(),
            subject: subject.into(),
            audience: None,
            uid: None,
        }
    }

    #[test]
    fn cc_17_wl_04_what_no_token_can_have_or_gives_two_principals_one_name_is_refused() {
        for (issuer, subject, is_good) in [
            ("https://k8s.example", "", false),
            ("https://k8s.example", "system:serviceaccount:a:b", true),
            ("spiffe://td.example", "spiffe://td.example/a/*", true),
            ("spiffe://td.example", "spiffe://td.example/*", true),
            ("spiffe://td.example", "spiffe://td.example", false),
            ("spiffe://td.example", "spiffe://other.example/a", false),
            ("spiffe://td.example", "spiffe://other.example/*", false),
            ("spiffe://td.example", "spiffe://td.example.evil/*", false),
            ("spiffe://td.example", "/*", false),
            ("spiffe://td.example", "*", false),
        ] {
            let one = federation(issuer, subject);
            assert_eq!(one.check().is_ok(), is_good, "{subject}");
            let twice = rights(|rights| rights.federations = vec![one.clone(), one]);
            assert!(twice.is_err(), "{subject}");
        }
        let subject = |text: &str| rights(|r| r.certificate = Some(CertificateName::Subject(text.into())));
        assert_eq!(subject("CN=a,O=b"), Ok(()));
        for never_equal in ["cn=a", "CN=a, O=b", "a", ""] {
            assert!(subject(never_equal).is_err(), "{never_equal}");
        }
        assert!(rights(|rights| rights.audiences = vec!["".into()]).is_err());
        assert!(rights(|rights| rights.serves = vec!["é".into()]).is_err());
        let prefix = |text: &str| trust(|trust| trust.subject_prefix = Some(text.into()));
        assert_eq!((prefix("okta:"), trust(|_| {})), (Ok(()), Ok(())));
        for wrong in ["", " okta:", &"a".repeat(300)] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
        let both = trust(|trust| {
            trust.subject_prefix = Some("okta:".into());
            trust.subject_names = SubjectNames::Shared;
        });
        assert!(both.unwrap_err().to_string().contains("shared names"));
    }
}
