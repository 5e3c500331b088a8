//! Sorted events in a file without a name, while there is no room for them in memory (spec: none; writer only).
//!
//! A run is a row of chunks: `u32` length, `u32` stored length, the records, compressed with lz4 or as they are. A record is
//!
//! ```text
//! varint 0: keys of the record before │ or 1 + length of the space, space, grouping
//! svarint timestamp │ varint number of pairs │ names and values │ varint length of the data │ data
//! ```
//!
//! Data of [`APART`] bytes or more ends its chunk, and stands behind it as it is.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use super::ordered::{Ordered, OrderedPairs};
use crate::codec::{Decoder, Encode, load_u32};
use crate::compression::{Codec, Compressor, unpack};
use crate::error::{Result, Section};
use crate::storage::{SpillFile, SpillFolder, SpillReader};

/// Chunks are closed when their records take this many bytes.
const CHUNK: usize = 64 << 10;

/// Data of this many bytes is neither collected nor compressed.
const APART: usize = 1 << 20;

/// What a run takes while it is read, in bytes: a chunk, what it is unpacked from, and what is read ahead.
pub(crate) const RUN_MEMORY: usize = 4 * CHUNK;

/// Writes events in file order as a run.
pub(crate) struct RunWriter {
    file: SpillFile,
    folder: SpillFolder,
    records: Vec<u8>,
    /// Space and grouping of the last record, in `records`.
    keys: Option<(Range<usize>, Range<usize>)>,
    packed: Vec<u8>,
    compressor: Compressor,
}

impl RunWriter {
    /// `compress`: its bytes will not stay in the system's cache.
    pub(crate) fn new(folder: &SpillFolder, compress: bool) -> Result<Self> {
        let codec = if compress { Codec::Lz4 } else { Codec::None };
        Ok(Self {
            file: folder.file()?,
            folder: folder.clone(),
            records: Vec::new(),
            keys: None,
            packed: Vec::new(),
            compressor: Compressor::new(codec, &[])?,
        })
    }

    pub(crate) fn add(&mut self, event: &Ordered<'_>) -> Result<()> {
        let records = &mut self.records;
        let same = self.keys.as_ref().is_some_and(|(space, grouping)| {
            records[space.clone()] == *event.space && records[grouping.clone()] == *event.grouping
        });
        if same {
            records.put_varint(0);
        } else {
            records.put_varint(1 + event.space.len() as u64);
            records.extend_from_slice(event.space);
            let space = records.len() - event.space.len()..records.len();
            records.put_bytes(event.grouping);
            self.keys = Some((space, records.len() - event.grouping.len()..records.len()));
        }
        records.put_svarint(event.timestamp);
        records.put_varint(event.pairs.clone().count() as u64);
        for (name, value) in event.pairs.clone() {
            records.put_bytes(name);
            records.put_bytes(value);
        }
        records.put_varint(event.data.len() as u64);
        if event.data.len() < APART {
            records.extend_from_slice(event.data);
            return if self.records.len() < CHUNK { Ok(()) } else { self.close_chunk() };
        }
        self.close_chunk()?;
        self.file.append(event.data)
    }

    fn close_chunk(&mut self) -> Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        self.packed.put_u32(self.records.len() as u32);
        self.packed.put_u32(0);
        let head = self.packed.len();
        let stored = self.compressor.append(&self.records, &mut self.packed)?;
        let mut len = Vec::new();
        len.put_u32(stored as u32);
        self.packed[head - len.len()..head].copy_from_slice(&len);
        self.records.clear();
        self.keys = None;
        self.file.append(&self.packed)
    }

    /// Before the run's first event.
    pub(crate) fn finish(mut self) -> Result<RunReader> {
        self.close_chunk()?;
        let mut reader = RunReader {
            input: BufReader::with_capacity(CHUNK / 2, self.file.into_reader()),
            folder: self.folder,
            records: Vec::new(),
            stored: Vec::new(),
            next: 0,
            space: 0..0,
            grouping: 0..0,
            current: None,
            apart: Vec::new(),
        };
        reader.advance()?;
        Ok(reader)
    }
}

/// Reads a run from its first event to its last.
pub(crate) struct RunReader {
    input: BufReader<SpillReader>,
    folder: SpillFolder,
    records: Vec<u8>,
    stored: Vec<u8>,
    /// Where the next record begins.
    next: usize,
    /// Of the current record, in `records`.
    space: Range<usize>,
    grouping: Range<usize>,
    current: Option<Record>,
    /// The current event's data, if it stood behind the chunk and was asked for.
    apart: Vec<u8>,
}

struct Record {
    timestamp: i64,
    pair_count: usize,
    pairs: Range<usize>,
    data: Range<usize>,
    /// The data's length, if it stands behind the chunk and was not read yet.
    unread: Option<usize>,
}

impl RunReader {
    /// Space, grouping and timestamp of the current event; `None` behind the last one.
    pub(crate) fn key(&self) -> Option<(&[u8], &[u8], i64)> {
        let record = self.current.as_ref()?;
        Some((&self.records[self.space.clone()], &self.records[self.grouping.clone()], record.timestamp))
    }

