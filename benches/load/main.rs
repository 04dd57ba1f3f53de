//! One run, one machine, a table of ratios: the service over HTTP beside pgbench on the same cluster and beside a
//! bare actix-web server. Times of a shared machine mean little; how two things compare within one run means more.
//!
//! Run it with `script/bench [--quick] [--json FILE]`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has failed; it reports here"
)]
#![expect(clippy::cast_precision_loss, reason = "ratios of counts far below 2^52")]

mod attack;
mod bare;
mod beside;
mod client;
mod cpu;
mod delivery;
mod growth;
mod limits;
mod pgbench;
mod population;
mod report;
mod run;
mod scale;
mod scenario;
mod service;

use std::path::PathBuf;

use clap::Parser;

/// The options of one run of the benchmark.
#[derive(Debug, Parser)]
pub struct RunOptions {
    /// Shorter measurements and fewer accounts: under five minutes in all.
    #[arg(long)]
    quick: bool,
    /// Writes the figures to a file as one flat object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the measurements whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Only what a refresh costs this build and another, whose `counterfoil` this is. Can be given several times.
    #[arg(long, value_name = "FILE")]
    beside: Vec<PathBuf>,
    /// Keeps the database of the figure `scale`, and goes on with the one that is there.
    #[arg(long)]
    keep: bool,
    /// Be the bare server instead.
    #[arg(long, hide = true)]
    bare_server: bool,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = RunOptions::parse();
    if options.bare_server { bare::serve() } else { run::run(&options) }
}
