//! How is the audit kept? How long, how much of it in memory, and what is done when that is full.

use crate::commands::serve::{AuditWhenFull, Serve};
use crate::config_file::ConfigFile;
use std::num::NonZeroU32;
use tokenberg_core::Lifetime;
use tokenberg_store::{TrailOptions, USUAL_QUEUE, WhenFull};

/// How long records are kept unless somebody says otherwise.
const USUAL_RETENTION: Lifetime = Lifetime::from_hours(90 * 24);

/// Bytes a minute for records of requests without client authentication, by default.
const USUAL_UNAUTHENTICATED_BYTES: u32 = 128 * 1024;

/// What the operator has said about the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditSettings {
    /// How long records are kept; nothing is for ever.
    pub(crate) retention: Lifetime,
    /// What is done when no record can be kept.
    pub(crate) when_full: WhenFull,
    /// The most records that wait.
    pub(crate) queue: NonZeroU32,
    /// Bytes a minute for records of requests without client authentication.
    pub(crate) unauthenticated_bytes: u32,
}

impl AuditSettings {
    /// Flag before variable before file.
    pub(super) fn of(asked: &Serve, file: &ConfigFile) -> Self {
        Self {
            retention: asked.audit_retention.or(file.audit_retention).unwrap_or(USUAL_RETENTION),
            when_full: match asked.audit_when_full.or(file.audit_when_full) {
                Some(AuditWhenFull::Drop) | None => WhenFull::Drop,
                Some(AuditWhenFull::Refuse) => WhenFull::Refuse,
            },
            queue: asked
                .audit_queue
                .or(file.audit_queue)
                .unwrap_or(NonZeroU32::new(USUAL_QUEUE).unwrap_or(NonZeroU32::MAX)),
            unauthenticated_bytes: asked
                .audit_unauthenticated_bytes
                .or(file.audit_unauthenticated_bytes)
                .unwrap_or(USUAL_UNAUTHENTICATED_BYTES),
        }
    }
}

impl AuditSettings {
    /// The options of the trail.
    pub(super) fn trail(&self) -> TrailOptions {
        TrailOptions { when_full: self.when_full, most_waiting: self.queue.get(), ..TrailOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file;
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    fn settings(flags: &[&str], file: &str) -> anyhow::Result<AuditSettings> {
        let flags = Flags::try_parse_from(std::iter::once(&"serve").chain(flags))?;
        Ok(AuditSettings::of(&flags.serve, &config_file::parse(file, Path::new("t.toml"))?))
    }

    fn expected(days: u32, when_full: WhenFull, queue: u32) -> AuditSettings {
        let retention = Lifetime::from_hours(24 * days);
        let queue = NonZeroU32::new(queue).unwrap();
        AuditSettings { retention, when_full, queue, unauthenticated_bytes: USUAL_UNAUTHENTICATED_BYTES }
    }

    #[test]
    fn se_06_op_12_how_the_audit_is_kept_comes_from_flag_or_file() {
        let file = "audit-retention = \"30d\"\naudit_when_full = \"refuse\"\naudit-queue = 500";
        let flags = ["--audit-retention", "0s", "--audit-when-full", "drop", "--audit-queue", "7"];
        for (flags, file, expected) in [
            (&[][..], "", expected(90, WhenFull::Drop, 65_536)),
            (&[], file, expected(30, WhenFull::Refuse, 500)),
            (&flags, "", expected(0, WhenFull::Drop, 7)),
            (&flags, file, expected(0, WhenFull::Drop, 7)),
            (&flags[2..4], file, expected(30, WhenFull::Drop, 500)),
            (&["--audit-when-full=refuse"], "", expected(90, WhenFull::Refuse, 65_536)),
        ] {
            assert_eq!(settings(flags, file).unwrap(), expected, "{flags:?} {file}");
        }
    }

    #[test]
    fn se_06_cwe_779_op_12_what_strangers_may_write_comes_from_flag_or_file_and_may_be_nothing() {
        let file = "audit-unauthenticated-bytes = 5000";
        let flag = ["--audit-unauthenticated-bytes", "0"];
        for (flags, file, expected) in
            [(&[][..], "", 131_072), (&[], file, 5000), (&flag, file, 0), (&flag, "", 0)]
        {
            assert_eq!(settings(flags, file).unwrap().unauthenticated_bytes, expected, "{flags:?} {file}");
        }
        for (flags, file) in
            [(&["--audit-unauthenticated-bytes", "1k"][..], ""), (&[], "audit-unauthenticated-bytes = -1")]
        {
            let fault = settings(flags, file).unwrap_err().to_string();
            assert!(fault.contains("audit-unauthenticated-bytes"), "{fault}");
        }
    }

    #[test]
    fn op_12_wrong_settings_of_the_audit_are_refused_and_it_is_said_what_is_right() {
        for (flags, file, told) in [
            (&["--audit-when-full", "panic"][..], "", &["--audit-when-full", "drop", "refuse"][..]),
            (&["--audit-when-full", ""], "", &["--audit-when-full", "drop", "refuse"]),
            (&["--audit-queue", "0"], "", &["--audit-queue"]),
            (&["--audit-queue", "many"], "", &["--audit-queue"]),
            (&["--audit-retention", "90"], "", &["--audit-retention", "7d"]),
            (&["--audit-retention=-1d"], "", &["--audit-retention"]),
            (&[], "audit-when-full = \"Refuse\"", &["line 1, audit-when-full", "`drop` or `refuse`"]),
            (&[], "audit-when-full = true", &["audit-when-full"]),
            (&[], "audit-queue = 0", &["audit-queue"]),
            (&[], "audit-retention = 90", &["audit-retention", "string"]),
            (&[], "audit-retention = \"soon\"", &["line 1, audit-retention", "7d"]),
            (&[], "audit-retain = \"1d\"", &["audit-retain", "audit-retention"]),
        ] {
            let fault = settings(flags, file).unwrap_err().to_string();
            assert!(told.iter().all(|word| fault.contains(word)), "{flags:?} {file}: {fault}");
        }
    }
}
