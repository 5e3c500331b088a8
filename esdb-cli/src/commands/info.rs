//! `esdb info`: facts at a glance, from the file's end alone.

use esdb_format::{Codec, Reader};

use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::sections::sections;
use crate::output::stdout::Stdout;
use crate::output::summary::hex;
use crate::output::table::{Align, Table};
use crate::text::{escape, grouped, size};
use crate::times::print;

/// Show what a file is and where its bytes are
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  esdb info activity.esdb

Digests are BLAKE3, as the file states them; esdb verify compares them. The digest of the content stays \
the same whatever codec or frame size holds the events.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let file = args.file.open()?;
    let mut out = Stdout::default();
    if args.json {
        write_object(&file, args.file.file.as_os_str().as_encoded_bytes(), &mut out.bytes);
    } else {
        write_facts(&file, &mut out.bytes);
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn write_facts(file: &Reader, out: &mut Vec<u8>) {
    let statistics = file.statistics();
    let unit = file.unit();
    let codec = match file.codec() {
        Codec::Zstd { level } => format!("zstd, level {level}"),
        codec => codec.name().to_owned(),
    };
    let dictionary = match file.dictionary_len() {
        0 => "none".to_owned(),
        len => size(len.into()),
    };
    let mut facts = Table::new([Align::Left, Align::Left]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("format", file.version().to_string());
    fact("bytes", format!("{} ({})", grouped(file.file_len()), size(file.file_len())));
    fact("events", grouped(file.events()));
    if let Some((first, last)) = file.time_range() {
        fact("first", print::show(first, unit));
        fact("last", print::show(last, unit));
    }
    fact("unit", unit.name().to_owned());
    fact("spaces", grouped(statistics.spaces));
    fact("groupings", grouped(statistics.groupings));
    fact("index names", grouped(statistics.names));
    fact("index values", grouped(statistics.values));
    fact("index entries", grouped(statistics.entries));
    fact("blocks", grouped(statistics.blocks));
    fact("frames", grouped(statistics.frames));
    fact("codec", codec);
    fact("frame size", size(file.frame_size().into()));
    fact("dictionary", dictionary);
    let ratio = statistics.data_bytes as f64 / statistics.frame_bytes.max(1) as f64;
    fact(
        "data",
        format!(
            "{}, stored in {} ({ratio:.2} : 1)",
            size(statistics.data_bytes),
            size(statistics.frame_bytes)
        ),
    );
    fact("file digest", hex(&file.file_digest()));
    fact("content digest", hex(&file.content_digest()));
    for (key, value) in file.metadata() {
        fact(&format!("meta {}", escape(key)), escape(value).to_string());
    }
    facts.write(out);

    let mut places = Table::new([Align::Left, Align::Right, Align::Right, Align::Right]);
    places.row(["section", "bytes", "%", "bytes per event"].map(str::to_owned));
    for (name, bytes) in sections(statistics, file.file_len()) {
        let percent = 100.0 * bytes as f64 / file.file_len().max(1) as f64;
        let per_event = bytes as f64 / file.events().max(1) as f64;
        places.row([name.to_owned(), grouped(bytes), format!("{percent:.1}"), format!("{per_event:.2}")]);
    }
    out.push(b'\n');
    places.write(out);
}

fn write_object(file: &Reader, name: &[u8], out: &mut Vec<u8>) {
    let statistics = file.statistics();
    let mut object = Object::begin(out);
    object.bytes("file", name);
    object.number("format", file.version());
    object.number("bytes", file.file_len());
    object.number("events", file.events());
    if let Some((first, last)) = file.time_range() {
        object.time("first", first, file.unit());
        object.time("last", last, file.unit());
    }
    object.text("unit", file.unit().name());
    object.number("spaces", statistics.spaces);
    object.number("groupings", statistics.groupings);
    object.number("index_names", statistics.names);
    object.number("index_values", statistics.values);
    object.number("index_entries", statistics.entries);
    object.number("blocks", statistics.blocks);
    object.number("frames", statistics.frames);
    object.text("codec", file.codec().name());
    if let Codec::Zstd { level } = file.codec() {
        object.number("level", level);
    }
    object.number("frame_size", file.frame_size());
    object.number("dictionary", file.dictionary_len());
    object.number("data_bytes", statistics.data_bytes);
    object.object("sections", |inner| {
        for (name, bytes) in sections(statistics, file.file_len()) {
            inner.number(&name.replace(' ', "_"), bytes);
        }
    });
    object.text("file_digest", &hex(&file.file_digest()));
    object.text("content_digest", &hex(&file.content_digest()));
    object.list("metadata", file.metadata(), |inner, (key, value)| {
        inner.bytes("key", key);
        inner.bytes("value", value);
    });
    object.end_line();
}
