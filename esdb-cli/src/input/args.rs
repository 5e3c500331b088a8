//! The flags that say what the inputs are and how they become events.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use esdb_format::Unit;

use super::errors::Fatal;
use super::fill::{MAX_DATA, check_key};
use super::mapping::{Field, Mapping};
use super::open::{is_stdin, name_of};
use super::rejects::{OnError, Rejects};
use super::{Layout, Source};
use crate::args::{Usage, parse_bytes};
use crate::text::quote;
use crate::times::parse_unit;
use crate::times::parser::TimeParser;

/// What an input's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values with a header row
    Csv,
}

/// Inputs, mapping, times and errors.
#[derive(Args, Clone, Debug)]
pub(crate) struct InputArgs {
    /// Files to read in order, `-` for standard input [default: -]. gzip and zstd are unpacked
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Format of the inputs [default: csv for names ending in .csv or .tsv, packed or not, else ndjson]
    #[arg(long, value_enum, help_heading = "Input")]
    pub(crate) format: Option<FormatArg>,

    /// Character between the cells of CSV, one byte [default: a tab for .tsv, else a comma]
    #[arg(long, value_name = "CHAR", value_parser = parse_delimiter, help_heading = "Input")]
    pub(crate) delimiter: Option<u8>,

    /// Largest data of an event, such as 64MiB; at most 1 GiB - 1. A line may be twice as long, plus 1 MiB
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = parse_max_event, help_heading = "Input")]
    pub(crate) max_event: usize,

    /// Where the space is found. A FIELD is a top-level key or column name, taken whole, or a JSON Pointer
    /// such as /user/id if it begins with `/`
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, help_heading = "Mapping of foreign input")]
    pub(crate) space: Option<OsString>,

    /// Space of records that have none
    #[arg(long, value_name = "SPACE", allow_hyphen_values = true, help_heading = "Mapping of foreign input")]
    pub(crate) default_space: Option<OsString>,

    /// Where the timestamp is found
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, help_heading = "Mapping of foreign input")]
    pub(crate) timestamp: Option<OsString>,

    /// Where the grouping is found; empty where absent or null
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, help_heading = "Mapping of foreign input")]
    pub(crate) grouping: Option<OsString>,

    /// An index and where its value is found; an array gives several values, absent or null none. Repeatable
    #[arg(
        long,
        value_name = "NAME=FIELD",
        allow_hyphen_values = true,
        help_heading = "Mapping of foreign input"
    )]
    pub(crate) index: Vec<OsString>,

    /// Where the data is found: a string's content, the JSON text of any other value, a CSV cell
    /// [default: the whole line; of CSV the row as a JSON object of strings]
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, help_heading = "Mapping of foreign input")]
    pub(crate) data: Option<OsString>,

    /// strptime format of timestamps that are text [default: rfc3339]
    #[arg(
        long,
        value_name = "FORMAT",
        allow_hyphen_values = true,
        conflicts_with = "timestamp_unit",
        help_heading = "Mapping of foreign input"
    )]
    pub(crate) timestamp_format: Option<String>,

    /// Zone of times without an offset, UTC or an IANA name such as Europe/Berlin; without it they are refused
    #[arg(long, value_name = "ZONE", help_heading = "Mapping of foreign input")]
    pub(crate) timezone: Option<String>,

    /// Unit of timestamps that are numbers since 1970, fractions allowed: s, ms, us or ns
    #[arg(long, value_name = "UNIT", value_parser = parse_unit, help_heading = "Mapping of foreign input")]
    pub(crate) timestamp_unit: Option<Unit>,

    /// Unit of the file's timestamps: s, ms, us or ns [default: ms]. Finer times are refused, never rounded
    #[arg(long, value_name = "UNIT", value_parser = parse_unit, help_heading = "Input")]
    pub(crate) unit: Option<Unit>,

    /// What to do with a malformed record
    #[arg(long, value_enum, value_name = "ACTION", default_value_t, help_heading = "Input")]
    pub(crate) on_error: OnError,

    /// File that keeps the malformed records, byte for byte; needs --on-error skip
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(crate) rejects: Option<PathBuf>,
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "\\t" => Ok(b'\t'),
        [b'"' | b'\n' | b'\r'] => Err("a quote or a line end can not separate cells".to_owned()),
        [delimiter] if delimiter.is_ascii() => Ok(*delimiter),
        _ => Err("a delimiter is one ASCII character, or \\t".to_owned()),
    }
}

