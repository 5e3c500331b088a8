//! A writer of the old formats, for tests: archives and streams as the Go library wrote them (spec/legacy-go.md).

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part; it fails loudly")]

use std::collections::BTreeMap;
use std::io::Write;

const BLOCK: usize = 4096;
const MAGIC: [u8; 8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB];

/// An event as it is given to the old library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) grouping: Vec<u8>,
    pub(crate) timestamp: u32,
    /// `name:value`.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes an archive, space by space.
pub(crate) struct Archive<W> {
    out: W,
    at: u64,
    spaces: BTreeMap<Vec<u8>, (u64, u64)>,
    /// Whether no block is packed.
    is_raw: bool,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, at: 0, spaces: BTreeMap::new(), is_raw: false }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.at
    }

    pub(crate) fn space(&mut self, id: &[u8], events: &[Event]) {
        let bytes = space(events, self.is_raw);
        self.out.write_all(&bytes).unwrap();
        self.spaces.insert(id.to_vec(), (self.at, bytes.len() as u64));
        self.at += bytes.len() as u64;
    }

    pub(crate) fn finish(mut self) -> W {
        let value = |(offset, len): (u64, u64)| [offset.to_le_bytes(), len.to_le_bytes()].concat();
        let entries: Vec<_> = self.spaces.into_iter().map(|(id, place)| (id, value(place))).collect();
        let table = table(&entries);
        self.out.write_all(&table).unwrap();
        self.out.write_all(&(table.len() as u64).to_le_bytes()).unwrap();
        self.out
    }
}

/// An archive in memory.
pub(crate) fn archive(spaces: &[(&[u8], Vec<Event>)]) -> Vec<u8> {
    let mut archive = Archive::new(Vec::new());
    for (id, events) in spaces {
        archive.space(id, events);
    }
    archive.finish()
}

/// An archive in memory, of which no block is packed.
pub(crate) fn raw_archive(spaces: &[(&[u8], Vec<Event>)]) -> Vec<u8> {
    let mut archive = Archive { is_raw: true, ..Archive::new(Vec::new()) };
    for (id, events) in spaces {
        archive.space(id, events);
    }
    archive.finish()
}

/// Collects content and cuts it into blocks.
#[derive(Default)]
struct Section {
    is_raw: bool,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Section {
    fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() > BLOCK {
            let rest = self.buffer.split_off(BLOCK);
            self.block();
            self.buffer = rest;
        }
    }

    fn block(&mut self) {
        let packed = snap::raw::Encoder::new().compress_vec(&self.buffer).unwrap();
        let (encoding, body) =
            if packed.len() <= self.buffer.len() && !self.is_raw { (1, &packed) } else { (0, &self.buffer) };
        self.out.extend_from_slice(&(body.len() as u16).to_le_bytes());
        self.out.push(encoding);
        self.out.extend_from_slice(body);
    }

    fn finish(mut self) -> Vec<u8> {
        self.append(&[0]);
        self.block();
        self.out
    }
}

fn space(events: &[Event], is_raw: bool) -> Vec<u8> {
    let mut order: Vec<&Event> = events.iter().collect();
    order.sort_by_key(|event| std::cmp::Reverse(event.timestamp));
    let mut groupings: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    let mut indexes: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (at, event) in order.iter().enumerate() {
        groupings.entry(&event.grouping).or_default().push(at);
        for key in &event.keys {
            indexes.entry(key).or_default().push(at);
        }
    }
    let mut out = vec![0x2A];
    let mut sections = Vec::new();
    let mut places = vec![(0_u64, 0_u16); order.len()];
    for (name, members) in groupings {
        let start = out.len();
        let mut section = Section { is_raw, ..Section::default() };
        for at in members {
            places[at] = ((start + section.out.len()) as u64, section.buffer.len() as u16);
            let mut len = Vec::new();
            put_uvarint(&mut len, order[at].data.len() as u64);
            section.append(&len);
            section.append(&order[at].timestamp.to_le_bytes());
            section.append(&order[at].data);
        }
        out.extend(section.finish());
        sections.push(([b"g", name].concat(), start, out.len() - start));
    }
    for (key, members) in indexes {
        let start = out.len();
        let mut section = Section { is_raw, ..Section::default() };
        for at in members {
            let (block, offset) = places[at];
            section.append(&block.to_le_bytes());
            section.append(&offset.to_le_bytes());
        }
        out.extend(section.finish());
        sections.push(([b"i", key].concat(), start, out.len() - start));
    }
    let value = |offset: usize, len: usize| {
        let mut value = Vec::new();
        put_uvarint(&mut value, offset as u64);
        put_uvarint(&mut value, len as u64);
        value
    };
    let entries: Vec<_> = sections.into_iter().map(|(key, offset, len)| (key, value(offset, len))).collect();
    let table = table(&entries);
    out.extend_from_slice(&table);
    out.extend_from_slice(&(table.len() as u64).to_le_bytes());
    out
}

