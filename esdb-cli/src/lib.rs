//! The command `esdb`, as a library for its own `main` and for the fuzzer. Other programs use `esdb-format`.

#![deny(unsafe_code)]

mod args;
mod cli;
mod commands;
mod feed;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod input;
mod json;
mod manifest;
mod outcome;
mod output;
mod progress;
mod select;
mod signals;
mod text;
mod times;
mod writing;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::outcome::Failure;

/// Parses the arguments of the process, does what they say, and says what went wrong.
pub fn run() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let verb = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((Cli::from_arg_matches(&matches)?, verb))
    });
    let (cli, verb) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return say(&error),
    };
    match signals::prepare().and_then(|()| cli.run()) {
        Ok(outcome) => outcome.code().into(),
        Err(Failure::Usage(usage)) => say(&cli::usage_error(&verb, &usage)),
        Err(failure) => {
            // A message that can not be written is lost: there is nobody left to tell.
            if let Some(message) = failure.message() {
                let _ = writeln!(std::io::stderr(), "{message}");
            }
            failure.code().into()
        }
    }
}

/// Prints what clap has to say: an error, or the help or version that was asked for.
fn say(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}
