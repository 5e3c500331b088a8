//! What a job that wrote a file says in the end.

use std::io::Write;
use std::path::Path;

use esdb_format::{Digest, Summary, Unit};

use super::object::Object;
use super::sections::sections;
use crate::text::{counted, escape, size};
use crate::times::print;

/// A file that was written, and what went into it.
pub(crate) struct Written<'a> {
    pub(crate) output: &'a Path,
    pub(crate) unit: Unit,
    pub(crate) summary: &'a Summary,
    /// Bytes that were read.
    pub(crate) bytes_in: u64,
}

impl Written<'_> {
    /// Says it on standard error.
    pub(crate) fn say(&self, quiet: bool) {
        if !quiet {
            // The job is done whether or not somebody hears of it.
            let _ = writeln!(std::io::stderr(), "{}", self.line());
        }
    }

    /// One line for people.
    fn line(&self) -> String {
        let Self { output, unit, summary, bytes_in } = self;
        let times = summary.time_range.map_or(String::new(), |(first, last)| {
            format!(", {} to {}", print::show(first, *unit), print::show(last, *unit))
        });
        format!(
            "esdb: {}: {} in {}, {}{times}; {} in, {} out",
            escape(output.as_os_str().as_encoded_bytes()),
            counted(summary.events, "event", "events"),
            counted(summary.statistics.spaces, "space", "spaces"),
            counted(summary.statistics.entries, "index entry", "index entries"),
            size(*bytes_in),
            size(summary.file_len),
        )
    }

    /// Members for programs.
    pub(crate) fn members(&self, object: &mut Object<'_>) {
        let Self { output, unit, summary, bytes_in } = self;
        let statistics = &summary.statistics;
        object.bytes("output", output.as_os_str().as_encoded_bytes());
        object.number("events", summary.events);
        object.number("spaces", statistics.spaces);
        object.number("groupings", statistics.groupings);
        object.number("index_entries", statistics.entries);
        object.text("unit", unit.name());
        if let Some((first, last)) = summary.time_range {
            object.time("first", first, *unit);
            object.time("last", last, *unit);
        }
        object.number("data_bytes", statistics.data_bytes);
        object.number("bytes_in", *bytes_in);
        object.number("bytes_out", summary.file_len);
        object.object("sections", |inner| {
            for (name, bytes) in sections(statistics, summary.file_len) {
                inner.number(&name.replace(' ', "_"), bytes);
            }
        });
        object.text("file_digest", &hex(&summary.file_digest));
        object.text("content_digest", &hex(&summary.content_digest));
    }
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
