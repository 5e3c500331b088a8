//! `esdb recover`: what is whole in a damaged file, into a new one.

use std::path::{Path, PathBuf};

use esdb_format::{End, Recovered, Recovery};

use crate::files::check_output;
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::summary::Written;
use crate::text::{counted, escape, grouped, more_places, place};
use crate::writing::WritingArgs;

/// Save the events of a damaged or unfinished file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb recover broken.esdb -o saved.esdb
  esdb recover activity.esdb.tmp-4711-0 -o activity.esdb

Saves every event whose block and payload frame are whole; tables are not needed, and are made anew. The new \
file is verified before it appears. Prints a line for each place that cost something, and what was lost in \
all. Unit, codec, frame size and metadata are those of the damaged file, where no flag says otherwise. Exit \
code 0 if the file was whole, 3 if anything of it is damaged or missing, 1 if nothing is readable.")]
pub(crate) struct Args {
    /// Damaged file, or the temporary of an import that was killed
    #[arg(value_name = "BROKEN")]
    broken: PathBuf,

    #[command(flatten)]
    writing: WritingArgs,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<Outcome, Failure> {
    let output = &args.writing.output;
    check_output(output, args.writing.force, std::iter::once(args.broken.as_path()))?;
    let broken = Recovery::open(&args.broken).map_err(Failure::of(&args.broken))?;
    let (unit, bytes_in) = (broken.unit(), broken.file_len());
    let options = args.writing.options_over(broken.options(), broken.codec())?;
    let writer = args.writing.create(options)?;
    let recovered = broken.write(writer).map_err(Failure::of(&args.broken))?;

    let written = Written { output, unit, summary: &recovered.summary, bytes_in };
    let mut out = Stdout::default();
    if args.json {
        let mut object = Object::begin(&mut out.bytes);
        object.bytes("file", args.broken.as_os_str().as_encoded_bytes());
        write_members(&recovered, &mut object);
        written.members(&mut object);
        object.end_line();
    } else {
        write_lines(&args.broken, &recovered, &mut out.bytes);
    }
    out.flush()?;
    written.say(quiet);
    let was_whole = recovered.is_complete() && !recovered.tables_are_damaged;
    Ok(if was_whole { Outcome::Done } else { Outcome::Lossy })
}

fn write_lines(path: &Path, recovered: &Recovered, out: &mut Vec<u8>) {
    let name = escape(path.as_os_str().as_encoded_bytes()).to_string();
    let mut line = |text: String| out.extend_from_slice(format!("{name}: {text}\n").as_bytes());
    for loss in &recovered.losses {
        let events = match loss.events {
            Some(0) => "no event lost".to_owned(),
            Some(events) => format!("{} lost", counted(events, "event", "events")),
            None => "nobody knows how many events lost".to_owned(),
        };
        line(format!("{}: {events}: {}", place(&loss.bytes), escape(loss.reason.as_bytes())));
    }
    more_places(recovered.loss_count, recovered.losses.len()).into_iter().for_each(&mut line);
    if recovered.header_is_damaged {
        line("the header is damaged".to_owned());
    }
    match recovered.end {
        End::Whole => {}
        End::Damaged => line("the footer is damaged".to_owned()),
        End::Missing => line("the end is missing: it was cut off, or never finished".to_owned()),
    }
    if recovered.end == End::Whole && !recovered.header_is_damaged && recovered.tables_are_damaged {
        line("a dictionary or a table is damaged".to_owned());
    }
    if recovered.metadata_lost {
        line("metadata lost, if there was any".to_owned());
    }
    if recovered.digest_differs == Some(true) && recovered.events_lost == 0 {
        line("the events are not those that the content digest stands for".to_owned());
    }
    line(sum(recovered));
}

/// What was saved and lost in all.
fn sum(recovered: &Recovered) -> String {
    let events = counted(recovered.summary.events, "event", "events");
    let whole = counted(recovered.blocks_saved, "whole block", "whole blocks");
    let in_part = format!("{} in part", counted(recovered.blocks_in_part, "block", "blocks"));
    let blocks = match (recovered.blocks_saved, recovered.blocks_in_part) {
        (_, 0) => whole,
        (0, _) => in_part,
        _ => format!("{whole} and {in_part}"),
    };
    let lost = match (recovered.events_lost, recovered.may_be_more) {
        (0, true) => "how many were lost is not known".to_owned(),
        (0, false) => "none lost".to_owned(),
        (lost, true) => format!("at least {} lost", grouped(lost)),
        (lost, false) => format!("{} lost", grouped(lost)),
    };
    format!("{events} saved, of {blocks}; {lost}")
}

fn write_members(recovered: &Recovered, object: &mut Object<'_>) {
    object.boolean("complete", recovered.is_complete());
    object.number("events_saved", recovered.summary.events);
    object.number("events_lost", recovered.events_lost);
    object.boolean("may_be_more", recovered.may_be_more);
    object.number("blocks_saved", recovered.blocks_saved);
    object.number("blocks_in_part", recovered.blocks_in_part);
    object.number("blocks_lost", recovered.blocks_lost);
    object.boolean("header_is_damaged", recovered.header_is_damaged);
    let end = match recovered.end {
        End::Whole => "whole",
        End::Damaged => "damaged",
        End::Missing => "missing",
    };
    object.text("end", end);
    object.boolean("tables_are_damaged", recovered.tables_are_damaged);
    object.boolean("metadata_lost", recovered.metadata_lost);
    if let Some(differs) = recovered.digest_differs {
        object.boolean("digest_differs", differs);
    }
    object.number("loss_count", recovered.loss_count);
    object.list("losses", &recovered.losses, |inner, loss| {
        inner.number("start", loss.bytes.start);
        inner.number("end", loss.bytes.end);
        if let Some(events) = loss.events {
            inner.number("events", events);
        }
        inner.text("reason", &loss.reason);
    });
}