    /// The current event, if there is one.
    pub(crate) fn event(&mut self) -> Result<Option<Ordered<'_>>> {
        let Some(record) = &mut self.current else { return Ok(None) };
        if let Some(len) = record.unread.take() {
            self.apart.resize(len, 0);
            self.input.read_exact(&mut self.apart).map_err(|error| self.folder.failed(error))?;
        }
        Ok(Some(Ordered {
            space: &self.records[self.space.clone()],
            grouping: &self.records[self.grouping.clone()],
            timestamp: record.timestamp,
            pairs: OrderedPairs::Spilled(Spelled {
                strings: &self.records[record.pairs.clone()],
                left: record.pair_count,
            }),
            data: if self.apart.is_empty() { &self.records[record.data.clone()] } else { &self.apart },
        }))
    }

    /// Moves to the next event, if there is one.
    pub(crate) fn advance(&mut self) -> Result<()> {
        if let Some(Record { unread: Some(len), .. }) = self.current {
            self.input.seek_relative(len as i64).map_err(|error| self.folder.failed(error))?;
        }
        self.apart = Vec::new();
        if self.next == self.records.len() && !self.read_chunk()? {
            self.current = None;
            return Ok(());
        }
        let start = self.next;
        let mut record = Decoder::new(&self.records[start..], 0, Section::File);
        let at = |record: &Decoder<'_>| self.records.len() - record.remaining();
        let take = |record: &mut Decoder<'_>, len: u64| -> Result<Range<usize>> {
            let from = at(record);
            record.take(len as usize, "")?;
            Ok(from..at(record))
        };
        let space = record.varint("")?;
        let mut keys = None;
        if space > 0 {
            let space = take(&mut record, space - 1)?;
            let len = record.varint("")?;
            keys = Some((space, take(&mut record, len)?));
        }
        let timestamp = record.svarint("")?;
        let pair_count = record.varint("")? as usize;
        let pairs_at = at(&record);
        for _ in 0..2 * pair_count {
            let len = record.varint("")?;
            record.take(len as usize, "")?;
        }
        let pairs = pairs_at..at(&record);
        let len = record.varint("")? as usize;
        let apart = len >= APART;
        let data = take(&mut record, if apart { 0 } else { len as u64 })?;
        self.next = data.end;
        let unread = apart.then_some(len);
        self.current = Some(Record { timestamp, pair_count, pairs, data, unread });
        if let Some((space, grouping)) = keys {
            (self.space, self.grouping) = (space, grouping);
        }
        Ok(())
    }

    /// False behind the last chunk.
    fn read_chunk(&mut self) -> Result<bool> {
        let fail = |error| self.folder.failed(error);
        if self.input.fill_buf().map_err(fail)?.is_empty() {
            return Ok(false);
        }
        let mut head = [0; 8];
        self.input.read_exact(&mut head).map_err(fail)?;
        let (len, stored) = (load_u32(&head), load_u32(&head[4..]));
        let chunk = if stored == len { &mut self.records } else { &mut self.stored };
        chunk.resize(stored as usize, 0);
        self.input.read_exact(chunk).map_err(fail)?;
        if stored < len {
            unpack(Codec::Lz4, &self.stored, len as usize, None, &mut self.records, Section::File, 0)?;
        }
        self.next = 0;
        Ok(true)
    }
}

/// Pairs spelled out: varint length and bytes of each name and value.
#[derive(Clone)]
pub(crate) struct Spelled<'a> {
    strings: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Spelled<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut strings = Decoder::new(self.strings, 0, Section::File);
        // The run was walked over once before.
        let mut string = || {
            let len = strings.varint("").unwrap_or(0);
            strings.take(len as usize, "").unwrap_or_default()
        };
        let pair = (string(), string());
        self.strings = strings.rest();
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_from_runs_that_are_compressed_and_not() {
        let pair = [(&b"name"[..], &b"value"[..])];
        let data = |time: i64| vec![b'a' + (time % 20) as u8; (time % 300) as usize];
        for compress in [false, true] {
            let mut run = RunWriter::new(&SpillFolder::of_system(), compress).unwrap();
            for timestamp in 0..3_000 {
                let (space, grouping): (&[u8], &[u8]) =
                    (b"space", if timestamp < 1_000 { b"" } else { b"g" });
                let pairs = OrderedPairs::Given(pair.iter());
                run.add(&Ordered { space, grouping, timestamp, pairs, data: &data(timestamp) }).unwrap();
            }
            let mut run = run.finish().unwrap();
            for timestamp in 0..3_000 {
                let event = run.event().unwrap().unwrap();
                assert_eq!(
                    (event.space, event.timestamp, event.data),
                    (&b"space"[..], timestamp, &data(timestamp)[..])
                );
                assert_eq!(event.grouping, if timestamp < 1_000 { &b""[..] } else { b"g" });
                assert!(event.pairs.eq(pair));
                run.advance().unwrap();
            }
            assert!(run.event().unwrap().is_none());
        }
    }
}
