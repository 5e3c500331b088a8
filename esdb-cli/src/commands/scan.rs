//! `esdb scan`: the selected events of a file, as text.

use esdb_format::{Cursor, StoredEvent};

use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::ndjson::write_line;
use crate::output::stdout::Stdout;
use crate::output::terminal;
use crate::select::SelectArgs;

/// Print events
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb scan activity.esdb -s customer-1 --tail 10
  esdb scan activity.esdb -s customer-1 -i type=purchase -i type=refund -r
  esdb scan activity.esdb -S 2026-01-31 -U 2026-02-01T12:00:00Z --raw

Without --space events come space by space; inside a space they come in time order, except that a scan \
of the whole file without --index goes grouping by grouping. `esdb import` takes the lines back.

On a terminal control characters are escaped; a pipe or a file gets every byte as it is.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    #[command(flatten)]
    select: SelectArgs,

    /// Newest first: the exact mirror
    #[arg(short, long)]
    reverse: bool,

    /// At most so many events
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,

    /// The last N events, oldest first. They are held in memory
    #[arg(long, value_name = "N", conflicts_with_all = ["reverse", "limit"])]
    tail: Option<u64>,

    /// Exit with 4 if nothing matches
    #[arg(long)]
    fail_empty: bool,

    /// Print the data alone, each followed by a newline
    #[arg(long)]
    raw: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let file = args.file.open()?;
    let cursor = args.select.scan(&file, &args.file.file)?.cursor();
    let mut printer = Printer { args, terminal: Stdout::is_terminal(), line: Vec::new() };
    let mut out = Stdout::default();
    let printed = match args.tail {
        Some(count) => printer.print_tail(cursor, count, &mut out),
        None => printer.print_all(cursor, &mut out),
    };
    // What stands before a damaged place is true and is printed.
    let flushed = out.flush();
    let count = printed?;
    flushed?;
    Ok(if count == 0 && args.fail_empty { Outcome::NothingFound } else { Outcome::Done })
}

/// Turns events into text.
struct Printer<'a> {
    args: &'a Args,
    terminal: bool,
    /// A line on its way to a terminal.
    line: Vec<u8>,
}

impl Printer<'_> {
    /// Prints events as they come and returns how many.
    fn print_all(&mut self, mut cursor: Cursor, out: &mut Stdout) -> Result<u64, Failure> {
        let mut count = 0;
        while self.args.limit.is_none_or(|limit| count < limit) {
            let event = if self.args.reverse { cursor.next_back() } else { cursor.next() };
            let Some(event) = event.map_err(self.args.file.failure())? else { break };
            self.print(event, &mut out.bytes)?;
            count += 1;
            out.flush_if_full()?;
        }
        Ok(count)
    }

    /// Walks from the end, prints the other way round, and returns how many events there were.
    fn print_tail(&mut self, mut cursor: Cursor, limit: u64, out: &mut Stdout) -> Result<u64, Failure> {
        let mut lines = Vec::new();
        let mut starts = Vec::new();
        while (starts.len() as u64) < limit {
            let Some(event) = cursor.next_back().map_err(self.args.file.failure())? else { break };
            starts.push(lines.len());
            self.print(event, &mut lines)?;
        }
        let mut end = lines.len();
        for &start in starts.iter().rev() {
            out.bytes.extend_from_slice(lines.get(start..end).unwrap_or_default());
            end = start;
            out.flush_if_full()?;
        }
        Ok(starts.len() as u64)
    }

    fn print(&mut self, event: &StoredEvent, out: &mut Vec<u8>) -> Result<(), Failure> {
        if self.args.raw {
            if !self.terminal {
                out.extend_from_slice(event.data());
            } else if !terminal::write_text(event.data(), out) {
                let reason = "binary data is not printed on a terminal; send it to a file or a pipe";
                return Err(Failure::of_file(&self.args.file.file, reason));
            }
            out.push(b'\n');
            return Ok(());
        }
        let line = if self.terminal { &mut self.line } else { &mut *out };
        let indexes = event.indexes().map_err(self.args.file.failure())?;
        write_line(line, event.space(), event.grouping(), event.timestamp(), indexes, event.data());
        if self.terminal {
            terminal::write_json(&self.line, out);
            self.line.clear();
        }
        Ok(())
    }
}
