//! An archive for event history in files you can copy: every event at full resolution, found by customer, by index, and by time.
//!
//! A file is immutable. A [`Writer`] takes events in any order and publishes a whole, sorted file; a [`Reader`] maps it and scans any part of
//! it by time, forwards and backwards, without a server and without reading what it does not need.
//!
//! ```text
//!  header         64 bytes: unit, codec, flags
//!  dictionary     for zstd, where it wins
//!  event blocks   up to 4,096 events each: columns, of rows and then of labels; compressed payload frames
//!  time order     for spaces with several groupings: time number → ordinal
//!  posting lists  per index name and value: ascending time numbers
//!  tables         index names, spaces, groupings, blocks: trees of pages
//!  facts          statistics, your metadata
//!  footer         288 bytes: roots of the trees, digests
//! ```
//!
//! `spec/format.md` describes every byte. Each module here is the part of the file, or of the work, that its name says.
//!
//! # Writing and reading
//!
//! Three customers of a shop: what they viewed, clicked and bought.
//!
//! ```
//! use esdb_format::{Event, Reader, Unit, WriterOptions};
//!
//! # fn main() -> esdb_format::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("activity.esdb");
//! let mut writer = WriterOptions::new().unit(Unit::Seconds).create(&path)?;
//! for (customer, time, kind, data) in [
//!     ("1", 1403534919, "page", r#"{"url":"http://mysite.com/"}"#),
//!     ("2", 1403534919, "page", r#"{"url":"http://mysite.com/"}"#),
//!     ("3", 1403534919, "page", r#"{"url":"http://mysite.com/"}"#),
//!     ("1", 1403534920, "click", r#"{"button_text":"Checkout"}"#),
//!     ("2", 1403534920, "click", r#"{"button_text":"About"}"#),
//!     ("3", 1403534920, "click", r#"{"button_text":"About"}"#),
//!     ("1", 1403534921, "page", r#"{"url":"http://mysite.com/checkout"}"#),
//!     ("2", 1403534921, "page", r#"{"url":"http://mysite.com/about"}"#),
//!     ("3", 1403534921, "page", r#"{"url":"http://mysite.com/about"}"#),
//!     ("3", 1403534922, "click", r#"{"button_text":"Checkout"}"#),
//!     ("1", 1403534923, "purchase", r#"{"total":"42.99"}"#),
//!     ("1", 1403534923, "page", r#"{"url":"http://mysite.com/thankyou"}"#),
//!     ("3", 1403534923, "purchase", r#"{"total":"126.99"}"#),
//!     ("3", 1403534923, "page", r#"{"url":"http://mysite.com/thankyou"}"#),
//! ] {
//!     writer.add(Event::new(customer, time, data).index("type", kind))?;
//! }
//! let summary = writer.finish()?;
//! assert_eq!((summary.events, summary.statistics.spaces), (14, 3));
//!
//! let file = Reader::open(&path)?;
//! let text = |event: esdb_format::StoredEvent| String::from_utf8_lossy(event.data()).into_owned();
//!
//! // The activity of customer 1, newest first. Equal times come in the mirrored order of addition.
//! let mut activity = Vec::new();
//! for event in file.space("1")?.rev() {
//!     activity.push(text(event?));
//! }
//! assert_eq!(
//!     activity,
//!     [
//!         r#"{"url":"http://mysite.com/thankyou"}"#,
//!         r#"{"total":"42.99"}"#,
//!         r#"{"url":"http://mysite.com/checkout"}"#,
//!         r#"{"button_text":"Checkout"}"#,
//!         r#"{"url":"http://mysite.com/"}"#,
//!     ]
//! );
//!
//! // The purchases of customer 1.
//! let mut purchases = file.space("1")?.index("type", "purchase");
//! assert_eq!(purchases.next().transpose()?.map(text).as_deref(), Some(r#"{"total":"42.99"}"#));
//! assert!(purchases.next().is_none());
//!
//! // The clicks of customer 3, newest first, since a point in time.
//! let clicks = file.space("3")?.index("type", "click").range(1403534920..).rev();
//! let clicks: Vec<String> = clicks.map(|event| event.map(text)).collect::<esdb_format::Result<_>>()?;
//! assert_eq!(clicks, [r#"{"button_text":"Checkout"}"#, r#"{"button_text":"About"}"#]);
//!
//! // How often what happened: from the tables alone.
//! for value in file.index_values("type")? {
//!     let value = value?;
//!     println!("{} {}", String::from_utf8_lossy(&value.key), value.extent.count);
//! }
//! # Ok(())
//! # }
//! ```

// What is decoded neither panics nor overflows. Modules that work on what was decoded, or is to be written, count and index as usual.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod ascending;
mod block;
mod checksum;
mod codec;
mod codecs;
mod compression;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "counts of events that a scan gave"
)]
mod count;
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "the writer's own numbers")]
mod derive;
mod dictionary;
mod digest;
mod error;
mod event;
mod extents;
mod facts;
#[cfg(test)]
mod faults;
mod file;
mod footer;
mod handle;
mod header;
#[cfg(test)]
mod hostile;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "numbers that it gave out itself"
)]
mod interner;
mod legacy;
mod listing;
mod mmap;
mod packed;
mod page;
mod postings;
mod reader;
mod recover;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "rows and places that decoding has checked"
)]
mod scan;
mod source;
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "lengths of what was read and written"
)]
mod storage;
mod strings;
mod tables;
mod time_order;
mod tree;
mod unit;
mod verify;
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "the writer's own numbers")]
mod writer;

#[cfg(fuzzing)]
pub mod fuzzing;
pub mod limits;

pub use compression::Codec;
pub use count::{CountBy, CountKey, KeyPart, Stretch};
pub use digest::Digest;
pub use error::{Error, ErrorKind, Problem, Result, Section};
pub use event::{Event, EventBuf};
pub use facts::Statistics;
pub use header::VERSION;
pub use legacy::LegacyKind;
pub use listing::{Groupings, IndexNames, IndexValues, Listed, ListedName, ListedSpace, Spaces};
pub use mmap::exit_on_bus_error;
pub use reader::{Reader, ReaderOptions};
pub use recover::{End, Loss, Recovered, Recovery};
pub use scan::{Cursor, Pairs, Scan, StoredEvent};
pub use source::{Source, open_plain};
pub use tables::Extent;
pub use unit::Unit;
pub use verify::{Verified, VerifyLevel};
pub use writer::{Summary, Writer, WriterOptions, abandon_writers, merge};
