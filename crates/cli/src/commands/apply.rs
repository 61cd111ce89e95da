//! `tokenberg export`, `diff` and `apply`: clients and issuers as a file, which is compared with the store and applied to it.

use super::confirming::Confirming;
use super::declaration;
use super::plan::{Plan, plan};
use super::toml_text;
use crate::common::Common;
use crate::failure::AlreadyReported;
use crate::output::Output;
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, input};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tokenberg_store::{RegistrationChange, Store};

/// `tokenberg export`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tokenberg export > tokenberg.toml
      clients and issuers, each with what differs from the defaults of `client add` and `issuer add`,
      and with public keys; no secret, no digest of one, no signing key, no revocation")]
pub(crate) struct Export {}

/// `tokenberg diff`
#[derive(Debug, Args)]
#[command(after_help = "\
`+` is added by `tokenberg apply`, `~` is changed, `-` is removed. The command changes nothing. Its exit
code is 0 with and without differences; with --exit-code, it is 1 if there are any.")]
pub(crate) struct Diff {
    #[command(flatten)]
    wanted: Wanted,

    /// Exit with 1 if there are differences
    #[arg(long)]
    exit_code: bool,
}

/// `tokenberg apply`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg export > tokenberg.toml
      to be edited
  tokenberg apply tokenberg.toml --dry-run
  tokenberg apply tokenberg.toml

All changes are made in one transaction, or none, and each is recorded in the audit. A file that is
applied again changes nothing. Secrets stay as they are; a new client that authenticates with a
secret has none until `tokenberg client secret add ID`. On a terminal, the command prints the plan
and asks; --yes and scripts do not. A running server applies the changes within one second.")]
pub(crate) struct Apply {
    #[command(flatten)]
    wanted: Wanted,

    #[command(flatten)]
    confirming: Confirming,
}

/// What is to be registered.
#[derive(Debug, Args)]
struct Wanted {
    /// File with clients and issuers, TOML, as `tokenberg export` prints it (`-`: standard input)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Remove clients and issuers that are not in the file; without it, they stay
    #[arg(long)]
    prune: bool,
}

/// Prints the clients and issuers.
///
/// # Errors
/// If the store fails.
pub(crate) fn export(common: &Common, _: &Export, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let document = wait_for(async {
        let store = location.open_to_read().await?;
        let document = declaration::document(&store.clients().await?, &store.issuers().await?);
        store.close().await;
        document
    })?;
    let text = toml_text::written(&document)?;
    output.show(|| document, || text)?;
    Ok(())
}

/// Prints the plan.
///
/// # Errors
/// If the file is invalid, or the store fails.
pub(crate) fn diff(common: &Common, arguments: &Diff, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let declaration = arguments.wanted.read()?;
    let plan = wait_for(async {
        let store = location.open_to_read().await?;
        let plan = arguments.wanted.plan(&store, &declaration).await;
        store.close().await;
        plan
    })?;
    output.show(|| json!({"changes": plan.lines, "kept": plan.kept}), || text(&plan))?;
    if arguments.exit_code && !plan.changes.is_empty() {
        return Err(AlreadyReported.into());
    }
    Ok(())
}

/// Makes the changes.
///
/// # Errors
/// If the file is invalid, the changes are not confirmed or contradict each other, or the store fails.
pub(crate) fn apply(common: &Common, arguments: &Apply, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let declaration = arguments.wanted.read()?;
    wait_for(async {
        let store = if arguments.confirming.is_dry_run() {
            location.open_to_read().await?
        } else {
            location.open_existing().await?
        };
        let plan = arguments.wanted.plan(&store, &declaration).await?;
        let action = format!("make these changes of clients and issuers ({})", plan.changes.len());
        let is_asked = !plan.changes.is_empty() || arguments.confirming.is_dry_run();
        if is_asked && !arguments.confirming.allows(&action, &plan.lines, output)? {
            store.close().await;
            return Ok(());
        }
        if !plan.changes.is_empty() {
            let revoked = clock::next_second().await?;
            if let Err(error) = store.apply(clock::now()?, revoked, &plan.changes).await {
                // Another command may have made the same changes meanwhile, as when a job is repeated.
                let left = arguments.wanted.plan(&store, &declaration).await?;
                anyhow::ensure!(left.changes.is_empty(), "{error}; nothing was changed");
            }
        }
        store.close().await;
        output.show(
            || json!({"applied": plan.lines, "kept": plan.kept}),
            || match plan.changes.len() {
                0 => text(&plan),
                many => format!("{}changes that were made: {many}\n", text(&plan)),
            },
        )?;
        Ok(())
    })
}

impl Wanted {
    fn read(&self) -> anyhow::Result<declaration::Declaration> {
        let bytes = input::bytes(&self.file)?;
        let text = std::str::from_utf8(&bytes)
            .with_context(|| format!("{} is not UTF-8", input::name(&self.file)))?;
        declaration::read(text, &self.file)
    }

    async fn plan(&self, store: &Store, declaration: &declaration::Declaration) -> anyhow::Result<Plan> {
        let (clients, issuers) = (store.clients().await?, store.issuers().await?);
        let plan = plan(declaration, &clients, &issuers, self.prune)?;
        let made = RegistrationChange::rehearse(&plan.changes, &clients, &issuers);
        made.with_context(|| format!("{} cannot be applied; nothing was changed", self.file.display()))?;
        Ok(plan)
    }
}

fn text(plan: &Plan) -> String {
    let mut text: String =
        plan.lines.iter().map(|line| format!("{}\n", crate::output::on_one_line(line))).collect();
    if plan.lines.is_empty() {
        text.push_str("nothing to change\n");
    }
    if !plan.kept.is_empty() {
        let kept = crate::output::on_one_line(&plan.kept.join(", "));
        text.push_str(&format!("not in the file, and kept (--prune removes them): {kept}\n"));
    }
    text
}
