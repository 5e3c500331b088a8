//! `esdb count`: how many events, by whatever the columns and tables know.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use esdb_format::{CountBy, CountKey, KeyPart, Unit};

use crate::args::Usage;
use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::object::Object;
use crate::output::stdout::Stdout;
use crate::output::table::{Align, Table, bar};
use crate::select::{SelectArgs, parse_base64};
use crate::text::{escape, quote};
use crate::times::bucket::Bucket;

/// How long the longest bar is on a terminal.
const BAR: u64 = 30;

/// Count events without reading their data
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb count activity.esdb
  esdb count activity.esdb --by index type day
  esdb count activity.esdb -s customer-1 -i type=purchase -S -30d --by day

An event with several values of an index counts for each of them, one without a value for none. Hours, \
days and months are those of UTC. Rows are in the order of their keys.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    #[command(flatten)]
    select: SelectArgs,

    #[command(flatten)]
    by: ByArgs,

    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

/// One thing that events are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Index(Vec<u8>),
    Space,
    Grouping,
    Time(Bucket),
}

/// The words of the flag `--by`. Those of one occurrence stay together: an index and its name are two.
#[derive(Clone, Debug, Default)]
struct ByArgs(Vec<Vec<OsString>>);

impl clap::Args for ByArgs {
    fn augment_args(command: Command) -> Command {
        let help = "Count by one thing or several: index NAME, space, grouping, hour, day, month. \
                    index-base64 NAME takes the name in base64";
        let by = Arg::new("by").long("by").value_name("KEY").num_args(1..).action(ArgAction::Append);
        command.arg(by.value_parser(value_parser!(OsString)).help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ByArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut by = Self::default();
        by.update_from_arg_matches(matches)?;
        Ok(by)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let occurrences = matches.get_occurrences::<OsString>("by").into_iter().flatten();
        self.0.extend(occurrences.map(|words| words.cloned().collect()));
        Ok(())
    }
}

impl ByArgs {
    fn parse(&self) -> Result<Vec<By>, Usage> {
        let mut all = Vec::new();
        for words in &self.0 {
            let words = words.iter().map(|word| word.as_encoded_bytes());
            read_words(words, &mut all).map_err(|reason| Usage(format!("--by: {reason}")))?;
        }
        Ok(all)
    }
}

fn read_words<'a>(mut words: impl Iterator<Item = &'a [u8]>, all: &mut Vec<By>) -> Result<(), String> {
    while let Some(word) = words.next() {
        let mut name = || words.next().ok_or_else(|| format!("{} needs a NAME", quote(word)));
        let by = match word {
            b"index" => By::Index(name()?.to_vec()),
            b"index-base64" => {
                let name = std::str::from_utf8(name()?).map_err(|_| "a name is not base64")?;
                By::Index(parse_base64(name)?.0)
            }
            b"space" => By::Space,
            b"grouping" => By::Grouping,
            b"hour" => By::Time(Bucket::Hour),
            b"day" => By::Time(Bucket::Day),
            b"month" => By::Time(Bucket::Month),
            _ => {
                let known = "index NAME, space, grouping, hour, day or month";
                return Err(format!("{} is not {known}", quote(word)));
            }
        };
        let is_time = |by: &By| matches!(by, By::Time(_));
        if all.contains(&by) || (is_time(&by) && all.iter().any(is_time)) {
            return Err(format!(
                "{} comes too much: each key once, and one of hour, day, month",
                quote(word)
            ));
        }
        all.push(by);
    }
    Ok(())
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let by = &args.by.parse()?;
    let file = args.file.open()?;
    let failure = args.file.failure();
    let scan = args.select.scan(&file, &args.file.file)?;
    let mut out = Stdout::default();
    if by.is_empty() {
        let total = scan.total().map_err(&failure)?;
        if args.json {
            let mut object = Object::begin(&mut out.bytes);
            object.number("count", total);
            object.end_line();
        } else {
            out.bytes.extend_from_slice(format!("{total}\n").as_bytes());
        }
    } else {
        let unit = file.unit();
        let bucket = by.iter().find_map(|by| if let By::Time(bucket) = by { Some(*bucket) } else { None });
        let stretch = |time| bucket.unwrap_or(Bucket::Day).stretch(time, unit);
        let library_by: Vec<CountBy> = by.iter().map(By::library).collect();
        let counts = scan.count_by(&library_by, &stretch).map_err(&failure)?;
        if args.json {
            for (key, count) in &counts {
                write_object(by, key, *count, unit, &mut out.bytes);
                out.flush_if_full()?;
            }
        } else {
            write_table(by, counts.iter(), unit, &mut out.bytes);
        }
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn write_object(by: &[By], key: &CountKey, count: u64, unit: Unit, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    let mut pairs = Vec::new();
    for (by, part) in by.iter().zip(key) {
        match (by, part) {
            (By::Index(name), KeyPart::Bytes(value)) => pairs.push((name.as_slice(), value.as_slice())),
            (By::Time(bucket), KeyPart::Time(first)) => match bucket.label(*first, unit) {
                Some(label) => object.text(bucket.name(), &label),
                None => object.number(bucket.name(), *first),
            },
            (By::Grouping, KeyPart::Bytes(key)) => object.bytes("grouping", key),
            (_, KeyPart::Bytes(key)) => object.bytes("space", key),
            (_, KeyPart::Time(first)) => object.number("time", *first),
        }
    }
    if !pairs.is_empty() {
        pairs.sort_unstable();
        object.indexes(pairs.into_iter());
    }
    object.number("count", count);
    object.end_line();
}

fn write_table<'a>(
    by: &[By],
    counts: impl Iterator<Item = (&'a CountKey, &'a u64)> + Clone,
    unit: Unit,
    out: &mut Vec<u8>,
) {
    let with_bars = Stdout::is_terminal();
    let most = counts.clone().map(|(_, count)| *count).max().unwrap_or(0);
    let aligns = by.iter().map(|_| Align::Left).chain([Align::Right, Align::Left]);
    let mut table = Table::new(aligns);
    table.row(by.iter().map(By::title).chain(["count".to_owned()]));
    for (key, count) in counts {
        let cells = by.iter().zip(key).map(|(by, part)| by.show(part, unit));
        let bar = if with_bars { bar(*count, most, BAR) } else { String::new() };
        table.row(cells.chain([count.to_string(), bar]));
    }
    table.write(out);
}

impl By {
    fn library(&self) -> CountBy {
        match self {
            Self::Index(name) => CountBy::Index(name.clone()),
            Self::Space => CountBy::Space,
            Self::Grouping => CountBy::Grouping,
            Self::Time(_) => CountBy::Time,
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Index(name) => escape(name).to_string(),
            Self::Space => "space".to_owned(),
            Self::Grouping => "grouping".to_owned(),
            Self::Time(bucket) => bucket.name().to_owned(),
        }
    }

    fn show(&self, part: &KeyPart, unit: Unit) -> String {
        match (self, part) {
            (Self::Time(bucket), KeyPart::Time(first)) => {
                bucket.label(*first, unit).unwrap_or_else(|| first.to_string())
            }
            (_, KeyPart::Time(first)) => first.to_string(),
            (_, KeyPart::Bytes(key)) => escape(key).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(occurrences: &[&str]) -> Result<Vec<By>, String> {
        let words = |line: &&str| line.split(' ').map(OsString::from).collect();
        ByArgs(occurrences.iter().map(words).collect()).parse().map_err(|usage| usage.0)
    }

    #[test]
    fn words_are_read_in_one_occurrence_or_several() {
        let expected = Ok(vec![By::Index(b"day".to_vec()), By::Time(Bucket::Day)]);
        assert_eq!(read(&["index day day"]), expected);
        assert_eq!(read(&["index day", "day"]), expected);
        assert_eq!(read(&["index-base64 ZGF5", "day"]), expected);
        assert_eq!(read(&["space grouping month"]).map(|by| by.len()), Ok(3));
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        assert_eq!(read(&["index", "day"]), Err("--by: \"index\" needs a NAME".to_owned()));
        assert!(read(&["year"]).expect_err("unknown").starts_with("--by: \"year\" is not index NAME, space"));
        assert!(read(&["day", "hour"]).is_err());
        assert!(read(&["index a index a"]).is_err());
    }
}
