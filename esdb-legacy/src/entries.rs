//! The index entries of a space, sorted by the place of their events in bounded memory.
//!
//! An entry is a place, a key and its number among the key's entries. They are collected until the memory is full, sorted, and
//! written out as a run, each with its key; in the end all runs are merged. What fits into memory is never written. Of a run it is
//! remembered where its pieces begin, 16 bytes for each: entries can be sought by place, wherever they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use esdb_format::{Error, Result};

use crate::bytes::{Bytes, put_uvarint};

/// Where an event's record begins: the offset of a block's header in the space, and the offset in the block's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    /// An offset in a block is at most 4,096; offsets of blocks below 2^50 are possible.
    const BITS: u32 = 13;

    pub(crate) fn new(block: u64, offset: u16) -> Option<Self> {
        let fits = block < 1 << 50 && u32::from(offset) < 1 << Self::BITS;
        fits.then_some(Self(block << Self::BITS | u64::from(offset)))
    }

    pub(crate) fn block(self) -> u64 {
        self.0 >> Self::BITS
    }

    pub(crate) fn offset(self) -> usize {
        (self.0 & ((1 << Self::BITS) - 1)) as usize
    }
}

/// An index name and value, and what the old reader makes of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// Its number in the space.
    pub(crate) number: u64,
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// From which entry on the old reader hides all.
    pub(crate) hidden_from: u64,
}

/// An entry in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    place: Place,
    /// Which of the keys in memory.
    key: u32,
    /// Its number among the entries of its key.
    number: u32,
}

/// A key in memory.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    number: u64,
    name: Range<usize>,
    value_end: usize,
    hidden_from: u64,
    /// Where the times of its entries begin.
    times: usize,
}

/// How much of a run is compressed at once, and about how much memory takes the merging of one, in bytes.
const PIECE: usize = 32 << 10;

/// Sorted entries in a temporary file, in compressed pieces.
pub(crate) struct Run {
    /// The first place of each piece, and where the piece begins in the file.
    pieces: Vec<(Place, u64)>,
    /// Where the run ends in the file.
    end: u64,
}

/// Collects entries.
pub(crate) struct Sorter {
    memory: usize,
    entries: Vec<Entry>,
    keys: Vec<StoredKey>,
    bytes: Vec<u8>,
    /// How many times there will be, for entries that are never written out.
    times: usize,
    runs: Vec<Run>,
    file: Option<File>,
}