/// Reads a limit of events' data.
pub(crate) fn parse_max_event(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        count @ 1..=MAX_DATA => Ok(count),
        _ => Err(format!("an event has from 1 to {MAX_DATA} bytes (1 GiB - 1)")),
    }
}

/// An input that is ready to be opened.
#[derive(Clone)]
pub(crate) struct Input {
    /// `-` for standard input.
    pub(crate) path: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) max_data: usize,
}

impl Input {
    /// Opens the input.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    pub(crate) fn open(&self) -> Result<Source, Fatal> {
        Source::open(&self.path, &self.layout, self.max_data)
    }
}

impl InputArgs {
    /// Checks the flags against one another, before anything is opened. `unit` is the file's.
    ///
    /// # Errors
    ///
    /// Flags that contradict one another or lack one, or a value that can not be meant.
    pub(crate) fn inputs(&self, unit: Unit) -> Result<Vec<Input>, Usage> {
        let stdin = [PathBuf::from("-")];
        let paths = if self.inputs.is_empty() { &stdin[..] } else { &self.inputs };
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(Usage("standard input (-) can be read only once".to_owned()));
        }
        if self.rejects.is_some() && self.on_error == OnError::Stop {
            return Err(Usage("--rejects needs --on-error skip".to_owned()));
        }
        let mapping = self.mapping(unit)?.map(Arc::new);
        let input = |path: &PathBuf| {
            let layout = self.layout(path, unit, mapping.as_ref())?;
            Ok(Input { path: path.clone(), layout, max_data: self.max_event })
        };
        paths.iter().map(input).collect()
    }

    /// What `--on-error` and `--rejects` ask for. `output` is the file the job writes.
    ///
    /// # Errors
    ///
    /// As [`Rejects::keep_in`].
    pub(crate) fn rejects(&self, inputs: &[Input], output: &Path, force: bool) -> Result<Rejects, Fatal> {
        let rejects = Rejects::new(self.on_error);
        let Some(path) = &self.rejects else { return Ok(rejects) };
        let files = inputs.iter().map(|input| input.path.as_path()).filter(|path| !is_stdin(path));
        let others: Vec<_> = files.chain([output]).collect();
        rejects.keep_in(path, force, &others)
    }

    /// What the input at `path` is, by `--format` or by its name.
    fn layout(&self, path: &Path, unit: Unit, mapping: Option<&Arc<Mapping>>) -> Result<Layout, Usage> {
        let refuse = |reason: &str| Err(Usage(format!("{}: {reason}", name_of(path))));
        let (by_name, tabs) = format_of(path);
        match (self.format.unwrap_or(by_name), mapping) {
            (FormatArg::Csv, Some(mapping)) => {
                if let Some((_, field)) = mapping.fields().find(|(_, field)| !field.inner.is_empty()) {
                    return refuse(&format!("{field} points into a value; a CSV cell has no inside"));
                }
                let delimiter = self.delimiter.unwrap_or(if tabs { b'\t' } else { b',' });
                Ok(Layout::Csv(Arc::clone(mapping), delimiter))
            }
            (FormatArg::Csv, None) => {
                refuse("CSV needs --space FIELD and --timestamp FIELD, named as in its header")
            }
            (FormatArg::Ndjson, _) if self.delimiter.is_some() => {
                refuse("--delimiter is for CSV; --format csv says that this is")
            }
            (FormatArg::Ndjson, Some(mapping)) => Ok(Layout::Foreign(Arc::clone(mapping))),
            (FormatArg::Ndjson, None) => Ok(Layout::Native(unit)),
        }
    }

    fn mapping(&self, unit: Unit) -> Result<Option<Mapping>, Usage> {
        let is_on = self.space.is_some() || self.timestamp.is_some() || self.default_space.is_some();
        if !is_on {
            let set = [
                ("--grouping", self.grouping.is_some()),
                ("--index", !self.index.is_empty()),
                ("--data", self.data.is_some()),
                ("--timestamp-format", self.timestamp_format.is_some()),
                ("--timezone", self.timezone.is_some()),
                ("--timestamp-unit", self.timestamp_unit.is_some()),
            ];
            return match set.iter().find(|(_, is_set)| *is_set) {
                None => Ok(None),
                Some((flag, _)) => Err(Usage(format!(
                    "{flag} is for foreign input: also say where --space and --timestamp are found; \
                     native lines name their parts themselves"
                ))),
            };
        }
        let Some(timestamp) = &self.timestamp else {
            return Err(Usage("foreign input needs --timestamp FIELD as well".to_owned()));
        };
        if self.space.is_none() && self.default_space.is_none() {
            return Err(Usage("foreign input needs --space FIELD or --default-space as well".to_owned()));
        }
        let field = |written: &OsString| Field::parse(written.as_encoded_bytes()).map_err(Usage);
        let times = TimeParser::new(unit).numbers(self.timestamp_unit);
        let times = times
            .format(self.timestamp_format.as_deref())
            .map_err(|reason| Usage(format!("--timestamp-format: {reason}")))?
            .zone(self.timezone.as_deref())
            .map_err(|reason| Usage(format!("--timezone: {reason}")))?;
        let default_space = self.default_space.as_ref().map(|space| space.as_encoded_bytes().to_vec());
        let mapping = Mapping {
            space: self.space.as_ref().map(field).transpose()?,
            timestamp: field(timestamp)?,
            grouping: self.grouping.as_ref().map(field).transpose()?,
            indexes: self
                .index
                .iter()
                .map(|pair| parse_index(pair.as_encoded_bytes()))
                .collect::<Result<_, _>>()?,
            data: self.data.as_ref().map(field).transpose()?,
            default_space,
            times,
            max_data: self.max_event,
        };
        let too_long = mapping
            .indexes
            .iter()
            .map(|(name, _)| ("--index: the name", name))
            .chain(mapping.default_space.iter().map(|space| ("--default-space:", space)))
            .find_map(|(what, key)| check_key(key, what, 0).err());
        too_long.map_or(Ok(Some(mapping)), |problem| Err(Usage(problem.message)))
    }
}

