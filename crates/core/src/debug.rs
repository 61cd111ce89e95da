//! `Debug` of values that hold secrets: prints everything but the secrets, so that an embedding program can use `{:?}`.

use crate::flow::{
    CheckStatus, CheckSubjectStatus, DigestSecret, FetchKeys, FindClient, FindIssuer, ReadToken, UseOnce,
    VerifyProof, VerifyToken,
};
use crate::jws::{KeyMaterial, PrivateHalf};
use crate::request::{Form, Parameter};
use crate::{
    CompactJws, Entropy, Granted, Inquiry, Presented, PresentedToken, Question, Request, Step, TokenRequest,
    TokenResponse,
};
use std::fmt::{Debug, Formatter, Result};

impl<S> Debug for Question<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::FindClient(_) => "FindClient",
            Self::DigestSecret(_) => "DigestSecret",
            Self::FindIssuer(_) => "FindIssuer",
            Self::ReadToken(_) => "ReadToken",
            Self::VerifyToken(_) => "VerifyToken",
            Self::VerifyProof(_) => "VerifyProof",
            Self::CheckStatus(_) => "CheckStatus",
            Self::CheckSubjectStatus(_) => "CheckSubjectStatus",
            Self::UseOnce(_) => "UseOnce",
        })
    }
}

impl Debug for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Ask(question) => question.fmt(f),
            Self::Sign(_) => f.write_str("Sign"),
        }
    }
}

impl<End> Debug for Inquiry<End> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Ask(question) => question.fmt(f),
            Self::Answered(_) => f.write_str("Answered"),
        }
    }
}

impl Debug for PresentedToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("PresentedToken").field("method", &self.method()).finish_non_exhaustive()
    }
}

impl Debug for Presented {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut fields = f.debug_struct("Presented");
        fields.field("method", &self.method()).field("grant_type", &self.grant_type()).finish_non_exhaustive()
    }
}

impl Debug for TokenRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut fields = f.debug_struct("TokenRequest");
        fields.field("grant_type", &self.grant_type()).field("scope", self.scope()).finish_non_exhaustive()
    }
}

impl Debug for TokenResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut fields = f.debug_struct("TokenResponse");
        fields.field("token_type", &self.token_type).field("expires_in", &self.expires_in);
        fields.field("issued_token_type", &self.issued_token_type).field("scope", &self.scope);
        fields.finish_non_exhaustive()
    }
}

impl Debug for Granted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut fields = f.debug_struct("Granted");
        fields.field("claims", &self.claims).field("decision", &self.decision).finish_non_exhaustive()
    }
}

/// `Debug` with the name alone: the parts are continuations, or may contain a secret.
macro_rules! by_name {
    ($($name:ident $(<$parameter:tt>)?)*) => {
        $(impl $(<$parameter>)? Debug for $name $(<$parameter>)? {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

by_name! {
    CheckStatus<S> CheckSubjectStatus<S> DigestSecret<S> FetchKeys<S> FindClient<S> FindIssuer<S> ReadToken<S> UseOnce<S>
    VerifyProof<S> VerifyToken<S> Entropy
}

impl Debug for CompactJws {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CompactJws").field("header", self.header()).finish_non_exhaustive()
    }
}

impl Debug for Form<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let present = Parameter::ALL.into_iter().filter(|parameter| self.value(*parameter).is_some());
        f.write_str("Form ")?;
        f.debug_set().entries(present.map(Parameter::name)).finish()
    }
}

impl Debug for Request<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut request = f.debug_struct("Request");
        request
            .field("certificate", &self.certificate)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Debug for KeyMaterial {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut key = f.debug_struct("KeyMaterial");
        key.field("id", &self.id).field("algorithm", &self.algorithm).field("signs_from", &self.signs_from);
        key.field("verifies_until", &self.verifies_until).finish_non_exhaustive()
    }
}

impl Debug for PrivateHalf {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Pkcs8(_) => f.debug_struct("Pkcs8").finish_non_exhaustive(),
            Self::Device(key) => f.debug_tuple("Device").field(key).finish(),
        }
    }
}

impl Debug for crate::TokenEndpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TokenEndpoint").field("policy", self.policy()).finish_non_exhaustive()
    }
}

impl Debug for crate::flow::SignInput {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SignInput").finish_non_exhaustive()
    }
}

impl Debug for crate::limits::FailureTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FailureTable").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl Debug for crate::limits::Limiter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_02_debug_output_has_no_secret() {
        let body = b"grant_type=client_credentials&client_id=c1&client_secret=hush-hush&scope=catalog";
        let presented = Presented::read(&[], None, body).unwrap();
        let text = format!("{presented:?} {:?}", presented.request());
        assert!(text.contains("client_secret_post") && text.contains("catalog"));
        assert!(!text.contains("hush"), "{text}");
        let body = b"token=hush-hush&client_id=c1&client_secret=hush-hush";
        let text = format!("{:?}", PresentedToken::read(&[], None, body).unwrap());
        assert!(text.contains("client_secret_post") && !text.contains("hush"), "{text}");
        let response =
            TokenResponse::parse(br#"{"access_token":"hush-hush","token_type":"bearer"}"#).unwrap();
        assert!(!format!("{response:?}").contains("hush"));
    }
}
