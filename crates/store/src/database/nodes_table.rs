//! The step of the schema that adds the running servers.

/// Times are milliseconds since 1970 by the clock of the database. `clock` is how many milliseconds the clock of the server is ahead of
/// it; `fault` is why the server cannot follow the store, or empty; `followed` has the number of each part that the server has read, as
/// a JSON object. The rows are no state of the store: no revision counts them, and no audit record describes them.
pub(super) const NODES: &str = "
CREATE TABLE nodes (
    id TEXT PRIMARY KEY NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    address TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    clock BIGINT,
    fault TEXT NOT NULL,
    followed TEXT NOT NULL
);
";