/// Reads `NAME=FIELD`. The name ends at the first `=`.
fn parse_index(pair: &[u8]) -> Result<(Vec<u8>, Field), Usage> {
    let Some(equals) = memchr::memchr(b'=', pair) else {
        return Err(Usage(format!("--index {} is not NAME=FIELD", quote(pair))));
    };
    let (name, field) = pair.split_at(equals);
    Ok((name.to_vec(), Field::parse(field.get(1..).unwrap_or_default()).map_err(Usage)?))
}

/// The format that a file's name tells, and whether its cells are separated by tabs.
fn format_of(path: &Path) -> (FormatArg, bool) {
    let name = path.as_os_str().as_encoded_bytes().to_ascii_lowercase();
    let name =
        [".gz", ".zst"].iter().find_map(|packed| name.strip_suffix(packed.as_bytes())).unwrap_or(&name);
    let tabs = name.ends_with(b".tsv");
    let format = if tabs || name.ends_with(b".csv") { FormatArg::Csv } else { FormatArg::Ndjson };
    (format, tabs)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use esdb_format::EventBuf;

    use super::*;

    /// Imports.
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        input: InputArgs,
    }

    fn parse(line: &str) -> Result<InputArgs, String> {
        let words = std::iter::once("import").chain(line.split_whitespace());
        Command::try_parse_from(words).map(|command| command.input).map_err(|error| error.to_string())
    }

    fn inputs(line: &str) -> Result<Vec<Input>, String> {
        parse(line)?.inputs(Unit::Milliseconds).map_err(|usage| usage.0)
    }

    fn kind(inputs: &[Input]) -> &'static str {
        match inputs[0].layout {
            Layout::Native(_) => "native",
            Layout::Foreign(_) => "foreign",
            Layout::Csv(_, b'\t') => "tsv",
            Layout::Csv(_, b',') => "csv",
            Layout::Csv(..) => "other",
        }
    }

    #[test]
    fn flags_are_consistent_and_leave_the_help_of_the_verb_alone() {
        let command = <Command as clap::CommandFactory>::command();
        command.clone().debug_assert();
        assert_eq!(command.get_about().map(ToString::to_string).as_deref(), Some("Imports"));
    }

    #[test]
    fn formats_follow_names_unless_told() {
        let map = "--space s --timestamp t";
        for (line, expected) in [
            (String::new(), "native"),
            ("a.ndjson".into(), "native"),
            ("--format ndjson a.csv".into(), "native"),
            (map.into(), "foreign"),
            (format!("a.CSV {map}"), "csv"),
            (format!("a.csv.gz {map}"), "csv"),
            (format!("a.tsv.zst {map}"), "tsv"),
            (format!("a.tsv --delimiter ; {map}"), "other"),
            (format!("- --format csv {map}"), "csv"),
            (format!("a.csv.ndjson {map}"), "foreign"),
            ("--default-space x --timestamp /a/b".into(), "foreign"),
        ] {
            assert_eq!(inputs(&line).map(|inputs| kind(&inputs)), Ok(expected), "{line}");
        }
    }

    #[test]
    fn contradicting_flags_are_refused_with_the_way_out() {
        for (line, expected) in [
            (
                "--grouping g",
                "--grouping is for foreign input: also say where --space and --timestamp are found",
            ),
            ("--index a=b", "--index is for foreign input"),
            ("--timezone UTC", "--timezone is for foreign input"),
            ("--timestamp-unit s", "--timestamp-unit is for foreign input"),
            ("--space s", "foreign input needs --timestamp FIELD as well"),
            ("--timestamp t", "foreign input needs --space FIELD or --default-space as well"),
            ("a.csv", "a.csv: CSV needs --space FIELD and --timestamp FIELD"),
            ("a.csv --space s --timestamp /t/x", "a.csv: \"/t/x\" points into a value"),
            ("--delimiter ; --space s --timestamp t", "<stdin>: --delimiter is for CSV"),
            ("--space s --timestamp t --index a", "--index \"a\" is not NAME=FIELD"),
            ("--space /~ --timestamp t", "\"/~\" is not a JSON Pointer"),
            ("--space s --timestamp t --timezone Mars", "--timezone: there is no time zone \"Mars\""),
            (
                "--space s --timestamp t --timestamp-format %H",
                "--timestamp-format: \"%H\" does not say a whole date",
            ),
            ("- a -", "standard input (-) can be read only once"),
            ("--rejects r", "--rejects needs --on-error skip"),
            (
                "--timestamp-unit s --timestamp-format %s",
                "error: the argument '--timestamp-unit <UNIT>' cannot be used",
            ),
            ("--unit h", "error: invalid value 'h' for '--unit <UNIT>': a unit is one of s, ms, us, ns"),
            (
                "--max-event 1GiB",
                "error: invalid value '1GiB' for '--max-event <BYTES>': an event has from 1 to 1073741823",
            ),
            ("--max-event 0", "error: invalid value '0'"),
            ("--delimiter ab", "error: invalid value 'ab'"),
        ] {
            let message = inputs(line).err().expect(line);
            assert!(message.starts_with(expected), "{line}: {message}");
        }
        let long = format!("--timestamp t --default-space {}", "x".repeat(65_536));
        assert!(inputs(&long).err().expect("too long").starts_with("--default-space: \"xxx"));
    }

    #[test]
    fn index_names_end_at_the_first_equals_sign_and_values_may_begin_with_a_hyphen() {
        let args =
            parse("--space -s --timestamp -t --index a=b=c --index =x --default-space -1").expect("flags");
        let mapping = args.mapping(Unit::Seconds).expect("mapping").expect("on");
        let indexes: Vec<_> =
            mapping.indexes.iter().map(|(name, field)| (name.as_slice(), field.key.as_slice())).collect();
        assert_eq!(indexes, [(&b"a"[..], &b"b=c"[..]), (b"", b"x")]);
        assert_eq!(mapping.space.expect("space").key, b"-s");
        assert_eq!(mapping.default_space.as_deref(), Some(&b"-1"[..]));
    }

    #[test]
    fn opened_inputs_give_events() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "s,t\nx,2014-06-23 15:08:39\n").expect("write");
        let line = format!("{} --space s --timestamp t --timezone UTC", path.display());
        let mut source = inputs(&line).expect("flags")[0].open().expect("open");
        let mut event = EventBuf::default();
        assert_eq!(source.next(&mut event), Ok(true));
        assert_eq!((event.space.as_slice(), event.timestamp), (&b"x"[..], 1_403_536_119_000));
        assert_eq!(source.next(&mut event), Ok(false));
    }
}