impl Sorter {
    /// Takes about `memory` bytes.
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            memory,
            entries: Vec::new(),
            keys: Vec::new(),
            bytes: Vec::new(),
            times: 0,
            runs: Vec::new(),
            file: None,
        }
    }

    /// Begins the entries of a key, which follow until the next one's.
    pub(crate) fn key(&mut self, key: Key<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.name);
        let name = start..self.bytes.len();
        self.bytes.extend_from_slice(key.value);
        let Key { number, hidden_from, .. } = key;
        self.keys.push(StoredKey {
            number,
            name,
            value_end: self.bytes.len(),
            hidden_from,
            times: self.times,
        });
    }

    /// Adds an entry of the last key.
    ///
    /// # Errors
    ///
    /// I/O if the entries cannot be written out.
    pub(crate) fn entry(&mut self, place: Place, number: u64) -> Result<()> {
        let key = (self.keys.len() - 1) as u32;
        let number = number.min(u32::MAX.into()) as u32;
        self.entries.push(Entry { place, key, number });
        if self.runs.is_empty() {
            let times = self.keys.last().map_or(0, |key| key.times + number as usize + 1);
            self.times = times.max(self.times);
        }
        let taken = self.entries.len() * size_of::<Entry>()
            + self.times * size_of::<u32>()
            + self.keys.len() * size_of::<StoredKey>()
            + self.bytes.len();
        if taken >= self.memory {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes the entries out, and keeps the last key.
    fn spill(&mut self) -> Result<()> {
        self.entries.sort_unstable();
        let failed = |source| Error::Io {
            context: "cannot write index entries to a temporary file".to_owned(),
            source,
        };
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile().map_err(failed)?,
        };
        let start = self.runs.last().map_or(0, |run| run.end);
        let mut writer = RunWriter::new(&mut file, start);
        for entry in &self.entries {
            let key = self.keys.get(entry.key as usize).map(|key| stored(key, &self.bytes));
            if let Some(key) = key {
                writer.add(entry.place, entry.number.into(), key).map_err(failed)?;
            }
        }
        self.runs.push(writer.finish().map_err(failed)?);
        self.file = Some(file);
        self.entries.clear();
        self.times = 0;
        if let Some(last) = self.keys.pop() {
            let range = last.name.start..last.value_end;
            let moved = range.start;
            self.bytes.copy_within(range.clone(), 0);
            self.bytes.truncate(range.len());
            let name = 0..last.name.len();
            self.keys.clear();
            self.keys.push(StoredKey { name, value_end: last.value_end - moved, times: 0, ..last });
        }
        Ok(())
    }

    /// All entries by place.
    ///
    /// # Errors
    ///
    /// I/O if the entries cannot be written out or read back.
    pub(crate) fn finish(mut self) -> Result<Entries> {
        if self.runs.is_empty() {
            self.entries.sort_unstable();
            let times = vec![NO_TIME; self.times];
            return Ok(Entries::Memory {
                at: 0,
                entries: self.entries,
                keys: self.keys,
                bytes: self.bytes,
                times,
            });
        }
        self.spill()?;
        let Some(file) = self.file else { return Ok(Entries::none()) };
        drop((self.entries, self.keys, self.bytes));
        let mut entries = Entries::Merged {
            heads: BinaryHeap::new(),
            ended: self.runs.into_iter().map(Head::new).collect(),
            file,
        };
        entries.seek(Place(0))?;
        Ok(entries)
    }
}

fn stored<'a>(key: &StoredKey, bytes: &'a [u8]) -> Key<'a> {
    Key {
        number: key.number,
        name: bytes.get(key.name.clone()).unwrap_or_default(),
        value: bytes.get(key.name.end..key.value_end).unwrap_or_default(),
        hidden_from: key.hidden_from,
    }
}

/// Of an entry whose event was not found.
const NO_TIME: u32 = u32::MAX;

/// Sorted entries.
pub(crate) enum Entries {
    Memory {
        at: usize,
        entries: Vec<Entry>,
        keys: Vec<StoredKey>,
        bytes: Vec<u8>,
        /// Of the events of each key's entries, in their stored order, as far as they were found.
        times: Vec<u32>,
    },
    Merged {
        heads: BinaryHeap<Reverse<Head>>,
        /// Runs that are behind their last entry.
        ended: Vec<Head>,
        file: File,
    },
}

impl Entries {
    /// Not one.
    pub(crate) fn none() -> Self {
        Self::Memory { at: 0, entries: Vec::new(), keys: Vec::new(), bytes: Vec::new(), times: Vec::new() }
    }

