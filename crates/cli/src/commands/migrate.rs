//! `tokenberg migrate`: brings the schema of the store to that of this version; conformance OP-12, OP-31.

use crate::common::Common;
use crate::failure::note;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_store::{Migration, Store};

/// `tokenberg migrate`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg migrate --plan
      prints the steps that are missing, and changes nothing
  tokenberg backup before.db && tokenberg migrate

The steps are one transaction: all of them are taken, or none. Servers of the version before
continue during and after it. The command needs no key-encryption key, but a database role that may
create tables. `tokenberg serve` takes the same steps when it starts. Other commands never do.")]
pub(crate) struct Migrate {
    /// Only print the steps
    #[arg(long)]
    plan: bool,
}

/// Runs the command.
///
/// # Errors
/// If there is no store, a newer version wrote it, or a step fails.
pub(crate) fn run(common: &Common, arguments: &Migrate, output: Output) -> anyhow::Result<()> {
    let (url, plan) = (&StoreLocation::of(common)?.url, arguments.plan);
    let migration =
        wait_for(async { Ok(if plan { Store::migration(url).await? } else { Store::migrate(url).await? }) })?;
    output.show(|| value(&migration, !plan), || text(&migration, plan))?;
    if plan && migration.is_due() {
        note(
            "back the store up first: a version that knows only older schemas than the last line states does not open it again",
        );
    }
    Ok(())
}

fn value(migration: &Migration, is_done: bool) -> Value {
    let step = |(schema, adds): &(i64, &str)| json!({"schema": schema, "adds": adds});
    let Migration { from, to, steps, oldest } = migration;
    json!({
        "from": from,
        "to": from.max(to),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "oldest": oldest,
        "migrated": is_done && migration.is_due(),
    })
}

fn text(migration: &Migration, plan: bool) -> String {
    let Migration { from, to, steps, oldest } = migration;
    let mut text = match (migration.is_due(), plan) {
        (false, _) => format!("the store has schema {from}: nothing to do\n"),
        (true, true) => {
            format!("the store has schema {from}; `tokenberg migrate` would bring it to schema {to}:\n")
        }
        (true, false) => format!("the store was brought from schema {from} to schema {to}:\n"),
    };
    for (schema, adds) in steps {
        text.push_str(&format!("  schema {schema}: {adds}\n"));
    }
    text.push_str(&format!("versions that know schema {oldest} or a newer one can open it\n"));
    text
}
