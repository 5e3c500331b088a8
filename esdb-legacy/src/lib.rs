//! Reads files of the Go library `customerio/esdb` of 2014, and brings their events into files of today's format.
//!
//! ```text
//!  archive   spaces, each with groupings, indexes and a table of its own; a table of spaces
//!  stream    records one behind the other; closed ones end with an index
//! ```
//!
//! Events are found once per grouping and joined with their index entries by place, so that those are there which the old reader
//! hides. Lengths from a file are never trusted; what is damaged is told with its place, and what is whole behind it is found
//! again. `spec/legacy-go.md` says what changes, and what the old bytes are.
//!
//! ```no_run
//! use esdb_format::{Unit, WriterOptions};
//! use esdb_legacy::{Legacy, Options};
//!
//! # fn main() -> esdb_format::Result<()> {
//! let old = Legacy::open("2014.esdb")?;
//! let mut writer = WriterOptions::new().unit(Unit::Seconds).create("new.esdb")?;
//! let report = old.convert(&Options::default(), &mut writer, &mut |_| ())?;
//! let summary = writer.finish()?;
//! println!("{} events; {} damaged places", summary.events, report.loss_count);
//! # Ok(())
//! # }
//! ```
//!
//! Modules, lowest first: `bytes`, `input`, `report`; `table`, `blocks`, `key`; `entries`, `batch`, `context`; `index`,
//! `records`, `parts`, `grouping`; `sections`, `space`; `salvage`, `archive`, `stream`; `convert`.

mod archive;
mod batch;
mod blocks;
mod bytes;
mod context;
mod convert;
mod entries;
mod grouping;
mod index;
mod input;
mod key;
mod parts;
mod records;
mod report;
mod salvage;
mod sections;
mod space;
mod stream;
mod table;

pub use convert::{Legacy, Options, ReadTimestamp};
pub use report::{Ambiguity, Loss, Report};
