//! The step of the schema that adds summaries of audit records.

/// The step of the schema that adds the summaries, and an index by time for queries in SQL.
pub(super) const SEGMENTS: &str = "
CREATE TABLE audit_segments (
    chain TEXT NOT NULL,
    number BIGINT NOT NULL,
    first BIGINT NOT NULL,
    names BLOB NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_records_time ON audit_records (at);
";
