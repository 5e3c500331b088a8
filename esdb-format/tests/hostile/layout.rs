//! The parts of a file as the spec draws them: read without trust, and without the library.

use std::ops::Range;

pub(crate) const HEADER: usize = 64;
pub(crate) const FOOTER: usize = 288;
pub(crate) const HEAD: usize = 60;
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

/// Key and value of an entry.
pub(crate) type KeyAndValue = (Vec<u8>, Vec<u8>);

/// Where the numbers before the strings of a leaf of spaces or groupings begin, where the strings, and where its extent frames do.
pub(crate) fn parts_of_runs(bytes: &[u8]) -> Option<[usize; 3]> {
    let count = number(bytes, 1, 2)? as usize;
    let lengths = 3 + 2 * count.div_ceil(16) + 2 * count.div_ceil(128);
    let mut at = lengths;
    let (_, _, stored) = (varint(bytes, &mut at)?, varint(bytes, &mut at)?, varint(bytes, &mut at)?);
    Some([lengths, at, range_in(bytes, at as u64, stored)?.end])
}

/// The entries of a leaf of spaces or groupings, if its strings are stored as they are. Values are made up: varints of the first
/// ordinal, the number of events less one, the smallest timestamp as it is stored in 64 bits, the largest less that, the number of
/// groupings less one; then the only grouping.
pub(crate) fn runs(bytes: &[u8], is_spaces: bool) -> Option<Vec<KeyAndValue>> {
    let count = number(bytes, 1, 2)? as usize;
    let [mut at, strings, frames] = parts_of_runs(bytes)?;
    let (keys, only) = (varint(bytes, &mut at)? as usize, varint(bytes, &mut at)? as usize);
    if keys + only != frames - strings {
        return None;
    }
    let (mut at, mut only, mut frame, mut key) = (strings, strings + keys, frames, Vec::new());
    let mut entries = Vec::new();
    while entries.len() < count {
        let m = (count - entries.len()).min(128);
        let mut first_ordinal = varint(bytes, &mut frame)?;
        if is_spaces {
            varint(bytes, &mut frame)?;
        }
        let (base, step) = (varint(bytes, &mut frame)?, varint(bytes, &mut frame)?);
        let base = (base >> 1) ^ (base & 1).wrapping_neg();
        let counts = column(bytes, &mut frame, m)?;
        let gaps = column(bytes, &mut frame, if is_spaces { 0 } else { m - 1 })?;
        let firsts = column(bytes, &mut frame, m)?;
        let several = counts.iter().filter(|&&count| count > 0).count();
        let mut spans = column(bytes, &mut frame, several)?.into_iter();
        let groupings = column(bytes, &mut frame, if is_spaces { several } else { 0 })?;
        let one = m - groupings.iter().filter(|&&more| more > 0).count();
        let mut lens = column(bytes, &mut frame, if is_spaces { one } else { 0 })?.into_iter();
        let mut groupings = groupings.into_iter();
        for i in 0..m {
            let both = *bytes.get(at)?;
            at += 1;
            let mut length = |short: u8| match short {
                15 => Some(15 + varint(bytes, &mut at)? as usize),
                short => Some(usize::from(short)),
            };
            let (shared, suffix) = (length(both >> 4)?, length(both & 15)?);
            key.truncate(shared);
            key.extend_from_slice(bytes.get(at..at + suffix)?);
            at += suffix;
            let has_several = counts[i] > 0;
            let span = if has_several { spans.next()? * step } else { 0 };
            let more = if has_several { groupings.next().unwrap_or(0) } else { 0 };
            let mut value = Vec::new();
            let first = base.wrapping_add(firsts[i] * step);
            for number in [first_ordinal, counts[i], first, span, more] {
                put_varint(&mut value, number);
            }
            if more == 0 {
                let len = lens.next().unwrap_or(0) as usize;
                value.extend_from_slice(bytes.get(only..only + len)?);
                only += len;
            }
            first_ordinal += counts[i] + 1 + gaps.get(i).unwrap_or(&0);
            entries.push((key.clone(), value));
        }
    }
    Some(entries)
}

