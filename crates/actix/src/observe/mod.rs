//! The audit, the log events and the figures of what the service decides.

pub(crate) mod audit;
pub(crate) mod exposition;
pub(crate) mod metrics;
pub(crate) mod observer;

/// The target of the events, one for each decision of the token endpoint and its companions.
///
/// Fields: `endpoint`, `request_id`, `source`, `client`, `method`, `grant`, `scope_in`, `outcome`, and either `reason` or
/// `subject`, `subject_issuer`, `issuer_subject`, `subject_auth`, `bound`, `actors`, `scope_out`, `aud`, `jti`, `subject_jti`,
/// `actor_jti`. Texts that a client may have chosen are values of their own and never part of a message, so whoever writes lines can
/// quote them, as `tracing-subscriber` does. The client of a refused request is the registered one that it claims to be; an
/// identifier that no client has is not written, because a secret may stand in its place. `tokens` of a refused request are the `jti`
/// and `client_id`, or else `iss`, of the tokens and assertions that it presented, and `presented` are their `iss`, `sub` and `aud`,
/// each with its parameter: as they claim, whether they were verified or not, and cut to 128 bytes each.
///
/// `subject_auth` is how it is known whom the token is about: `client`, `own_token`, the issuer that says so, or `unsecured` where
/// a client's word is all that there is. `subject_issuer` is the issuer of the subject, where it is not ours; `issuer_subject` is
/// what that issuer calls it, where `subject` has a prefix before that. `bound` are the thumbprints of the keys without which the
/// token is worth nothing.
///
/// A request whose client was not authenticated has `unverified`, and its texts are cut: a scope or a token's claims to 128 bytes, the
/// reason to 256. Of too many such requests there are no events but one a minute, with `records` and `outcomes`: how many there were.
///
/// `outcome` of an introspection is `active` or `inactive`, of a revocation `revoked` or `nothing to revoke`, where `reason` says
/// why; `owner`, `subject`, `jti` and `session` are those of the token.
pub const AUDIT: &str = "tokenberg::audit";
