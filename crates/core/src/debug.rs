//! `Debug` of values that hold secrets: prints everything but the secrets, so that an embedding program can use `{:?}`.

use crate::token::TypedToken;
use crate::{Granted, Inquiry, Presented, PresentedToken, Question, Step, TokenRequest, TokenResponse};
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
        let mut shown = f.debug_struct("Presented");
        shown.field("method", &self.method()).field("grant_type", &self.grant_type()).finish_non_exhaustive()
    }
}

impl Debug for TokenRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("TokenRequest");
        shown.field("grant_type", &self.grant_type()).field("scope", self.scope()).finish_non_exhaustive()
    }
}

impl Debug for TypedToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TypedToken").field("token_type", &self.token_type).finish_non_exhaustive()
    }
}

impl Debug for TokenResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("TokenResponse");
        shown.field("token_type", &self.token_type).field("expires_in", &self.expires_in);
        shown.field("issued_token_type", &self.issued_token_type).field("scope", &self.scope);
        shown.finish_non_exhaustive()
    }
}

impl Debug for Granted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("Granted");
        shown.field("claims", &self.claims).field("decision", &self.decision).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_02_what_is_shown_holds_no_secret() {
        let body = b"grant_type=client_credentials&client_id=c1&client_secret=hush-hush&scope=catalog";
        let presented = Presented::read(&[], None, body).unwrap();
        let shown = format!("{presented:?} {:?}", presented.request());
        assert!(shown.contains("client_secret_post") && shown.contains("catalog"));
        assert!(!shown.contains("hush"), "{shown}");
        let body = b"token=hush-hush&client_id=c1&client_secret=hush-hush";
        let shown = format!("{:?}", PresentedToken::read(&[], None, body).unwrap());
        assert!(shown.contains("client_secret_post") && !shown.contains("hush"), "{shown}");
        let response =
            TokenResponse::parse(br#"{"access_token":"hush-hush","token_type":"bearer"}"#).unwrap();
        assert!(!format!("{response:?}").contains("hush"));
    }
}
