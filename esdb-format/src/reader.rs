//! Reading a file: opening it, asking what is in it, and querying it.

use std::path::Path;
use std::sync::Arc;

use crate::compression::Codec;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::facts::Statistics;
use crate::file::OpenFile;
use crate::header::VERSION;
use crate::listing::{Groupings, IndexNames, IndexValues, Spaces};
use crate::mmap::MappedFile;
use crate::scan::{Scan, Selection};
use crate::source::{PlainFile, Source};
use crate::unit::Unit;

/// How a file is read. By default: mapped, checksums compared, 64 MiB of cache.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    cache: usize,
    map: bool,
    checks: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { cache: 64 << 20, map: true, checks: true }
    }
}

impl ReaderOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much decoded data is kept for the next question, in bytes. Default: 64 MiB. Three eighths of it are for payload frames,
    /// and only questions about few events leave theirs. Each scan under way may take as much again for results that it has
    /// fetched ahead.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Whether the file is mapped into memory once it was read as often as it has stretches of 16 KiB. Default: yes. Without a map every read is a call to the system;
    /// the answers are the same.
    #[must_use]
    pub fn map(mut self, map: bool) -> Self {
        self.map = map;
        self
    }

    /// Whether checksums of pages, of label areas of blocks and of payload frames are compared on every read. Default: yes. Without
    /// them a damaged file can give wrong answers. Those of a block's head and row areas are always compared.
    #[must_use]
    pub fn checks(mut self, checks: bool) -> Self {
        self.checks = checks;
        self
    }

    /// Opens a file. See [`Reader::open`].
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Reader> {
        let path = path.as_ref();
        let source: std::io::Result<Box<dyn Source>> = if self.map {
            MappedFile::open(path).map(|file| Box::new(file) as _)
        } else {
            PlainFile::open(path).map(|file| Box::new(file) as _)
        };
        self.open_source(source.map_err(Error::io("cannot open"))?)
    }

    /// Opens bytes from anywhere.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn open_source(&self, source: Box<dyn Source>) -> Result<Reader> {
        Ok(Reader { file: Arc::new(OpenFile::open(source.into(), self.cache, self.checks)?) })
    }
}

/// An open file.
///
/// Cheap to clone, and shared freely between threads: any number of scans run side by side.
#[derive(Clone)]
pub struct Reader {
    pub(crate) file: Arc<OpenFile>,
}

impl Reader {
    /// Opens a file through a map.
    ///
    /// Reads the file's tail and nothing else, whatever its size (spec §3.5).
    ///
    /// The file must not be changed while it is open; a file of this format never needs to be: a new version of it has
    /// another inode under the same name. If somebody overwrites it all the same, reads give errors, for bytes are
    /// copied before they are checked. If somebody truncates it, the system sends the signal SIGBUS
    /// to whoever reads through the map: use [`ReaderOptions::map`] where that can happen, or
    /// [`exit_on_bus_error`](crate::exit_on_bus_error) in a program that may end there.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be opened or is not a regular file; Foreign if it is something else; Unsupported if it is
    /// newer than this library; Corrupt if its end is damaged or missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        ReaderOptions::new().open(path)
    }

    /// Opens a file in memory.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        ReaderOptions::new().open_source(Box::new(bytes))
    }

    /// All events, in file order: by space, grouping, timestamp and arrival. With [`Scan::index`]: in time order, space by space.
    pub fn scan(&self) -> Scan {
        Scan::new(Arc::clone(&self.file), Selection::default())
    }

    /// The events of one space, in time order. A space that is not in the file has none.
    ///
    /// # Errors
    ///
    /// None today; damage is reported by the scan.
    pub fn space(&self, space: impl AsRef<[u8]>) -> Result<Scan> {
        let selection = Selection { space: Some(space.as_ref().to_vec()), ..Selection::default() };
        Ok(Scan::new(Arc::clone(&self.file), selection))
    }

    /// The spaces, in key order, from the table alone.
    pub fn spaces(&self) -> Spaces {
        Spaces::new(&self.file)
    }

    /// The groupings of a space, in key order, from the tables alone.
    ///
    /// # Errors
    ///
    /// Corrupt or I/O if the space cannot be looked up.
    pub fn groupings(&self, space: impl AsRef<[u8]>) -> Result<Groupings> {
        Groupings::new(&self.file, space.as_ref())
    }

    /// The index names, in key order, from the table alone.
    pub fn index_names(&self) -> IndexNames {
        IndexNames::new(&self.file)
    }

    /// The values of an index, in key order, from the tables alone.
    ///
    /// # Errors
    ///
    /// Corrupt or I/O if the name cannot be looked up.
    pub fn index_values(&self, name: impl AsRef<[u8]>) -> Result<IndexValues> {
        IndexValues::new(&self.file, name.as_ref(), None)
    }

    /// The values that events of a space have for an index, in key order, with counts and times inside that space.
    ///
    /// Cost: one search in the posting list of every value of the index.
    ///
    /// # Errors
    ///
    /// Corrupt or I/O if name or space cannot be looked up.
    pub fn index_values_in(&self, name: impl AsRef<[u8]>, space: impl AsRef<[u8]>) -> Result<IndexValues> {
        IndexValues::new(&self.file, name.as_ref(), Some(space.as_ref()))
    }

    /// How many events there are.
    pub fn events(&self) -> u64 {
        self.file.footer.events
    }

    /// Smallest and largest timestamp, in the file's unit; `None` without events.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let footer = &self.file.footer;
        (footer.events > 0).then_some((footer.first_timestamp, footer.last_timestamp))
    }

    /// The unit of all timestamps.
    pub fn unit(&self) -> Unit {
        self.file.footer.layout.unit
    }

    /// The codec, with the level that the writer was given.
    pub fn codec(&self) -> Codec {
        self.file.codec()
    }

    /// How much data is compressed as one piece, in bytes.
    pub fn frame_size(&self) -> u32 {
        self.file.footer.layout.frame_size
    }

    /// The length of the dictionary, 0 without one, in bytes.
    pub fn dictionary_len(&self) -> u32 {
        self.file.footer.layout.dictionary_len
    }

    /// The version of the format.
    pub fn version(&self) -> u16 {
        VERSION
    }

    /// The length of the file, in bytes.
    pub fn file_len(&self) -> u64 {
        self.file.footer.file_len
    }

    /// Counts, and bytes by section.
    pub fn statistics(&self) -> &Statistics {
        &self.file.facts.statistics
    }

    /// The user's metadata, in key order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.file.facts.metadata.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// BLAKE3 over the file's bytes, as the file states it. [`verify`](Self::verify) compares it.
    pub fn file_digest(&self) -> Digest {
        self.file.footer.file_digest
    }

    /// BLAKE3 over the events, as the file states it. [`verify`](Self::verify) compares it.
    pub fn content_digest(&self) -> Digest {
        self.file.footer.content_digest
    }

    /// How many payload frames were decompressed since the file was opened. Listings and counts add none.
    pub fn frames_decompressed(&self) -> u64 {
        self.file.codecs().frames_unpacked()
    }
}
