//! What is common to all verbs, and the list of them.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::args::Usage;
use crate::commands::{
    convert, count, groupings, import, indexes, info, merge, recover, scan, spaces, verify,
};
use crate::outcome::{Failure, Outcome};

/// An archive for event history, in files you can copy
#[derive(Parser, Debug)]
#[command(name = "esdb", version = version(), arg_required_else_help = true)]
#[command(after_help = "\
Times are RFC 3339 (2026-01-31T12:00:00Z), a date, a month, a number in the file's unit, @SECONDS or \
-7d.

Exit codes: 0 done; 1 failed, or the file is damaged; 2 wrong usage; 3 finished, but something was \
skipped or lost; 4 nothing matched, with --fail-empty.")]
pub(crate) struct Cli {
    /// Say nothing but errors, and show no progress
    #[arg(short, long, global = true, display_order = 901)]
    quiet: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Import(import::Args),
    Scan(scan::Args),
    Count(count::Args),
    Spaces(spaces::Args),
    Groupings(groupings::Args),
    Indexes(indexes::Args),
    Info(info::Args),
    Verify(verify::Args),
    Merge(merge::Args),
    Recover(recover::Args),
    Convert(convert::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self.verb {
            Verb::Import(args) => import::run(&args, self.quiet),
            Verb::Scan(args) => scan::run(&args),
            Verb::Count(args) => count::run(&args),
            Verb::Spaces(args) => spaces::run(&args),
            Verb::Groupings(args) => groupings::run(&args),
            Verb::Indexes(args) => indexes::run(&args),
            Verb::Info(args) => info::run(&args),
            Verb::Verify(args) => verify::run(&args),
            Verb::Merge(args) => merge::run(&args, self.quiet),
            Verb::Recover(args) => recover::run(&args, self.quiet),
            Verb::Convert(args) => convert::run(&args, self.quiet),
        }
    }
}

/// The versions of the command and of the format.
fn version() -> String {
    format!("{} (format {})", env!("CARGO_PKG_VERSION"), esdb_format::VERSION)
}

/// Shows flags that do not fit together as clap shows flags that it refuses itself.
pub(crate) fn usage_error(verb: &str, usage: &Usage) -> clap::Error {
    let mut command = Cli::command();
    command.build();
    match command.find_subcommand_mut(verb) {
        Some(verb) => verb.error(ErrorKind::ValueValidation, usage),
        None => Cli::command().error(ErrorKind::ValueValidation, usage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("esdb {} ", verb.get_name())), "{}", verb.get_name());
        }
    }
}