    /// Moves to the first entry at `place` or behind it, forwards or backwards.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn seek(&mut self, place: Place) -> Result<()> {
        match self {
            Self::Memory { at, entries, .. } => *at = entries.partition_point(|entry| entry.place < place),
            Self::Merged { heads, ended, file } => {
                let runs: Vec<Head> = heads.drain().map(|head| head.0).chain(ended.drain(..)).collect();
                for mut head in runs {
                    match head.seek(place, file)? {
                        true => heads.push(Reverse(head)),
                        false => ended.push(head),
                    }
                }
            }
        }
        Ok(())
    }

    /// How many runs are merged; none if all entries are in memory. Each costs [`seek`](Self::seek) a piece that is read.
    pub(crate) fn runs(&self) -> usize {
        match self {
            Self::Memory { .. } => 0,
            Self::Merged { heads, ended, .. } => heads.len() + ended.len(),
        }
    }

    /// The place of the next entry.
    pub(crate) fn peek(&self) -> Option<Place> {
        match self {
            Self::Memory { at, entries, .. } => entries.get(*at).map(|entry| entry.place),
            Self::Merged { heads, .. } => heads.peek().map(|head| head.0.place),
        }
    }

    /// The key of the next entry, and its number among the key's entries.
    pub(crate) fn head(&self) -> Option<(Key<'_>, u64)> {
        match self {
            Self::Memory { at, entries, keys, bytes, .. } => {
                let entry = entries.get(*at)?;
                Some((stored(keys.get(entry.key as usize)?, bytes), entry.number.into()))
            }
            Self::Merged { heads, .. } => heads.peek().map(|head| (head.0.key(), head.0.number)),
        }
    }

    /// The next entry's event has this timestamp.
    pub(crate) fn set_time(&mut self, timestamp: u32) {
        if let Self::Memory { at, entries, keys, times, .. } = self
            && let Some(entry) = entries.get(*at)
            && let Some(key) = keys.get(entry.key as usize)
            && let Some(time) = times.get_mut(key.times + entry.number as usize)
        {
            *time = timestamp;
        }
    }

    /// Calls `each` with the keys whose entries are not in order of time: some point at other events than they should. Entries that
    /// were written out are not looked at.
    pub(crate) fn for_each_misordered(&self, mut each: impl FnMut(Key<'_>)) {
        let Self::Memory { keys, bytes, times, .. } = self else { return };
        let ends = keys.iter().skip(1).map(|key| key.times).chain([times.len()]);
        for (key, end) in keys.iter().zip(ends) {
            let own = times.get(key.times..end).unwrap_or_default();
            if !own.iter().filter(|time| **time != NO_TIME).is_sorted_by(|a, b| a >= b) {
                each(stored(key, bytes));
            }
        }
    }

    /// Moves to the next entry.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn pass(&mut self) -> Result<()> {
        match self {
            Self::Memory { at, .. } => *at += 1,
            Self::Merged { heads, ended, file } => {
                if let Some(Reverse(mut head)) = heads.pop() {
                    match head.advance(file)? {
                        true => heads.push(Reverse(head)),
                        false => ended.push(head),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes a run: entries one behind the other, in compressed pieces that begin with their two lengths.
struct RunWriter<'f> {
    file: &'f mut File,
    pieces: Vec<(Place, u64)>,
    at: u64,
    piece: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl<'f> RunWriter<'f> {
    fn new(file: &'f mut File, at: u64) -> Self {
        Self { file, pieces: Vec::new(), at, piece: Vec::new(), encoder: snap::raw::Encoder::new() }
    }

    fn add(&mut self, place: Place, number: u64, key: Key<'_>) -> io::Result<()> {
        if self.piece.is_empty() {
            self.pieces.push((place, self.at));
        }
        for value in
            [place.0, number, key.number, key.hidden_from, key.name.len() as u64, key.value.len() as u64]
        {
            put_uvarint(&mut self.piece, value);
        }
        self.piece.extend_from_slice(key.name);
        self.piece.extend_from_slice(key.value);
        if self.piece.len() >= PIECE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let stored = self.encoder.compress_vec(&self.piece)?;
        self.file.seek(SeekFrom::Start(self.at))?;
        self.file.write_all(&(stored.len() as u32).to_le_bytes())?;
        self.file.write_all(&stored)?;
        self.at += 4 + stored.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Run> {
        self.write()?;
        Ok(Run { pieces: self.pieces, end: self.at })
    }
}

/// A run that is being merged, at one of its entries.
pub(crate) struct Head {
    run: Run,
    /// Where the next piece begins in the file.
    next: u64,
    piece: Vec<u8>,
    at: usize,
    place: Place,
    number: u64,
    key_number: u64,
    hidden_from: u64,
    /// In the piece.
    name: Range<usize>,
    value_end: usize,
}

impl Head {
    fn new(run: Run) -> Self {
        let place = Place(0);
        Self {
            next: run.end,
            run,
            piece: Vec::new(),
            at: 0,
            place,
            number: 0,
            key_number: 0,
            hidden_from: 0,
            name: 0..0,
            value_end: 0,
        }
    }

    fn key(&self) -> Key<'_> {
        Key {
            number: self.key_number,
            name: self.piece.get(self.name.clone()).unwrap_or_default(),
            value: self.piece.get(self.name.end..self.value_end).unwrap_or_default(),
            hidden_from: self.hidden_from,
        }
    }

    /// Moves to the first entry at `place` or behind it; false if there is none.
    fn seek(&mut self, place: Place, file: &File) -> Result<bool> {
        let behind = self.run.pieces.partition_point(|(first, _)| *first < place);
        let piece = self.run.pieces.get(behind.saturating_sub(1));
        self.next = piece.map_or(self.run.end, |(_, start)| *start);
        self.piece.clear();
        self.at = 0;
        while self.advance(file)? {
            if self.place >= place {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves to the next entry; false behind the last one.
    fn advance(&mut self, file: &File) -> Result<bool> {
        let failed = |source| Error::Io { context: "cannot read index entries back".to_owned(), source };
        if self.at == self.piece.len() {
            if self.next == self.run.end {
                return Ok(false);
            }
            self.read(file).map_err(failed)?;
        }
        let entry = self.decode();
        entry.map(|()| true).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
    }

    fn read(&mut self, mut file: &File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.next))?;
        let mut len = [0; 4];
        file.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        let mut stored = vec![0; len as usize];
        file.read_exact(&mut stored)?;
        self.next += 4 + u64::from(len);
        self.piece = snap::raw::Decoder::new().decompress_vec(&stored)?;
        self.at = 0;
        Ok(())
    }

    fn decode(&mut self) -> Option<()> {
        let mut bytes = Bytes(self.piece.get(self.at..)?);
        self.place = Place(bytes.uvarint()?);
        self.number = bytes.uvarint()?;
        self.key_number = bytes.uvarint()?;
        self.hidden_from = bytes.uvarint()?;
        let (name, value) = (bytes.len()?, bytes.len()?);
        let start = self.piece.len() - bytes.0.len();
        bytes.take(name)?;
        bytes.take(value)?;
        self.name = start..start + name;
        self.value_end = start + name + value;
        self.at = self.value_end;
        Some(())
    }

    fn order(&self) -> (Place, u64, u64) {
        (self.place, self.key_number, self.number)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the entries of one key go on behind what was written out, and cost no memory.
    #[test]
    fn entries_come_by_place_whatever_the_memory() {
        for memory in [64 << 10, 64 << 20] {
            let mut sorter = Sorter::new(memory);
            let place = |i: u64| Place::new(1 + (i * 7_919) % 100_003, 5).unwrap();
            for (number, name) in [(1, "a"), (2, "b")] {
                sorter.key(Key { number, name: name.as_bytes(), value: b"v", hidden_from: 9 });
                (0..100_003).for_each(|i| sorter.entry(place(i), i).unwrap());
            }
            assert!(sorter.runs.len() < 100, "{} runs", sorter.runs.len());
            let mut entries = sorter.finish().unwrap();
            for block in 1..=100_003 {
                for number in [1, 2] {
                    assert_eq!(entries.peek(), Place::new(block, 5));
                    let (key, entry) = entries.head().unwrap();
                    assert_eq!((key.number, key.value, key.hidden_from), (number, &b"v"[..], 9));
                    assert_eq!(Some(place(entry)), entries.peek());
                    entries.pass().unwrap();
                }
            }
            assert_eq!(entries.peek(), None);
            // Back, forth, and beyond the end.
            for block in [70_000, 1, 100_003, 33, 100_004, 2] {
                let sought = Place::new(block, 0).unwrap();
                entries.seek(sought).unwrap();
                assert_eq!(entries.peek(), Place::new(block, 5).filter(|_| block <= 100_003));
                assert!(entries.head().is_none_or(|(key, _)| key.number == 1));
            }
        }
    }
}
