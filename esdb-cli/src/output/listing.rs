//! Listings: what is in a file, a row for each key, printed as it comes.

use esdb_format::{Extent, Unit};

use super::object::Object;
use super::stdout::Stdout;
use crate::outcome::Failure;
use crate::text::escape;
use crate::times::print;

/// Prints rows as columns or as JSON lines. The key stands last: it has no fixed width.
pub(crate) struct Listing {
    out: Stdout,
    unit: Unit,
    json: bool,
    /// What a key is.
    key: &'static str,
    /// What a key has many of.
    parts: Option<&'static str>,
}

impl Listing {
    pub(crate) fn new(key: &'static str, parts: Option<&'static str>, unit: Unit, json: bool) -> Self {
        let mut out = Stdout::default();
        if !json {
            let part = parts.map_or(String::new(), |parts| format!("{parts:>10}  "));
            let width = print::width(unit);
            let line = format!("{:>12}  {part}{:<width$}  {:<width$}  {key}\n", "count", "first", "last");
            out.bytes.extend_from_slice(line.as_bytes());
        }
        Self { out, unit, json, key, parts }
    }

    /// Prints a row. `parts` is used if the listing has a column for it.
    pub(crate) fn row(&mut self, key: &[u8], parts: u64, extent: Extent) -> Result<(), Failure> {
        let Extent { count, first, last } = extent;
        if self.json {
            let mut object = Object::begin(&mut self.out.bytes);
            object.bytes(self.key, key);
            object.number("count", count);
            if let Some(name) = self.parts {
                object.number(name, parts);
            }
            object.time("first", first, self.unit);
            object.time("last", last, self.unit);
            object.end_line();
        } else {
            let part = self.parts.map_or(String::new(), |_| format!("{parts:>10}  "));
            let [first, last] = [first, last].map(|time| print::show(time, self.unit));
            let width = print::width(self.unit);
            let line = format!("{count:>12}  {part}{first:<width$}  {last:<width$}  {}\n", escape(key));
            self.out.bytes.extend_from_slice(line.as_bytes());
        }
        self.out.flush_if_full()
    }

    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush()
    }
}
