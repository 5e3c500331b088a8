//! `esdb convert`: files of the Go library of 2014 into a new one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use esdb_format::{Codec, LegacyKind, Unit, WriterOptions, limits};
use esdb_legacy::{Legacy, Options, Report};
use serde_json::Value;

use crate::args::Usage;
use crate::files::check_output;
use crate::input::args::parse_max_event;
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::summary::Written;
use crate::progress::Progress;
use crate::text::{counted, escape, more_places, place, quote};
use crate::times::parser::TimeParser;
use crate::writing::WritingArgs;

/// Bring files of the Go library of 2014 over
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb convert 2014.esdb -o activity.esdb
  esdb convert archive/*.esdb -o all.esdb --split-index url:host
  esdb convert log.stream -o log.esdb --space log --timestamp /created_at

Takes archives and streams, whole or damaged, told apart by what is in them. Events that the old reader hides \
are there. Prints a line for each place that is damaged and for what had to be decided, and what each file \
came to. Exit code 0 if everything was brought over, 3 if anything was lost or is in doubt, 1 if nothing of a \
file can be read. spec/legacy-go.md says what changes.

Timestamps are in seconds. A key with several colons is split at the first one, or behind a name that \
--split-index gives. Records of streams have no time: it is their number from 0, or what --timestamp points \
to in their JSON.")]
pub(crate) struct Args {
    /// Old files, archives or streams
    #[arg(value_name = "OLD", required = true)]
    files: Vec<PathBuf>,

    /// An index name that has colons: NAME:VALUE is split behind it. Repeatable
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    split_index: Vec<OsString>,

    /// Space of the events of streams [default: empty]
    #[arg(long, value_name = "SPACE", allow_hyphen_values = true)]
    space: Option<OsString>,

    /// Where the JSON of a stream's record has its time, such as /created_at (RFC 6901) [default: number the records]
    #[arg(long, value_name = "POINTER", value_parser = parse_pointer)]
    timestamp: Option<String>,

    /// Leave events with more data out, up to 1GiB - 1
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = parse_max_event)]
    max_event: usize,

    #[command(flatten)]
    writing: WritingArgs,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

fn parse_pointer(pointer: &str) -> Result<String, String> {
    if pointer.starts_with('/') { Ok(pointer.to_owned()) } else { Err("a pointer begins with /".to_owned()) }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<Outcome, Failure> {
    let output = &args.writing.output;
    if args.space().len() > limits::KEY {
        return Err(
            Usage(format!("--space has {} bytes, {} are possible", args.space().len(), limits::KEY)).into()
        );
    }
    check_output(output, args.writing.force, args.files.iter().map(PathBuf::as_path))?;
    let open = |path: &PathBuf| Legacy::open(path).map_err(Failure::of(path));
    let files: Vec<Legacy> = args.files.iter().map(open).collect::<Result<_, _>>()?;
    let options = WriterOptions::new().unit(Unit::Seconds);
    let options = args.writing.options_over(options, Codec::default())?.max_event(args.max_event);
    let mut writer = args.writing.create(options)?;

    let bytes_in = files.iter().map(Legacy::file_len).sum();
    let progress = Progress::new(Some(bytes_in), quiet);
    let mut reports = Vec::with_capacity(files.len());
    let (mut read, mut unknown) = (0, 0);
    for (path, file) in args.files.iter().zip(&files) {
        let len = file.file_len();
        let converted =
            file.convert(&args.options(unknown), &mut writer, &mut |at| progress.at(read + at.min(len)));
        let report = converted.inspect_err(|_| progress.done()).map_err(Failure::of(path))?;
        read += len;
        unknown += report.unknown_spaces;
        reports.push(report);
    }
    progress.at(read);
    progress.finishing();
    let summary = writer.finish().map_err(Failure::of(output));
    progress.done();

    let summary = summary?;
    let written = Written { output, unit: Unit::Seconds, summary: &summary, bytes_in };
    let mut out = Stdout::default();
    let files = args.files.iter().zip(&reports);
    if args.json {
        let mut object = Object::begin(&mut out.bytes);
        object.list("files", files, |inner, (path, report)| write_members(args, path, report, inner));
        written.members(&mut object);
        object.end_line();
    } else {
        files.for_each(|(path, report)| write_lines(args, path, report, &mut out.bytes));
    }
    out.flush()?;
    written.say(quiet);
    Ok(if reports.iter().all(Report::is_complete) { Outcome::Done } else { Outcome::Lossy })
}

impl Args {
    /// The space of the events of streams.
    fn space(&self) -> &[u8] {
        self.space.as_deref().unwrap_or_default().as_encoded_bytes()
    }

    /// How the next file is read, when so many spaces have lost their ids.
    fn options(&self, unknown: u64) -> Options {
        let mut options =
            Options::new().memory(self.writing.memory).max_event(self.max_event).unknown(unknown);
        options = options.space(self.space());
        options = self
            .split_index
            .iter()
            .fold(options, |options, name| options.split_index(name.as_encoded_bytes()));
        if let Some(pointer) = self.timestamp.clone() {
            let parser = TimeParser::new(Unit::Nanoseconds).numbers(Some(Unit::Seconds));
            options = options.timestamp(Box::new(move |data| timestamp(data, &pointer, &parser)));
        }
        options
    }

    /// What became the timestamps of a stream.
    fn timestamps(&self) -> String {
        match &self.timestamp {
            Some(pointer) => format!(
                "timestamps are those at {} of the records, in whole seconds",
                quote(pointer.as_bytes())
            ),
            None => "timestamps are the numbers of the records, from 0".to_owned(),
        }
    }
}

/// The time at a place of a record's JSON: RFC 3339, or a number of seconds; fractions are cut off.
fn timestamp(data: &[u8], pointer: &str, parser: &TimeParser) -> Result<i64, String> {
    let value: Value = serde_json::from_slice(data).map_err(|error| format!("not JSON: {error}"))?;
    let nanos = match value.pointer(pointer) {
        Some(Value::String(text)) => parser.text(text),
        Some(Value::Number(number)) => parser.number(&number.to_string()),
        Some(_) => return Err(format!("what stands at {} is no time", quote(pointer.as_bytes()))),
        None => return Err(format!("nothing stands at {}", quote(pointer.as_bytes()))),
    };
    Ok(nanos.map_err(|error| error.to_string())?.div_euclid(1_000_000_000))
}

fn kind_of(report: &Report) -> &'static str {
    match (report.kind, report.is_closed) {
        (LegacyKind::Archive, _) => "archive",
        (LegacyKind::Stream, true) => "closed stream",
        (LegacyKind::Stream, false) => "open stream",
    }
}

fn write_lines(args: &Args, path: &Path, report: &Report, out: &mut Vec<u8>) {
    let name = escape(path.as_os_str().as_encoded_bytes()).to_string();
    let mut line = |text: String| out.extend_from_slice(format!("{name}: {text}\n").as_bytes());
    for loss in &report.losses {
        line(format!("{}: {}", place(&loss.bytes), escape(loss.reason.as_bytes())));
    }
    more_places(report.loss_count, report.losses.len()).into_iter().for_each(&mut line);
    for ambiguity in &report.ambiguities {
        let keys = counted(ambiguity.keys, "key has", "keys have");
        let (name, value) = (quote(&ambiguity.name), quote(&ambiguity.value));
        line(format!(
            "index {name}: {keys} several colons, split at the first, as in {name} = {value}; --split-index decides otherwise"
        ));
    }
    for note in &report.notes {
        line(escape(note.as_bytes()).to_string());
    }
    if report.kind == LegacyKind::Stream {
        let space = quote(args.space());
        line(format!("the space is {space}, {}", args.timestamps()));
    }
    line(sum(report));
}

/// What a file came to.
fn sum(report: &Report) -> String {
    let spaces = counted(report.spaces, "space", "spaces");
    let groupings = counted(report.groupings, "grouping", "groupings");
    let mut text = format!(
        "{}, {} in {spaces} and {groupings}, {}",
        kind_of(report),
        counted(report.events, "event", "events"),
        counted(report.index_entries, "index entry", "index entries"),
    );
    if report.hidden_events + report.hidden_entries > 0 {
        let events = counted(report.hidden_events, "event", "events");
        let entries = counted(report.hidden_entries, "index entry", "index entries");
        text += &format!("; {events} and {entries} that the old reader hides");
    }
    if report.repeated_entries > 0 {
        text += &format!(
            "; {} stood there twice",
            counted(report.repeated_entries, "index entry", "index entries")
        );
    }
    let lost = match (report.is_complete(), report.events_lost, report.entries_lost) {
        (true, ..) => "nothing lost".to_owned(),
        (false, 0, 0) => "nothing is known to be lost, but something is damaged".to_owned(),
        (false, events, entries) => format!(
            "at least {} and {} lost",
            counted(events, "event", "events"),
            counted(entries, "index entry", "index entries")
        ),
    };
    format!("{text}; {lost}")
}

fn write_members(args: &Args, path: &Path, report: &Report, object: &mut Object<'_>) {
    object.bytes("file", path.as_os_str().as_encoded_bytes());
    object.text("kind", kind_of(report));
    object.boolean("complete", report.is_complete());
    object.number("bytes", report.file_len);
    object.number("spaces", report.spaces);
    object.number("groupings", report.groupings);
    object.number("events", report.events);
    object.number("index_entries", report.index_entries);
    object.number("repeated_entries", report.repeated_entries);
    object.number("hidden_events", report.hidden_events);
    object.number("hidden_entries", report.hidden_entries);
    object.number("events_lost", report.events_lost);
    object.number("entries_lost", report.entries_lost);
    object.number("unknown_spaces", report.unknown_spaces);
    object.number("unordered_groupings", report.unordered_groupings);
    if report.kind == LegacyKind::Stream {
        object.bytes("space", args.space());
        object.text("timestamps", args.timestamp.as_deref().unwrap_or("number"));
    }
    object.number("loss_count", report.loss_count);
    object.list("losses", &report.losses, |inner, loss| {
        inner.number("start", loss.bytes.start);
        inner.number("end", loss.bytes.end);
        inner.text("reason", &loss.reason);
    });
    object.number("ambiguous_keys", report.ambiguous_keys);
    object.list("ambiguities", &report.ambiguities, |inner, ambiguity| {
        inner.bytes("name", &ambiguity.name);
        inner.bytes("value", &ambiguity.value);
        inner.number("keys", ambiguity.keys);
    });
    object.list("notes", &report.notes, |inner, note| inner.text("note", note));
}
