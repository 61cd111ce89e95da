//! Introspection, RFC 7662: whether a token is active, if the requesting client may know.

use crate::flow::inquiry::{self, Findings, Inquiry, Untimely};
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, access_token};
use crate::refusal::{Refusal, TokenFault};
use crate::request::presented_token::PresentedToken;
use crate::{AccessTokenClaims, ClientId, Excerpt, Timestamp, TokenEndpoint};
use serde_json::Value;
use std::sync::Arc;

/// The introspection endpoint (RFC 7662 §2).
#[derive(Clone, Debug)]
pub struct IntrospectionEndpoint {
    policy: Arc<Policy>,
}

/// The result of an introspection (RFC 7662 §2.2).
#[derive(Clone, Debug)]
pub enum Introspection {
    /// It is active, and the client may read its claims.
    Active(Arc<AccessTokenClaims>),
    /// The token is inactive, or the client may not know; only the operator can see which.
    Inactive(Inactivity),
}

/// Why a token is reported as inactive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inactivity {
    /// It is not valid.
    #[error("the token{mark} is not valid: {0}", mark = .0.mark())]
    Fault(#[from] TokenFault),
    /// It is valid, but the client may not see it (RFC 7662 §4, conformance D17).
    #[error(
        "the token has the audience {aud} and was issued to the client {of}; the client {client} may see tokens for its --serves {serves} and its own only"
    )]
    NotVisible {
        /// The client that made the request.
        client: ClientId,
        /// The client to which the token was issued.
        of: ClientId,
        /// What the client serves.
        serves: Excerpt,
        /// The audiences of the token.
        aud: Excerpt,
    },
}

impl IntrospectionEndpoint {
    /// The companion of this token endpoint, under the same policy.
    #[must_use]
    pub fn of(endpoint: &TokenEndpoint) -> Self {
        Self { policy: endpoint.shared_policy() }
    }

    /// Begins with a request at the time `now`.
    ///
    /// # Errors
    /// A [`Refusal`] if that is clear without any question.
    pub fn start(
        &self,
        presented: PresentedToken,
        now: Timestamp,
    ) -> Result<Inquiry<Introspection>, Refusal> {
        inquiry::begin(Arc::clone(&self.policy), presented, now, judge, Untimely::Never)
    }
}

/// The same functions decide here and where tokens are exchanged or used, so all agree (conformance IN-10).
///
/// A token that is bound to a key is active, with its `cnf`: the resource server it is presented to demands the proof.
fn judge(
    _: &Policy,
    client: &Authenticated,
    findings: Findings,
    _: Timestamp,
) -> Result<Introspection, Refusal> {
    let claims = findings
        .and_then(|(claims, status)| access_token::valid(claims, status))
        .and_then(access_token::at_home);
    let claims = match claims {
        Ok(token) => token.into_claims(),
        Err(fault) => return Ok(Introspection::Inactive(fault.into())),
    };
    // RFC 7662 §4: "the authorization server MUST determine whether or not the protected resource is allowed to see it".
    let serves_it = client.client().rights.serves.iter().any(|served| claims.audience.contains(served));
    if !serves_it && claims.client_id != *client.id() {
        let inactivity = Inactivity::NotVisible {
            client: client.id().clone(),
            of: claims.client_id.clone(),
            serves: Excerpt::of_list(client.client().rights.serves.iter().map(AsRef::as_ref)),
            aud: Excerpt::of_list(claims.audience.iter().map(AsRef::as_ref)),
        };
        return Ok(Introspection::Inactive(inactivity));
    }
    Ok(Introspection::Active(claims))
}

impl Introspection {
    /// The body. RFC 7662 §2.2: "the authorization server SHOULD NOT include any additional information about an inactive
    /// token, including why the token is inactive".
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Active(claims) => {
                let mut members = claims.to_json();
                // How sessions are named is our own business.
                members.remove("tokenberg_session");
                members.insert("active".to_owned(), true.into());
                members.insert(
                    "token_type".to_owned(),
                    crate::response::AccessTokenType::of(claims).as_str().into(),
                );
                Value::Object(members).to_string()
            }
            Self::Inactive(_) => r#"{"active":false}"#.to_owned(),
        }
    }
}