/// A block of a table in the making.
#[derive(Default)]
struct TableBlock {
    out: Vec<u8>,
    restarts: Vec<u32>,
    count: usize,
    last: Vec<u8>,
}

impl TableBlock {
    fn add(&mut self, key: &[u8], value: &[u8], interval: usize) {
        let mut shared = 0;
        if self.count.is_multiple_of(interval) {
            self.restarts.push(self.out.len() as u32);
        } else {
            shared = key.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
        }
        for number in [shared, key.len() - shared, value.len()] {
            put_uvarint(&mut self.out, number as u64);
        }
        self.out.extend_from_slice(&key[shared..]);
        self.out.extend_from_slice(value);
        self.last = key.to_vec();
        self.count += 1;
    }

    /// Appends the block to a table and returns its handle.
    fn finish(mut self, table: &mut Vec<u8>) -> Vec<u8> {
        if self.restarts.is_empty() {
            self.restarts.push(0);
        }
        for restart in &self.restarts {
            self.out.extend_from_slice(&restart.to_le_bytes());
        }
        self.out.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        let mut handle = Vec::new();
        put_uvarint(&mut handle, table.len() as u64);
        put_uvarint(&mut handle, self.out.len() as u64);
        self.out.push(0);
        let sum = crc32c::crc32c(&self.out).rotate_right(15).wrapping_add(0xA282_EAD8);
        table.extend_from_slice(&self.out);
        table.extend_from_slice(&sum.to_le_bytes());
        handle
    }
}

fn separator(last: &[u8], next: Option<&[u8]>) -> Vec<u8> {
    let Some(next) = next else {
        let Some(at) = last.iter().position(|byte| *byte != 0xFF) else { return last.to_vec() };
        let mut key = last[..=at].to_vec();
        key[at] += 1;
        return key;
    };
    let common = last.iter().zip(next).take_while(|(a, b)| a == b).count();
    if common == last.len() || last[common] == 0xFF || last[common] + 1 >= next[common] {
        return last.to_vec();
    }
    let mut key = last[..=common].to_vec();
    key[common] += 1;
    key
}

/// A table of sorted entries.
pub(crate) fn table(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut index = TableBlock::default();
    let mut block = TableBlock::default();
    for (at, (key, value)) in entries.iter().enumerate() {
        block.add(key, value, 16);
        let next = entries.get(at + 1).map(|(key, _)| &key[..]);
        if block.out.len() + 4 * (block.restarts.len() + 1) >= BLOCK || next.is_none() {
            let handle = std::mem::take(&mut block).finish(&mut out);
            index.add(&separator(key, next), &handle, 1);
        }
    }
    if entries.is_empty() {
        let handle = block.finish(&mut out);
        index.add(b"", &handle, 1);
    }
    let metaindex = TableBlock::default().finish(&mut out);
    let index = index.finish(&mut out);
    let mut trailer = [metaindex, index].concat();
    trailer.resize(40, 0);
    out.extend_from_slice(&trailer);
    out.extend_from_slice(&MAGIC);
    out
}

/// A stream of records: payload and keys.
pub(crate) fn stream(records: &[(Vec<u8>, Vec<Vec<u8>>)], is_closed: bool) -> Vec<u8> {
    let mut out = b"ESDBstream".to_vec();
    let mut newest: BTreeMap<&[u8], u64> = BTreeMap::new();
    for (data, keys) in records {
        let at = out.len() as u64;
        let mut body = Vec::new();
        put_uvarint(&mut body, data.len() as u64);
        body.extend_from_slice(data);
        put_uvarint(&mut body, keys.len() as u64);
        for key in keys {
            put_uvarint(&mut body, key.len() as u64);
            body.extend_from_slice(key);
            put_uvarint(&mut body, newest.insert(key, at).unwrap_or(0));
        }
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&body);
    }
    if is_closed {
        let value = |at: u64| {
            let mut value = Vec::new();
            put_uvarint(&mut value, at);
            value
        };
        let entries: Vec<_> = newest.into_iter().map(|(key, at)| (key.to_vec(), value(at))).collect();
        let table = table(&entries);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&table);
        out.extend_from_slice(&(table.len() as u64).to_le_bytes());
        out.extend_from_slice(b"closedESDBstream");
    }
    out
}
