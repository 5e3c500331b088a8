//! `esdb verify`: whether files are whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use esdb_format::{ErrorKind, Verified, VerifyLevel};

use crate::files::ReadArgs;
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::text::{counted, escape};

/// Prove that files are whole
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  esdb verify --deep archive/*.esdb

Prints a line for each file, FILE: ok, or a line for each damaged place. Exit code 1 if there is damage. \
Without flags every checksum is compared and every byte accounted for.")]
pub(crate) struct Args {
    /// Files to verify
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Only the end of the file and its tables
    #[arg(long, conflicts_with = "deep")]
    quick: bool,

    /// Also compute order, counts, ranges, posting lists and tables again from the events
    #[arg(long)]
    deep: bool,

    #[command(flatten)]
    how: ReadArgs,

    /// Print a JSON object for each file
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let level = match (args.quick, args.deep) {
        (true, _) => VerifyLevel::Quick,
        (_, true) => VerifyLevel::Deep,
        _ => VerifyLevel::Checksums,
    };
    let mut out = Stdout::default();
    let mut outcome = Outcome::Done;
    for path in &args.files {
        let verified = match args.how.options().open(path) {
            Ok(file) => file.verify(level),
            // The file was not looked at: that says nothing about it.
            Err(error) if error.kind() == ErrorKind::Io => {
                outcome = Outcome::Damaged;
                if let Some(message) = Failure::of(path)(error).message() {
                    let _ = writeln!(std::io::stderr(), "{message}");
                }
                continue;
            }
            Err(error) => Verified { problems: vec![error], problem_count: 1, ..Verified::default() },
        };
        if !verified.is_ok() {
            outcome = Outcome::Damaged;
        }
        if args.json {
            write_object(path, &verified, &mut out.bytes);
        } else {
            write_lines(path, &verified, &mut out.bytes);
        }
        out.flush()?;
    }
    Ok(outcome)
}

fn write_lines(path: &Path, verified: &Verified, out: &mut Vec<u8>) {
    let name = escape(path.as_os_str().as_encoded_bytes()).to_string();
    let mut line = |text: &str| out.extend_from_slice(format!("{name}: {text}\n").as_bytes());
    for problem in &verified.problems {
        line(&escape(problem.to_string().as_bytes()).to_string());
    }
    let untold = verified.problem_count.saturating_sub(verified.problems.len() as u64);
    if untold > 0 {
        line(&format!("{} more", counted(untold, "problem", "problems")));
    }
    match verified.unknown_sections {
        _ if !verified.is_ok() => {}
        0 => line("ok"),
        unknown => {
            let sections = counted(unknown, "section", "sections");
            line(&format!("ok ({sections} of a later release, only checksums compared)"));
        }
    }
}

fn write_object(path: &Path, verified: &Verified, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.bytes("file", path.as_os_str().as_encoded_bytes());
    object.boolean("ok", verified.is_ok());
    object.number("problem_count", verified.problem_count);
    object.list("problems", &verified.problems, |inner, error| match error.problem() {
        Some(problem) => {
            inner.text("section", &problem.section.to_string());
            inner.number("offset", problem.offset);
            inner.text("rule", problem.rule);
            inner.text("reason", &problem.reason);
        }
        None => inner.text("reason", &error.to_string()),
    });
    object.number("unknown_sections", verified.unknown_sections);
    object.number("bytes_checked", verified.bytes_checked);
    object.end_line();
}
