//! Observability: the audit, the log events and the metrics of the service's decisions.

pub(crate) mod audit;
pub(crate) mod exposition;
pub(crate) mod metrics;
pub(crate) mod observer;

/// The target of the events, one for each decision of the token endpoint and its companions.
///
/// Fields: `endpoint`, `request_id`, `source`, `client`, `method`, `grant`, `scope_in`, `outcome`, and either `reason` or
/// `subject`, `subject_issuer`, `issuer_subject`, `subject_auth`, `bound`, `actors`, `scope_out`, `aud`, `jti`, `subject_jti`,
/// `actor_jti`. Texts that a client may have chosen are values and never part of a message, so a subscriber can quote them, as
/// `tracing-subscriber` does. The client of a refused request is the registered one that it claims to be; an identifier that no
/// client has is not written, because it may be a misplaced secret. `tokens` of a refused request are the `jti` and `client_id`,
/// or else `iss`, of the tokens and assertions that it presented, and `presented` are their `iss`, `sub` and `aud`, each with its
/// parameter: as claimed, verified or not, and cut to 128 bytes each.
///
/// `subject_auth` is how the subject is authenticated: `client`, `own_token`, the issuer that vouches for it, or `unsecured` if
/// only a client states it. `subject_issuer` is the issuer of the subject, if it is not ours; `issuer_subject` is the name that
/// this issuer uses, if `subject` has a prefix before that. `bound` are the thumbprints of the keys that the token is bound to.
///
/// A request whose client was not authenticated has `unverified`, and its texts are cut: a scope or a token's claims to 128
/// bytes, the reason to 256. If there are too many such requests, there is only one event a minute for the rest, with their
/// number in `records` and their `outcomes`.
///
/// `outcome` of an introspection is `active` or `inactive`, of a revocation `revoked` or `nothing to revoke`, with the `reason`;
/// `owner`, `subject`, `jti` and `session` are those of the token.
pub const AUDIT: &str = "tokenberg::audit";
