//! Combining files: what several hold, in one.

use crate::error::{Error, Result};
use crate::reader::Reader;
use crate::sort::Run;
use crate::writer::{Summary, Writer};

/// Writes the events of all inputs and publishes the file. Among equal events those of an earlier input come first.
///
/// Nothing is sorted again: the inputs are read side by side, once. Memory: about 3 MiB and the cache for each of up to 64
/// inputs at a time; more are merged in several passes.
///
/// ```no_run
/// use esdb_format::{Reader, Writer, merge};
///
/// # fn main() -> esdb_format::Result<()> {
/// let days = [Reader::open("monday.esdb")?, Reader::open("tuesday.esdb")?];
/// merge(&days, Writer::create("both.esdb")?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Invalid if an input's timestamps are in another unit than the writer's, or if the writer has events already; Corrupt if an input is damaged, or holds more or
/// fewer events than it states; I/O if reading or writing fails. Nothing is published then.
pub fn merge(inputs: &[Reader], mut writer: Writer) -> Result<Summary> {
    for input in inputs {
        if input.unit() != writer.unit() {
            let (found, expected) = (input.unit().name(), writer.unit().name());
            return Err(Error::Invalid(format!("an input is in {found}, the output in {expected}")));
        }
    }
    writer.add_runs(inputs.iter().map(Run::of_file).collect())?;
    writer.finish()
}
