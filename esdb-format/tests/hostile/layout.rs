//! The parts of a file as the spec draws them: read without trust, and without the library.

use std::ops::Range;

pub(crate) const HEADER: usize = 64;
pub(crate) const FOOTER: usize = 288;
pub(crate) const HEAD: usize = 56;
pub(crate) const PAGE_MAX: u64 = 256 << 10;

/// What the pages of a tree hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    TimeOrder,
    Names,
    Spaces,
    Groupings,
    Blocks,
    Values,
    List,
}

/// The trees whose roots stand in the footer, in their order there.
pub(crate) const TREES: [Kind; 5] =
    [Kind::TimeOrder, Kind::Names, Kind::Spaces, Kind::Groupings, Kind::Blocks];

/// What a handle leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Page(Kind),
    Block,
}

/// A handle in the value of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) target: Target,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Its bytes; the last four are the checksum.
    pub(crate) range: Range<usize>,
}

/// The fixed-size number of `len` bytes at `at`.
pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let stored = bytes.get(at..at.checked_add(len)?)?;
    Some(stored.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

pub(crate) fn put_number(bytes: &mut [u8], at: usize, len: usize, value: u64) {
    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// A number as a key, whose most significant byte comes first.
pub(crate) fn key64(value: u64) -> Vec<u8> {
    value.to_le_bytes().into_iter().rev().collect()
}

/// The varint at `at`, which is moved behind it.
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `offset..offset + len` if the file has these bytes.
pub(crate) fn range_in(bytes: &[u8], offset: u64, len: u64) -> Option<Range<usize>> {
    let end = offset.checked_add(len).filter(|&end| end <= bytes.len() as u64)?;
    Some(offset as usize..end as usize)
}

/// An entry of a page: where its three varints, its suffix and its value lie.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) suffix: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The level and the entries of a page, as far as they make sense.
pub(crate) fn page(bytes: &[u8]) -> (u8, Vec<Entry>) {
    let (Some(&level), Some(count)) = (bytes.first(), number(bytes, 1, 2)) else { return (0, Vec::new()) };
    let mut at = 3 + 2 * (count as usize).div_ceil(16);
    let (mut entries, mut key) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let Some(entry) = entry(bytes, at, &mut key) else { break };
        at = entry.value.end;
        entries.push(entry);
    }
    (level, entries)
}

fn entry(bytes: &[u8], start: usize, key: &mut Vec<u8>) -> Option<Entry> {
    let mut at = start;
    let (shared, suffix, value) = (varint(bytes, &mut at)?, varint(bytes, &mut at)?, varint(bytes, &mut at)?);
    let suffix = range_in(bytes, at as u64, suffix)?;
    let value = range_in(bytes, suffix.end as u64, value)?;
    key.truncate(usize::try_from(shared).unwrap_or(usize::MAX));
    key.extend_from_slice(&bytes[suffix.clone()]);
    Some(Entry { key: key.clone(), start, suffix, value })
}

/// The handle in the value of an entry, if it has one.
pub(crate) fn link(kind: Kind, level: u8, value: &[u8]) -> Option<Link> {
    let mut at = 0;
    let target = match kind {
        _ if level > 0 => Target::Page(kind),
        Kind::Blocks => Target::Block,
        Kind::Names => {
            (0..4).try_for_each(|_| varint(value, &mut at).map(drop))?;
            Target::Page(Kind::Values)
        }
        Kind::Values => {
            let count = varint(value, &mut at)?;
            (0..2).try_for_each(|_| varint(value, &mut at).map(drop))?;
            (count > 128).then_some(Target::Page(Kind::List))?
        }
        _ => return None,
    };
    let start = at;
    let (offset, len) = (varint(value, &mut at)?, varint(value, &mut at)?);
    number(value, at, 4)?;
    Some(Link { target, offset, len, range: start..at + 4 })
}

/// Where the parts of a block's columns lie, in the file.
pub(crate) struct Columns {
    pub(crate) directory: Range<usize>,
    /// Keys, runs, times, lengths, frames, values, then the index columns.
    pub(crate) areas: Vec<Range<usize>>,
    pub(crate) frames: u64,
}

pub(crate) fn columns(bytes: &[u8], head: usize) -> Option<Columns> {
    let len = number(bytes, head + 28, 4)?;
    let all = range_in(bytes, (head + HEAD) as u64, len)?;
    let bytes = &bytes[..all.end];
    let mut at = all.start;
    let mut fields = [0; 12];
    for field in &mut fields {
        *field = varint(bytes, &mut at)?;
    }
    let [_, _, frames, names, _, keys, runs, times, lengths, frame_area, _, values] = fields;
    let mut lens = vec![keys, runs, times, lengths, frame_area, values];
    for _ in 0..names.min(4096) {
        lens.push(varint(bytes, &mut at)?);
    }
    let directory = all.start..at;
    let mut areas = Vec::new();
    for len in lens {
        let area = range_in(bytes, at as u64, len)?;
        at = area.end;
        areas.push(area);
    }
    Some(Columns { directory, areas, frames })
}

/// The `count` values of the column at `at`, which is moved behind it (spec §4.1).
pub(crate) fn column(bytes: &[u8], at: &mut usize, count: usize) -> Option<Vec<u64>> {
    let mut values = Vec::new();
    while values.len() < count {
        let len = (count - values.len()).min(128);
        let first = *bytes.get(*at)?;
        *at += 1;
        let (width, base) = (usize::from(first & 0x7F), varint(bytes, at)?);
        let mut exceptions = (0, 0);
        if first & 0x80 != 0 {
            exceptions = (usize::from(*bytes.get(*at)?), usize::from(*bytes.get(*at + 1)?));
            *at += 2;
        }
        if width > 64 || exceptions.1 > 64 {
            return None;
        }
        let low = packed(bytes, at, len, width)?;
        let places = bytes.get(*at..*at + exceptions.0)?;
        *at += exceptions.0;
        let high = packed(bytes, at, exceptions.0, exceptions.1)?;
        let mut frame: Vec<u64> = low.into_iter().map(|low| low.wrapping_add(base)).collect();
        for (&place, high) in places.iter().zip(high) {
            let value = frame.get_mut(usize::from(place))?;
            *value = value.wrapping_add(high.checked_shl(width as u32)?);
        }
        values.append(&mut frame);
    }
    Some(values)
}

fn packed(bytes: &[u8], at: &mut usize, count: usize, width: usize) -> Option<Vec<u64>> {
    let area = bytes.get(*at..*at + (count * width).div_ceil(8))?;
    *at += area.len();
    let bit = |bit: usize| u64::from(area[bit / 8] >> (bit % 8) & 1);
    Some((0..count).map(|i| (0..width).fold(0, |value, j| value | bit(i * width + j) << j)).collect())
}

/// The numbers and strings of the facts: where the handles of extra sections stand.
pub(crate) fn extra_sections(facts: &[u8]) -> Option<Vec<Link>> {
    let mut at = 0;
    for _ in 0..16 {
        varint(facts, &mut at)?;
    }
    for _ in 0..varint(facts, &mut at)?.saturating_mul(2) {
        let len = varint(facts, &mut at)?;
        at = range_in(facts, at as u64, len)?.end;
    }
    let mut links = Vec::new();
    for _ in 0..varint(facts, &mut at)? {
        varint(facts, &mut at)?;
        let start = at;
        let (offset, len) = (varint(facts, &mut at)?, varint(facts, &mut at)?);
        number(facts, at, 4)?;
        at += 4;
        links.push(Link { target: Target::Block, offset, len, range: start..at });
    }
    Some(links)
}
