//! `flagmeter bursts`: what the rule for bursts says.

mod file;
mod replay;

use std::path::PathBuf;

use crate::Result;

/// What `flagmeter bursts` is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BurstsCommand {
    /// Say what would have been said of the counts in files, in order
    ///
    /// A file is what `/v1/usage` gives as CSV with `resolution=1m` or `resolution=10s`, with or without `group_by`:
    /// each group is a series of its own. Rows that are not `complete`, and those that are not there, are not known.
    /// One answer has 10,000 steps at most: give the answers of several times as several files.
    /// Until two weeks of a series are known, the rule for those who learn says of it only what is very far out.
    #[command(after_help = "\
Examples:
  curl -H 'Authorization: Bearer fm_…' -H 'Accept: text/csv' -o counts-1.csv \\
    'http://127.0.0.1:8080/v1/usage?from=2026-11-01&to=2026-11-07&resolution=1m&group_by=customer'
  flagmeter bursts replay counts-*.csv
The exit status is 0 whatever is found, and 1 where a file cannot be read.")]
    Replay {
        /// The files, in any order; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Does it.
pub(crate) fn run(command: BurstsCommand) -> Result<()> {
    match command {
        BurstsCommand::Replay { files } => replay::run(&files),
    }
}
