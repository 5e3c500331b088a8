//! `esdb import`: text in, a file out.

use std::path::PathBuf;

use esdb_format::{ReaderOptions, Unit};

use crate::feed::{self, Fed};
use crate::files::check_output;
use crate::input::args::InputArgs;
use crate::input::open::{is_stdin, len_of};
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::summary::Written;
use crate::progress::Progress;
use crate::writing::WritingArgs;

/// Write events from NDJSON or CSV into a new file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb import -o activity.esdb activity.ndjson
  esdb import -o shop.esdb --space user --timestamp time --index type=type shop.ndjson.gz
  esdb scan old.esdb -S 2026-01 | esdb import --like old.esdb -o new.esdb

Events may come in any order; those with equal space, grouping and timestamp keep theirs. The output \
appears when it is whole: a malformed record, or any failure, leaves nothing behind.")]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    writing: WritingArgs,

    /// Take unit, metadata, codec and frame size from this file, where no flag says otherwise
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    like: Option<PathBuf>,

    /// Print the summary on standard output, as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<Outcome, Failure> {
    let like = args.like.as_ref().map(|path| ReaderOptions::new().open(path).map_err(Failure::of(path)));
    let like = like.transpose()?;
    let unit = args.input.unit.or(like.as_ref().map(|file| file.unit())).unwrap_or(Unit::Milliseconds);
    let inputs = args.input.inputs(unit)?;
    let options = args.writing.options(like.as_ref())?.unit(unit).max_event(args.input.max_event);
    drop(like);

    let output = &args.writing.output;
    let paths = inputs.iter().map(|input| input.path.as_path()).filter(|path| !is_stdin(path));
    check_output(output, args.writing.force, paths)?;
    let mut writer = args.writing.create(options)?;
    let rejects = args.input.rejects(&inputs, output, args.writing.force)?;

    let total = inputs.iter().map(|input| len_of(&input.path)).sum();
    let progress = Progress::new(total, quiet);
    let fed =
        feed::for_each(inputs, rejects, &progress, |event| writer.add(event).map_err(Failure::of(output)));
    let Fed { rejects, bytes } = fed.inspect_err(|_| progress.done())?;
    progress.finishing();
    let summary = writer.finish().map_err(Failure::of(output));
    progress.done();

    let summary = summary?;
    let written = Written { output, unit, summary: &summary, bytes_in: bytes };
    // The job is done whether or not somebody hears of it.
    let _ = rejects.report(&mut std::io::stderr());
    if args.json {
        let mut out = Stdout::default();
        let mut object = Object::begin(&mut out.bytes);
        written.members(&mut object);
        object.number("skipped", rejects.skipped());
        object.object("skipped_by_reason", |inner| {
            rejects.counts().for_each(|(reason, count)| inner.number(&reason.to_string(), count));
        });
        object.end_line();
        out.flush()?;
    }
    written.say(quiet);
    Ok(if rejects.skipped() > 0 { Outcome::Lossy } else { Outcome::Done })
}
