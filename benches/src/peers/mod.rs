//! The contenders: what each can build, and what it can be asked. One file for each.

mod duckdb;
mod esdb;
mod grenad;
mod keys;
mod lmdb;
mod ndjson;
mod parquet;
mod sqlite;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use esdb_format::Codec;

pub(crate) use self::duckdb::DuckDb;
pub(crate) use self::esdb::Esdb;
use self::grenad::Grenad;
use self::lmdb::Lmdb;
use self::ndjson::Ndjson;
use self::parquet::Parquet;
use self::sqlite::Sqlite;
use crate::events::Events;
use crate::question::{Question, Visitor};
use crate::workload::Workload;

/// How a file is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) workload: Workload,
    /// Whether the events come in file order. If not, the contender has to sort them.
    pub(crate) in_order: bool,
    pub(crate) threads: usize,
    /// How much memory sorting may take, in bytes, for those that can be told.
    pub(crate) memory: usize,
}

/// Something that keeps events in files. Whatever it cannot do, it says so with `false` or `None`.
pub(crate) trait Peer {
    /// The name in tables and on the command line.
    fn name(&self) -> &'static str;

    /// Puts the events into a durable file or folder at `path`, which does not exist.
    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool>;

    /// Opens what was built.
    fn open(&self, path: &Path) -> Result<Box<dyn Session + '_>>;

    /// The bytes at `path`.
    fn size(&self, path: &Path) -> Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    /// Whether building starts from events in memory, so that its time can be compared.
    fn builds_from_memory(&self) -> bool {
        true
    }

    /// Whether files have anything for index values.
    fn has_indexes(&self) -> bool {
        true
    }

    /// The codec, if it is one of ours.
    fn codec(&self) -> Option<Codec> {
        None
    }
}

/// An open file.
pub(crate) trait Session {
    /// Shows the answer to the visitor.
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered>;
}

/// Whether a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Yes,
    /// In another process, which took this time for it.
    Within(Duration),
    No,
}

/// All contenders, ours first.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = vec![
        Box::new(Esdb(Codec::default())),
        Box::new(Esdb(Codec::Lz4)),
        Box::new(Esdb(Codec::Snappy)),
        Box::new(Sqlite),
        Box::new(Lmdb),
        Box::new(Parquet::snappy()),
        Box::new(Parquet::zstd()),
    ];
    match DuckDb::available() {
        Ok(()) => {
            all.push(Box::new(DuckDb { threads: 1 }));
            all.push(Box::new(DuckDb { threads: 2 }));
        }
        Err(reason) => eprintln!("DuckDB is skipped: {reason}"),
    }
    all.push(Box::new(Grenad));
    all.push(Box::new(Ndjson));
    all
}

/// The numbers of the events in the order in which a sorted file wants them.
fn order(events: &Events, how: Build) -> Vec<u32> {
    if how.in_order { (0..events.len() as u32).collect() } else { events.order() }
}

/// A file in memory, without a copy.
#[allow(unsafe_code, reason = "the files are the benchmark's own, and nobody changes them")]
pub(crate) fn map(path: &Path) -> Result<bytes::Bytes> {
    let file = std::fs::File::open(path)?;
    // SAFETY: nothing writes to a file that was built.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(bytes::Bytes::from_owner(map))
}
