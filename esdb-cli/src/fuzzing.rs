//! The way in for the fuzzer: any bytes as an input of `import`. Built only with `--cfg fuzzing`.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use clap::{FromArgMatches, Parser};
use esdb_format::{EventBuf, Unit};

use crate::input::args::{Input, InputArgs};
use crate::input::errors::{Fatal, Fault};
use crate::input::open::{Progress, Stream, unpack};
use crate::input::{Layout, Source};
use crate::output::ndjson::write_line;

/// Ways to call the command: native lines, foreign ones, CSV.
const FLAGS: [&str; 8] = [
    "--max-event 300",
    "--unit ns",
    "--space s --timestamp t --grouping g --index i=i --index j=/i/0 --timestamp-unit s --unit us",
    "--default-space x --space /s/0 --timestamp /t/u --data d --timezone Europe/Berlin --max-event 300",
    "--default-space x --timestamp t --data /d/1 --timestamp-format %Y-%m-%dT%H:%M:%S%.f%z --unit ms",
    "--format csv --space s --timestamp t --grouping g --index i=i --timestamp-unit ms",
    "--format csv --space s --timestamp t --data d --delimiter ; --timezone UTC --max-event 300",
    "--format csv --default-space x --timestamp t --timestamp-format %d.%m.%Y_%H:%M --timezone America/New_York",
];

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    input: InputArgs,
}

/// What the flags say.
static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(|| FLAGS.iter().map(|flags| input(flags)).collect());

fn input(flags: &str) -> Input {
    let command = <Command as clap::CommandFactory>::command();
    let matches = command.try_get_matches_from(std::iter::once("import").chain(flags.split(' ')));
    let parsed = matches.and_then(|matches| Command::from_arg_matches(&matches));
    let args = parsed.unwrap_or_else(|error| panic!("{flags}: {error}")).input;
    let inputs = args.inputs(args.unit.unwrap_or(Unit::Milliseconds));
    inputs.unwrap_or_else(|usage| panic!("{flags}: {usage}")).remove(0)
}

/// The most text that packed bytes may become.
const MOST_TEXT: u64 = 1 << 20;

/// Hands out a few bytes at a time, as a pipe may.
struct Dribble {
    text: Cursor<Vec<u8>>,
    step: usize,
}

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(self.step);
        self.text.read(&mut buffer[..len])
    }
}

/// Reads `bytes` with the flags that `flags` chooses, `step` bytes at a time.
///
/// Every record is an event or is refused; a refused one is found, byte for byte, where the message says. An event is the same
/// after it was printed as a native line. How the bytes arrive changes nothing, nor whether records are taken away first.
pub fn import(flags: u8, step: u8, bytes: &[u8]) {
    let input = &INPUTS[usize::from(flags) % FLAGS.len()];
    let Ok(stream) = unpack(Cursor::new(bytes.to_vec()), "in") else { return };
    let mut text = Vec::new();
    if stream.take(MOST_TEXT).read_to_end(&mut text).is_err() {
        return;
    }
    let whole = records(input, &text, usize::MAX, false);
    for takes in [false, true] {
        let dribbled = records(input, &text, usize::from(step) + 1, takes);
        assert_eq!(whole, dribbled, "the same bytes in other pieces, taken away: {takes}");
    }
    let Ok(whole) = whole else { return };
    if !matches!(input.layout, Layout::Csv(..)) {
        let is_blank = |line: &[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        // A line that is too long is refused, whatever is in it.
        lines.retain(|line| !is_blank(line) || line.len() > 600);
        assert!(lines.iter().any(|line| is_blank(line)) || whole.len() == lines.len());
    }
    let events: Vec<EventBuf> = whole.into_iter().filter_map(Result::ok).map(sorted).collect();
    let printed: Vec<u8> = events.iter().flat_map(line_of).collect();
    let native = Input { layout: Layout::Native(Unit::Nanoseconds), max_data: 1 << 20, ..input.clone() };
    let again: Vec<Result<EventBuf, String>> =
        records(&native, &printed, usize::MAX, false).unwrap_or_default();
    let again = again.into_iter().map(|event| event.map(sorted)).collect::<Result<Vec<_>, _>>();
    assert_eq!(again, Ok(events), "{}", String::from_utf8_lossy(&printed));
}

/// What becomes of each record. `takes`: they are taken away first, as far as that goes.
fn records(
    input: &Input,
    text: &[u8],
    step: usize,
    takes: bool,
) -> Result<Vec<Result<EventBuf, String>>, Fatal> {
    let stream: Stream = Box::new(Dribble { text: Cursor::new(text.to_vec()), step });
    let mut source = Source::new("in".to_owned(), stream, Progress::none(), &input.layout, input.max_data)?;
    // One event for all: nothing of one may be left in the next.
    let (mut all, mut event) = (Vec::new(), EventBuf::default());
    while takes {
        let taken = source.take_whole(Vec::new()).unwrap_or_else(|fault| panic!("memory: {fault}"));
        match taken {
            Some(mut taken) => {
                while let Some(record) = next(&mut taken, text, &mut event)? {
                    all.push(record);
                }
            }
            None => match next(&mut source, text, &mut event)? {
                Some(record) => all.push(record),
                None => break,
            },
        }
    }
    while let Some(record) = next(&mut source, text, &mut event)? {
        all.push(record);
    }
    Ok(all)
}

/// What becomes of the next record, if there is one.
fn next(
    source: &mut Source,
    text: &[u8],
    event: &mut EventBuf,
) -> Result<Option<Result<EventBuf, String>>, Fatal> {
    match source.next(event) {
        Ok(true) => Ok(Some(Ok(event.clone()))),
        Ok(false) => Ok(None),
        Err(Fault::Fatal(fatal)) => Err(fatal),
        Err(Fault::Malformed(malformed)) => {
            let mut raw = Vec::new();
            source.copy_raw(&mut raw).unwrap_or_else(|_| panic!("memory"));
            let ends = memchr::memchr_iter(b'\n', text).map(|end| end + 1);
            let start = std::iter::once(0).chain(ends).nth(malformed.line as usize - 1);
            let there = start.and_then(|start| text.get(start..start + raw.len()));
            assert_eq!(there, Some(raw.as_slice()), "{malformed}");
            assert!((1..=raw.len() + 1).contains(&malformed.column), "{malformed}");
            Ok(Some(Err(malformed.to_string())))
        }
    }
}

/// The event as a file gives it back: pairs ascend, each once.
fn sorted(mut event: EventBuf) -> EventBuf {
    event.indexes.sort();
    event.indexes.dedup();
    event
}

fn line_of(event: &EventBuf) -> Vec<u8> {
    let mut line = Vec::new();
    let pairs = event.indexes.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    write_line(&mut line, &event.space, &event.grouping, event.timestamp, pairs, &event.data);
    line
}
