//! How the audit is kept: for how long, how much of it in memory, and what happens when that is full.

use crate::configuration::values::whole_number;
use crate::duration;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokenberg_core::Lifetime;
use tokenberg_store::{TrailOptions, USUAL_QUEUE, WhenFull};

/// The settings of the audit.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Audit")]
pub(crate) struct AuditSettings {
    /// How long audit records are kept in the store; 0s keeps them forever
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_AUDIT_RETENTION", default_value = "90d", value_parser = duration::parse)]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) audit_retention: Lifetime,

    /// What to do while audit records cannot be written and the queue in memory is full
    #[arg(long, value_name = "POLICY", env = "TOKENBERG_AUDIT_WHEN_FULL", default_value = "drop")]
    pub(crate) audit_when_full: AuditWhenFull,

    /// Maximum number of audit records that wait in memory; 1000 records take about 600 kB, at most 1 MiB
    #[arg(long, value_name = "N", env = "TOKENBERG_AUDIT_QUEUE", default_value_t = USUAL_QUEUE,
          value_parser = whole_number(1..=u32::MAX))]
    pub(crate) audit_queue: u32,

    /// Maximum bytes per minute of audit records of requests without client authentication, each with a log line; further
    /// requests are only counted in metrics
    #[arg(long, value_name = "BYTES", env = "TOKENBERG_AUDIT_UNAUTHENTICATED_BYTES", default_value = "131072",
          value_parser = whole_number(0..=u32::MAX))]
    pub(crate) audit_unauthenticated_bytes: u32,
}

/// What happens when no record can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AuditWhenFull {
    /// Answer requests and drop their records; a metric counts the dropped records
    Drop,
    /// Answer 503 until the queue has room
    Refuse,
}

impl AuditSettings {
    /// The options of the trail.
    pub(super) fn trail(&self) -> TrailOptions {
        let when_full = match self.audit_when_full {
            AuditWhenFull::Drop => WhenFull::Drop,
            AuditWhenFull::Refuse => WhenFull::Refuse,
        };
        TrailOptions { when_full, most_waiting: self.audit_queue, ..TrailOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::tests::settings;

    #[test]
    fn se_06_op_12_audit_settings_come_from_flag_or_file() {
        let file = "audit-retention = \"30d\"\naudit_when_full = \"refuse\"\naudit-queue = 500";
        let flags = ["--audit-retention", "0s", "--audit-when-full", "drop", "--audit-queue", "7"];
        for (flags, file, days, when_full, queue) in [
            (&[][..], "", 90, WhenFull::Drop, 65_536),
            (&[], file, 30, WhenFull::Refuse, 500),
            (&flags, "", 0, WhenFull::Drop, 7),
            (&flags, file, 0, WhenFull::Drop, 7),
            (&flags[2..4], file, 30, WhenFull::Drop, 500),
            (&["--audit-when-full=refuse"], "", 90, WhenFull::Refuse, 65_536),
        ] {
            let audit = settings(flags, file).unwrap().audit;
            assert_eq!(audit.audit_retention, Lifetime::from_hours(24 * days), "{flags:?} {file}");
            let expected = TrailOptions { when_full, most_waiting: queue, ..TrailOptions::default() };
            assert_eq!(audit.trail(), expected, "{flags:?} {file}");
        }
    }

    #[test]
    fn se_06_cwe_779_op_12_the_limit_of_unauthenticated_records_comes_from_flag_or_file_and_may_be_zero() {
        let file = "audit-unauthenticated-bytes = 5000";
        let flag = ["--audit-unauthenticated-bytes", "0"];
        for (flags, file, expected) in
            [(&[][..], "", 131_072), (&[], file, 5000), (&flag, file, 0), (&flag, "", 0)]
        {
            let audit = settings(flags, file).unwrap().audit;
            assert_eq!(audit.audit_unauthenticated_bytes, expected, "{flags:?} {file}");
        }
        for (flags, file) in
            [(&["--audit-unauthenticated-bytes", "1k"][..], ""), (&[], "audit-unauthenticated-bytes = -1")]
        {
            let error = settings(flags, file).unwrap_err().to_string();
            assert!(error.contains("audit-unauthenticated-bytes"), "{error}");
        }
    }

    #[test]
    fn op_12_invalid_audit_settings_are_refused_with_the_expected_form() {
        for (flags, file, expected) in [
            (&["--audit-when-full", "panic"][..], "", &["--audit-when-full", "drop", "refuse"][..]),
            (&["--audit-when-full", ""], "", &["--audit-when-full", "drop", "refuse"]),
            (&["--audit-queue", "0"], "", &["--audit-queue", "from 1"]),
            (&["--audit-queue", "many"], "", &["--audit-queue"]),
            (&["--audit-retention", "90"], "", &["--audit-retention", "7d"]),
            (&["--audit-retention=-1d"], "", &["--audit-retention"]),
            (&[], "audit-when-full = \"Refuse\"", &[".toml:1", "audit-when-full", "`drop` or `refuse`"]),
            (&[], "audit-when-full = true", &["audit-when-full", "string"]),
            (&[], "audit-queue = 0", &["audit-queue", "from 1"]),
            (&[], "audit-retention = 90", &["audit-retention", "string such as \"90d\""]),
            (&[], "audit-retention = \"soon\"", &[".toml:1", "audit-retention", "7d"]),
            (&[], "audit-retain = \"1d\"", &["`audit-retain`", "`audit-retention`"]),
        ] {
            let error = settings(flags, file).unwrap_err().to_string();
            assert!(expected.iter().all(|word| error.contains(word)), "{flags:?} {file}: {error}");
        }
    }
}
