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

use std::ffi::OsString;
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
///
/// An error repeats arguments as they are. If a terminal could obey them it is printed escaped, and without colors.
fn say(error: &clap::Error) -> ExitCode {
    let is_safe = |argument: OsString| argument.to_str().is_some_and(|text| !text.contains(text::is_unsafe));
    if std::env::args_os().skip(1).all(is_safe) || !error.use_stderr() {
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        let lines: String = text.lines().map(|line| format!("{}\n", text::escape(line.as_bytes()))).collect();
        let _ = std::io::stderr().write_all(lines.as_bytes());
    }
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}
