//! Follows a page of `docs/operations`: runs its commands as they stand there, in their order, and measures how long it takes.

use crate::report;
use crate::site::{ISSUER, Site};
use crate::support::Said;
use serde_json::json;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub struct Runbook<'a> {
    site: &'a Site,
    page: &'static str,
    /// What the page names with `$`, for the commands.
    variables: Vec<(&'static str, String)>,
    blocks: Vec<String>,
    next: Cell<usize>,
    begun: Cell<Instant>,
}

impl<'a> Runbook<'a> {
    /// All commands of a page.
    pub fn open(site: &'a Site, page: &'static str, variables: &[(&'static str, &str)]) -> Self {
        Self::section(site, page, "", variables)
    }

    /// The commands of a page below one heading.
    pub fn section(
        site: &'a Site,
        page: &'static str,
        heading: &str,
        variables: &[(&'static str, &str)],
    ) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/operations/{page}.md"));
        let text = fs::read_to_string(&path).unwrap();
        let of_section = text.split("\n## ").filter(|section| section.starts_with(heading));
        let blocks: Vec<String> = of_section.flat_map(commands).collect();
        assert!(!blocks.is_empty(), "{page} has no commands below {heading:?}");
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { site, page, variables, blocks, next: Cell::new(0), begun: Cell::new(Instant::now()) }
    }

    /// What was seen is over: from now on every second counts.
    pub fn begin(&self) {
        self.begun.set(Instant::now());
    }

    /// Runs the commands of the next block, each of which has to succeed.
    pub fn follow(&self) -> Said {
        self.follow_to(0)
    }

    /// The same for commands that end with this code.
    pub fn follow_to(&self, code: i32) -> Said {
        let block = &self.blocks[self.next.get()];
        self.next.set(self.next.get() + 1);
        // A busy machine may not let the database answer within the 3 s of a command; a person repeats it then, if it moved no file.
        let is_repeatable = !block.contains("mv ");
        let mut said = self.run(block);
        for _ in 0..5 {
            if said.code != code && is_repeatable && said.err.contains("the database did not answer for") {
                said = self.run(block);
            }
        }
        assert_eq!(said.code, code, "{}: {block}\n{} {}", self.page, said.out, said.err);
        said
    }

    fn run(&self, block: &str) -> Said {
        let folder = Path::new(env!("CARGO_BIN_EXE_tokenberg")).parent().unwrap().display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", block]).env_clear().env("PATH", path);
        command.current_dir(self.site.place.path("")).env("TOKENBERG_ISSUER", ISSUER);
        command.envs(self.site.variables().into_iter().filter(|(name, _)| !name.contains("BOOTSTRAP")));
        let said = command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap();
        Said {
            code: said.status.code().unwrap_or(-1),
            out: String::from_utf8(said.stdout).unwrap(),
            err: String::from_utf8(said.stderr).unwrap(),
        }
    }

    /// Everything is true at every node. Adds the row to the table, if all commands were run.
    pub fn done(self, on: &str, what: &str) {
        let seconds = self.begun.get().elapsed().as_secs_f64();
        assert_eq!(self.next.get(), self.blocks.len(), "{} has more commands", self.page);
        let commands = self.blocks.iter().flat_map(|block| block.lines()).count();
        println!("{}, {on}: {commands} commands, {seconds:.1} s until {what}", self.page);
        report::write(
            json!({"kind": "runbook", "page": self.page, "on": on, "commands": commands, "seconds": seconds, "what": what}),
        );
    }
}

/// The blocks of a section that are fenced as `sh`.
fn commands(section: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), None::<String>);
    for line in section.lines().map(str::trim) {
        match (&mut open, line) {
            (None, "```sh") => open = Some(String::new()),
            (Some(_), "```") => found.extend(open.take()),
            (Some(block), line) => block.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    found
}
