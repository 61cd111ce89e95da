//! Benchmarks tokens on this machine: load for any token endpoint, and reference figures.

mod ceiling;
mod changing;
mod filling;
mod in_process;
mod load;
mod lookup;
mod process;
mod recording;
mod signer;

use clap::Parser;

/// Load for token endpoints of this machine, and reference figures.
#[derive(Parser)]
#[command(name = "tokenberg-bench", version)]
enum Command {
    /// Puts bounded load on a token endpoint of this machine.
    Load(Box<load::Load>),
    /// Serves the least that an endpoint can do: 830 static bytes to any POST.
    Ceiling(ceiling::Ceiling),
    /// Changes a client of a store several times a second.
    Changing(changing::Changing),
    /// Fills a store with clients and records.
    Filling(filling::Filling),
    /// Measures signatures by ring, and the parts of Tokenberg, in this process.
    InProcess(in_process::InProcess),
    /// Reads a store of many clients, and looks them up.
    Lookup(lookup::Lookup),
    /// Records decisions in a store.
    Recording(recording::Recording),
    /// Compares a signer elsewhere, such as a KMS or an HSM, that is awaited with one that blocks.
    Signer(signer::Signer),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Load(options) => load::run(&options),
        Command::Ceiling(options) => ceiling::run(&options),
        Command::Changing(options) => changing::run(&options),
        Command::Filling(options) => filling::run(&options),
        Command::InProcess(options) => in_process::run(&options),
        Command::Lookup(options) => lookup::run(&options),
        Command::Recording(options) => recording::run(&options),
        Command::Signer(options) => signer::run(&options),
    }
}
