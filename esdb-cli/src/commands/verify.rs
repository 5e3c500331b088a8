//! `esdb verify`: whether files are whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use esdb_format::{ErrorKind, Reader, Verified, VerifyLevel};

use crate::files::{ReadArgs, find_files};
use crate::manifest::{self, Entry};
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::summary::hex;
use crate::text::{counted, escape};

/// Prove that files are whole
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb verify --deep archive/*.esdb
  esdb verify archive
  cd archive && esdb verify --digest . > MANIFEST
  esdb verify --manifest archive/MANIFEST

Of a directory, every file below it whose name ends in .esdb, in order; links are not followed. Prints a line \
for each file, FILE: ok, or a line for each damaged place, 100 of them at most and then how many more there \
are. Exit code 1 if there is damage. Without flags every checksum is compared and every byte accounted for.

--digest prints a line for each whole file, FILEDIGEST  CONTENTDIGEST  FILE (BLAKE3). Kept somewhere else, such \
lines tell with --manifest whether files are still the same ones, which no file can tell of itself. Names in \
a manifest are relative to its folder.")]
pub(crate) struct Args {
    /// Files, and directories of files, to verify
    #[arg(value_name = "FILE", required_unless_present = "manifest")]
    files: Vec<PathBuf>,

    /// Only the end of the file and its tables
    #[arg(long, conflicts_with = "deep")]
    quick: bool,

    /// Also compute order, counts, ranges, posting lists and tables again from the events
    #[arg(long)]
    deep: bool,

    /// Verify the files of a manifest, and that they have the digests it states
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "quick", "digest"])]
    manifest: Option<PathBuf>,

    /// Print lines for a manifest of files that are whole; damage goes to standard error
    #[arg(long, conflicts_with_all = ["quick", "json"])]
    digest: bool,

    #[command(flatten)]
    how: ReadArgs,

    /// Print a JSON object for each file
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut verification = Verification { args, out: Stdout::default(), outcome: Outcome::Done };
    match &args.manifest {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| Failure::of_file(path, &error.to_string()))?;
            let entries = manifest::parse(&bytes).map_err(|reason| Failure::of_file(path, &reason))?;
            let folder = path.parent().unwrap_or(Path::new(""));
            for entry in &entries {
                verification.file(&folder.join(&entry.path), Some(entry))?;
            }
        }
        None => {
            for path in &args.files {
                find_files(path, &mut |found| match found {
                    Ok(path) => verification.file(path, None),
                    Err(failure) => {
                        verification.could_not_look(&failure);
                        Ok(())
                    }
                })?;
            }
        }
    }
    Ok(verification.outcome)
}

struct Verification<'a> {
    args: &'a Args,
    out: Stdout,
    outcome: Outcome,
}

impl Verification<'_> {
    /// The file, or folder, was not looked at: that says nothing about it, but it is not known to be whole.
    fn could_not_look(&mut self, failure: &Failure) {
        self.outcome = Outcome::Damaged;
        if let Some(message) = failure.message() {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    fn file(&mut self, path: &Path, entry: Option<&Entry>) -> Result<(), Failure> {
        let level = match (self.args.quick, self.args.deep) {
            (true, _) => VerifyLevel::Quick,
            (_, true) => VerifyLevel::Deep,
            _ => VerifyLevel::Checksums,
        };
        let (verified, reader) = match self.args.how.options().open(path) {
            Ok(reader) => (reader.verify(level), Some(reader)),
            Err(error) if error.kind() == ErrorKind::Io => {
                self.could_not_look(&Failure::of(path)(error));
                return Ok(());
            }
            Err(error) => (Verified { problems: vec![error], problem_count: 1, ..Verified::default() }, None),
        };
        // A damaged file is no other one: its digests are not looked at.
        let is_another =
            verified.is_ok() && entry.zip(reader.as_ref()).is_some_and(|(entry, reader)| !entry.is(reader));
        if !verified.is_ok() || is_another {
            self.outcome = Outcome::Damaged;
        }
        if self.args.json {
            write_object(path, &verified, reader.as_ref(), is_another, &mut self.out.bytes);
        } else if self.args.digest {
            match reader.filter(|_| verified.is_ok()) {
                Some(reader) => self.digest(path, &reader),
                None => {
                    let mut lines = Vec::new();
                    write_lines(path, &verified, false, &mut lines);
                    let _ = std::io::stderr().write_all(&lines);
                }
            }
        } else {
            write_lines(path, &verified, is_another, &mut self.out.bytes);
        }
        self.out.flush()
    }

    fn digest(&mut self, path: &Path, reader: &Reader) {
        let name = path.strip_prefix(".").unwrap_or(path);
        if let Err(reason) = Entry::of(reader, name).write_line(&mut self.out.bytes) {
            self.could_not_look(&Failure::of_file(path, reason));
        }
    }
}

fn write_lines(path: &Path, verified: &Verified, is_another: bool, out: &mut Vec<u8>) {
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
        _ if is_another => line("whole, but another file than the manifest states"),
        0 => line("ok"),
        unknown => {
            let sections = counted(unknown, "section", "sections");
            line(&format!("ok ({sections} of a later release, only checksums compared)"));
        }
    }
}

fn write_object(
    path: &Path,
    verified: &Verified,
    reader: Option<&Reader>,
    is_another: bool,
    out: &mut Vec<u8>,
) {
    let mut object = Object::begin(out);
    object.bytes("file", path.as_os_str().as_encoded_bytes());
    object.boolean("ok", verified.is_ok() && !is_another);
    if is_another {
        object.boolean("another_file", true);
    }
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
    if let Some(reader) = reader {
        object.number("bytes", reader.file_len());
        object.number("events", reader.events());
        object.number("blocks", reader.statistics().blocks);
        object.text("file_digest", &hex(&reader.file_digest()));
        object.text("content_digest", &hex(&reader.content_digest()));
    }
    object.end_line();
}
