//! Native lines: an event as `esdb import` takes it, whose keys need no escaping and whose data is JSON.

use std::io::{Result, Write};

use esdb_format::Event;

/// Writes an event and a line end.
pub(crate) fn write(out: &mut impl Write, event: &Event<'_>) -> Result<()> {
    out.write_all(b"{\"space\":\"")?;
    out.write_all(event.space)?;
    out.write_all(b"\",\"grouping\":\"")?;
    out.write_all(event.grouping)?;
    write!(out, "\",\"timestamp\":{},\"index\":{{", event.timestamp)?;
    for (at, (name, value)) in event.indexes.iter().enumerate() {
        out.write_all(if at > 0 { b",\"" } else { b"\"" })?;
        out.write_all(name)?;
        out.write_all(b"\":\"")?;
        out.write_all(value)?;
        out.write_all(b"\"")?;
    }
    out.write_all(b"},\"data\":")?;
    out.write_all(event.data)?;
    out.write_all(b"}\n")
}

/// The data of a line that `write` wrote, without its line end.
pub(crate) fn data(line: &[u8]) -> &[u8] {
    const BEFORE: &[u8] = b"},\"data\":";
    let start = line.windows(BEFORE.len()).position(|window| window == BEFORE);
    start.map_or(&[], |start| &line[start + BEFORE.len()..line.len() - 1])
}
