//! The parties of the histories: clients with every kind of right and credential, issuers, users and keys.

use crate::ISSUER;
use crate::laws::{Credential, Pattern, Registration, Terms};

/// An issuer whose users keep the names that it gives them, which also names a workload of `job` and one of `spark`.
pub const IDP: &str = "https://idp.test";
/// An issuer with a prefix, which also names robots that act for others, and a workload of the client `job`.
pub const Q: &str = "https://q.test";
/// Both.
pub const ISSUERS: [&str; 2] = [IDP, Q];

/// The audiences; the last has no resource server.
pub const AUDIENCES: [&str; 3] = [CAT, NEXT, LAKE];
const CAT: &str = "https://cat.test";
const NEXT: &str = "https://next.test";
const LAKE: &str = "https://lake.test";

/// The clients that take part.
pub const CLIENTS: [&str; 8] = ["trino", "spark", "catalog", "lake", "vault", "signer", "job", "app"];
/// A resource server of every audience, which is never changed and only introspects.
pub const WATCH: &str = "watch";
/// A client with the name of a user, which is registered now and then.
pub const NAMESAKE: &str = "dora";

/// The names of users, by an issuer or in unsecured JWTs: two are those of clients, and one has the prefix of an issuer.
pub(super) const USERS: [&str; 5] = ["alice", "bob", "spark", NAMESAKE, "q:alice"];
/// The actors with a token of an issuer, by number of the issuer.
pub(super) const ROBOTS: [&str; 2] = ["agent", "robot"];
/// The workloads: of `Q` and of `IDP` that authenticate the client `job`, and of `IDP` that authenticates `spark`.
pub(super) const WORKLOADS: [&str; 3] = ["workload", "pipeline", "pod"];

/// The subjects of the certificates: two of the client `vault`, and one of no client.
pub const CERTIFICATES: [&str; 3] = ["CN=vault", "CN=vault", "CN=stranger"];

/// The scopes of requests.
pub(super) const SCOPES: [&str; 5] =
    ["", "catalog", "ns:read", "catalog ns:read", "catalog ns:read ns:write"];

/// The lifetimes of tokens and sessions unless the operator changes them, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// The lifetime of tokens.
    pub token: i64,
    /// The lifetime of sessions.
    pub session: i64,
}

/// The terms of an issuer at the beginning.
#[must_use]
pub fn terms(issuer: &str) -> Terms {
    Terms {
        enabled: true,
        prefix: (issuer == Q).then_some("q:"),
        shared: false,
        outlives: issuer == IDP,
        scope: "catalog ns:read",
        names_subjects: true,
    }
}

/// The registration of the client at the beginning; of `WATCH` and `NAMESAKE`, too.
#[must_use]
pub fn registration(id: &str, tempo: Tempo) -> Registration {
    let of = |issuer: &'static str, name: &'static str| Pattern { issuer, name };
    let base = Registration {
        enabled: true,
        credential: Credential::Secret,
        identities: Vec::new(),
        grants: [true; 3],
        scope: "catalog ns:read ns:write",
        audiences: vec![CAT, NEXT],
        token_lifetime: tempo.token,
        session_lifetime: tempo.session,
        may_act_for: Vec::new(),
        may_impersonate: Vec::new(),
        may_assert_users: Vec::new(),
        serves: Vec::new(),
        dpop_bound: false,
    };
    match id {
        "trino" => Registration {
            audiences: vec![CAT, LAKE],
            may_act_for: vec![of(IDP, "*"), of(Q, "*")],
            may_assert_users: vec!["*"],
            ..base
        },
        "spark" => Registration {
            identities: vec![(IDP, WORKLOADS[2])],
            scope: "catalog ns:read",
            session_lifetime: tempo.session / 2,
            may_act_for: vec![of("*", "*")],
            may_impersonate: vec![of(ISSUER, "trino"), of(IDP, "bob")],
            ..base
        },
        "catalog" => Registration { serves: vec![CAT], ..base },
        "lake" => Registration {
            audiences: vec![NEXT, CAT],
            may_act_for: vec![of(ISSUER, "*"), of(Q, "robot")],
            may_assert_users: vec!["alice"],
            serves: vec![NEXT],
            ..base
        },
        "vault" => Registration {
            credential: Credential::Certificate(CERTIFICATES[0]),
            may_act_for: vec![of(IDP, "*")],
            ..base
        },
        "signer" => Registration {
            credential: Credential::Key,
            may_act_for: vec![of(IDP, "alice"), of(ISSUER, "trino")],
            may_impersonate: vec![of(Q, "alice")],
            ..base
        },
        "job" => Registration {
            credential: Credential::None,
            identities: vec![(Q, WORKLOADS[0]), (IDP, WORKLOADS[1])],
            may_act_for: vec![of(IDP, "*"), of(ISSUER, "signer")],
            ..base
        },
        "app" => Registration {
            credential: Credential::Public,
            grants: [false, true, false],
            may_impersonate: vec![of(IDP, "*")],
            ..base
        },
        WATCH => Registration { grants: [false; 3], serves: AUDIENCES.to_vec(), ..base },
        _ => base,
    }
}
