//! `esdb merge`: several files into one.

use std::path::{Path, PathBuf};

use esdb_format::{Error, ErrorKind, Reader, VerifyLevel, limits, merge};

use crate::files::{ReadArgs, check_output};
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::summary::Written;
use crate::writing::WritingArgs;

/// How much decoded data is kept of each file, in bytes: it is read once, from front to back.
const CACHE: usize = 1 << 20;

/// Combine files into a new one
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  esdb merge monday.esdb tuesday.esdb -o week.esdb

Events with equal space, grouping and timestamp come in the order of the files. The unit is the finest \
of all files; codec, frame size and metadata are those of the first one, where no flag says otherwise.")]
pub(crate) struct Args {
    /// Files to combine
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    how: ReadArgs,

    #[command(flatten)]
    writing: WritingArgs,

    /// Print the summary on standard output, as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<Outcome, Failure> {
    let output = &args.writing.output;
    check_output(output, args.writing.force, args.files.iter().map(PathBuf::as_path))?;
    let reading = args.how.options().cache(CACHE);
    let open = |path: &PathBuf| reading.open(path).map_err(Failure::of(path));
    let files: Vec<Reader> = args.files.iter().map(open).collect::<Result<_, _>>()?;
    // Any file's times can be told in the finest unit of all.
    let unit = files.iter().map(Reader::unit).max_by_key(|unit| unit.per_second()).unwrap_or_default();

    let options = args.writing.options(files.first())?.unit(unit).max_event(limits::DATA);
    let writer = args.writing.create(options)?;
    let summary = merge(&files, writer).map_err(|error| blame(&args.files, &files, output, error))?;
    let bytes_in = files.iter().map(Reader::file_len).sum();
    let written = Written { output, unit, summary: &summary, bytes_in };
    if args.json {
        let mut out = Stdout::default();
        let mut object = Object::begin(&mut out.bytes);
        written.members(&mut object);
        object.end_line();
        out.flush()?;
    }
    written.say(quiet);
    Ok(Outcome::Done)
}

/// Names the file that a failed merge is about. An error that speaks of damage does not say whose it is.
fn blame(paths: &[PathBuf], files: &[Reader], output: &Path, error: Error) -> Failure {
    if error.kind() == ErrorKind::Corrupt {
        for (path, file) in paths.iter().zip(files) {
            if let Some(problem) = file.verify(VerifyLevel::Checksums).problems.into_iter().next() {
                return Failure::of(path)(problem);
            }
        }
        return Failure::of_file(output, &format!("an input is damaged: {error}"));
    }
    Failure::of(output)(error)
}