/// A leaf of these entries: the reverse of [`runs`], whatever their values say; with `count` entries, it states.
pub(crate) fn leaf_of_runs(entries: &[KeyAndValue], count: u16, is_spaces: bool) -> Vec<u8> {
    let [mut keys, mut only, mut frames, mut restarts, mut starts]: [Vec<u8>; 5] = Default::default();
    let mut last: &[u8] = &[];
    for (i, (key, _)) in entries.iter().enumerate() {
        let mut shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        if i.is_multiple_of(16) {
            restarts.extend_from_slice(&(keys.len() as u16).to_le_bytes());
            shared = 0;
        }
        let lengths = [shared, key.len() - shared];
        keys.push((lengths[0].min(15) << 4 | lengths[1].min(15)) as u8);
        lengths.into_iter().filter(|&len| len >= 15).for_each(|len| put_varint(&mut keys, len as u64 - 15));
        keys.extend_from_slice(&key[shared..]);
        last = key;
    }
    // Each number of a frame in 64 bits.
    let put_column = |out: &mut Vec<u8>, values: &[u64]| {
        for frame in values.chunks(128) {
            out.extend_from_slice(&[64, 0]);
            frame.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        }
    };
    for entries in entries.chunks(128) {
        starts.extend_from_slice(&(frames.len() as u16).to_le_bytes());
        let only_start = only.len() as u64;
        let mut lens = Vec::new();
        let mut row = |value: &[u8]| {
            let mut at = 0;
            let numbers = [0; 5].map(|_| varint(value, &mut at).unwrap_or(0));
            if is_spaces && (numbers[4] == 0 || numbers[1] == 0) {
                let grouping = &value[at.min(value.len())..];
                lens.push(grouping.len() as u64);
                only.extend_from_slice(grouping);
            }
            numbers
        };
        let rows: Vec<[u64; 5]> = entries.iter().map(|(_, value)| row(value)).collect();
        let of = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<u64>>();
        let several = |i: usize| rows.iter().filter(|row| row[1] > 0).map(|row| row[i]).collect::<Vec<u64>>();
        let base = rows.iter().map(|row| row[2] as i64).min().unwrap_or(0) as u64;
        put_varint(&mut frames, rows.first().map_or(0, |row| row[0]));
        if is_spaces {
            put_varint(&mut frames, only_start);
        }
        put_varint(&mut frames, base << 1 ^ ((base as i64) >> 63) as u64);
        put_varint(&mut frames, 1);
        put_column(&mut frames, &of(1));
        if !is_spaces {
            let end = |row: &[u64; 5]| row[0].wrapping_add(row[1]).wrapping_add(1);
            put_column(
                &mut frames,
                &rows.windows(2).map(|two| two[1][0].wrapping_sub(end(&two[0]))).collect::<Vec<_>>(),
            );
        }
        put_column(&mut frames, &of(2).iter().map(|first| first.wrapping_sub(base)).collect::<Vec<_>>());
        put_column(&mut frames, &several(3));
        if is_spaces {
            put_column(&mut frames, &several(4));
            put_column(&mut frames, &lens);
        }
    }
    let mut out = [&[0][..], &count.to_le_bytes(), &restarts, &starts].concat();
    for len in [keys.len(), only.len(), keys.len() + only.len()] {
        put_varint(&mut out, len as u64);
    }
    [out, keys, only, frames].concat()
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
    /// Runs, times, lengths, frames; then the label areas: keys, values, the index columns.
    pub(crate) areas: Vec<Range<usize>>,
    /// Where the directory states the checksum of each label area.
    pub(crate) sums: Vec<usize>,
    pub(crate) frames: u64,
}

/// The areas before the label areas.
pub(crate) const ROW_AREAS: usize = 4;

/// Where the row areas of a block lie, the directory included, and where the label areas.
pub(crate) fn parts_of_columns(bytes: &[u8], head: usize) -> Option<[Range<usize>; 2]> {
    let rows = range_in(bytes, (head + HEAD) as u64, number(bytes, head + 28, 4)?)?;
    let labels = range_in(bytes, rows.end as u64, number(bytes, head + 32, 4)?)?;
    Some([rows, labels])
}

pub(crate) fn columns(bytes: &[u8], head: usize) -> Option<Columns> {
    let [rows, labels] = parts_of_columns(bytes, head)?;
    let stated = &bytes[..rows.end];
    let mut at = rows.start;
    let mut fields = [0; 4 + ROW_AREAS];
    for field in &mut fields {
        *field = varint(stated, &mut at)?;
    }
    let [_, _, frames, names, ref row_lens @ ..] = fields;
    let (mut lens, mut sums) = (row_lens.to_vec(), Vec::new());
    for area in 0..2 + names.min(4096) {
        if area < 2 {
            varint(stated, &mut at)?;
        }
        lens.push(varint(stated, &mut at)?);
        number(stated, at, 4)?;
        sums.push(at);
        at += 4;
    }
    let directory = rows.start..at;
    let mut areas = Vec::new();
    for len in lens {
        if areas.len() == ROW_AREAS {
            at = labels.start;
        }
        let end = if areas.len() < ROW_AREAS { rows.end } else { labels.end };
        let area = range_in(&bytes[..end], at as u64, len)?;
        at = area.end;
        areas.push(area);
    }
    Some(Columns { directory, areas, sums, frames })
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
