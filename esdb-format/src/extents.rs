//! Leaves of the spaces and groupings tables: keys, and behind them extent frames, which say in columns what belongs to up to 128
//! of them each (spec §6.2).
//!
//! ```text
//! level │ count │ restart offsets … │ frame offsets … │ lengths │ strings │ frame │ frame │ …
//!
//! first ordinal │ [only groupings] │ base · step │ events … │ [gaps …] │ firsts … │ spans … │ [groupings … │ lengths …]
//! ```
//!
//! Frames have gaps in the groupings table, and what is said of groupings in that of spaces.

use std::ops::Range;
use std::sync::OnceLock;

use crate::codec::{Decoder, Encode};
use crate::codecs::Codecs;
use crate::compression::{Codec, Compressor};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::packed::{FRAME, decode_frame, encode_column, gcd};
use crate::page::{CLOSED, PageBuilder};
use crate::tables::{Extent, RunEntry};
use crate::tree::Leaf;

/// The level that strings of leaves are compressed with, if the codec takes one: higher ones find no more in them, and what they find
/// takes longer to undo.
const LEVEL: i32 = 1;

/// Collects the entries of a leaf.
pub(crate) struct ExtentsBuilder {
    section: Section,
    compressor: Compressor,
    keys: PageBuilder,
    only_len: usize,
    entries: Vec<RunEntry>,
}

impl ExtentsBuilder {
    /// Of a leaf of `section`: spaces or groupings.
    pub(crate) fn new(section: Section, codec: Codec) -> Result<Self> {
        let codec = Codec::from_code(codec.code(), LEVEL).unwrap_or(codec);
        Ok(Self {
            section,
            compressor: Compressor::new(codec, &[])?,
            keys: PageBuilder::default(),
            only_len: 0,
            entries: Vec::new(),
        })
    }

    /// Adds an entry, whose ordinals begin where those of the one before it end, or in the groupings table later.
    pub(crate) fn add(&mut self, key: &[u8], entry: RunEntry) {
        self.keys.add_key(key);
        self.only_len = self.only_len.saturating_add(entry.only_grouping.as_ref().map_or(0, Vec::len));
        self.entries.push(entry);
    }
}

impl Leaf for ExtentsBuilder {
    fn is_full(&self) -> bool {
        self.keys.len().saturating_add(self.only_len) >= CLOSED || self.entries.len() >= limits::LEAF_EXTENTS
    }

    fn first_key(&self) -> &[u8] {
        self.keys.first_key()
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.keys.put_head(0, &mut out);
        if self.entries.is_empty() {
            return Ok(out);
        }
        let mut strings = self.keys.take_entries();
        let keys_len = strings.len();
        let mut frames = Vec::new();
        for entries in self.entries.chunks(FRAME) {
            out.put_u16(frames.len() as u16);
            let only_start = strings.len().saturating_sub(keys_len);
            encode(self.section, entries, only_start, &mut frames);
            entries
                .iter()
                .filter_map(|entry| entry.only_grouping.as_ref())
                .for_each(|only| strings.extend(only));
        }
        let mut stored = Vec::new();
        self.compressor.append(&strings, &mut stored)?;
        out.put_varint(keys_len as u64);
        out.put_varint(strings.len().saturating_sub(keys_len) as u64);
        out.put_bytes(&stored);
        out.append(&mut frames);
        self.entries.clear();
        self.only_len = 0;
        Ok(out)
    }
}

/// Appends the frame of some entries, whose only groupings begin at `only_start`.
fn encode(section: Section, entries: &[RunEntry], only_start: usize, out: &mut Vec<u8>) {
    let column = |values: Vec<u64>, out: &mut Vec<u8>| encode_column(&values, out);
    let since = |time: i64, start: i64| time.wrapping_sub(start).cast_unsigned();
    let several = || entries.iter().filter(|entry| entry.extent.count > 1);
    let base = entries.iter().map(|entry| entry.extent.first).min().unwrap_or(0);
    let firsts = || entries.iter().map(|entry| since(entry.extent.first, base));
    let spans = || several().map(|entry| since(entry.extent.last, entry.extent.first));
    let step = firsts().chain(spans()).fold(0, gcd).max(1);
    let steps = |difference: u64| difference.checked_div(step).unwrap_or(0);

    out.put_varint(entries.first().map_or(0, |entry| entry.first_ordinal));
    if section == Section::Spaces {
        out.put_varint(only_start as u64);
    }
    out.put_svarint(base);
    out.put_varint(step);
    column(entries.iter().map(|entry| entry.extent.count.saturating_sub(1)).collect(), out);
    if section == Section::Groupings {
        let gap =
            |(entry, next): (&RunEntry, &RunEntry)| next.first_ordinal.saturating_sub(entry.ordinals().end);
        column(entries.iter().zip(entries.iter().skip(1)).map(gap).collect(), out);
    }
    column(firsts().map(steps).collect(), out);
    column(spans().map(steps).collect(), out);
    if section == Section::Spaces {
        column(several().map(|entry| entry.groupings.saturating_sub(1)).collect(), out);
        let only = entries.iter().filter_map(|entry| entry.only_grouping.as_ref());
        column(only.map(|grouping| grouping.len() as u64).collect(), out);
    }
}

/// What a leaf says of one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) first_ordinal: u64,
    pub(crate) extent: Extent,
    /// 1 in the groupings table.
    pub(crate) groupings: u64,
    /// Where the only grouping stands among the strings, if there is but one.
    only: Range<u32>,
}

/// The strings of a leaf, and its extent frames: those that were asked for are decoded.
pub(crate) struct Extents {
    /// The leaf, which stands at `offset`; where the offsets of its frames are in it, its strings, and its first frame.
    bytes: Vec<u8>,
    offset: u64,
    section: Section,
    starts_at: usize,
    strings_at: usize,
    frames_at: usize,
    count: usize,
    /// The keys, then the only groupings.
    strings: Vec<u8>,
    keys_len: usize,
    decoded: Vec<OnceLock<Box<[Row]>>>,
}

impl Extents {
    /// Takes a leaf of `section` with `count` entries, 1 or more, whose restart offsets end at `starts_at`.
    pub(crate) fn decode(
        bytes: Vec<u8>,
        starts_at: usize,
        offset: u64,
        section: Section,
        count: usize,
        codecs: &Codecs,
    ) -> Result<Self> {
        let mut decoder = Decoder::new(&bytes, offset, section);
        let place = |decoder: &Decoder<'_>| bytes.len().saturating_sub(decoder.remaining());
        decoder.take(starts_at, "P4")?;
        if count > limits::LEAF_EXTENTS {
            return Err(decoder.corrupt("L1", format!("leaf of {count} entries")));
        }
        let frame_count = count.div_ceil(FRAME);
        decoder.take(frame_count.saturating_mul(2), "P4")?;
        let keys_len = decoder.varint_up_to(limits::PAGE as u64, "length of the keys", "L1")?;
        let only_len = decoder.varint_up_to(limits::PAGE as u64, "length of the groupings", "L1")?;
        let stored = decoder.varint_up_to(limits::PAGE as u64, "stored length of the strings", "L1")?;
        let strings_at = place(&decoder);
        let strings = codecs.unpack_area(
            decoder.take(stored, "P4")?,
            keys_len.saturating_add(only_len),
            section,
            offset.saturating_add(strings_at as u64),
        )?;
        let frames_at = place(&decoder);
        let decoded = std::iter::repeat_with(OnceLock::new).take(frame_count).collect();
        Ok(Self {
            offset,
            section,
            starts_at,
            strings_at,
            frames_at,
            count,
            strings,
            keys_len,
            decoded,
            bytes,
        })
    }

    /// The keys of all entries, front-coded.
    pub(crate) fn keys(&self) -> &[u8] {
        self.strings.get(..self.keys_len).unwrap_or_default()
    }

    /// Where the keys are stored.
    pub(crate) fn keys_offset(&self) -> u64 {
        self.offset.saturating_add(self.strings_at as u64)
    }

    /// What is said of the entry with number `index`.
    pub(crate) fn row(&self, index: usize) -> Result<&Row> {
        let rows = self.rows(index / FRAME)?;
        rows.get(index % FRAME).ok_or_else(|| self.corrupt("P4", format!("there is no entry {index}")))
    }

    /// What is said of the 128 entries with number `frame`, of the rest in the last one.
    pub(crate) fn rows(&self, frame: usize) -> Result<&[Row]> {
        let Some(cell) = self.decoded.get(frame) else {
            return Err(self.corrupt("P4", format!("there is no extent frame {frame}")));
        };
        if let Some(rows) = cell.get() {
            return Ok(rows);
        }
        let mut decoder = self.frame(frame)?;
        let count = self.count.saturating_sub(frame.saturating_mul(FRAME)).min(FRAME);
        let only_area = self.keys_len..self.strings.len();
        let rows = decode(&mut decoder, self.section, count, only_area)?;
        decoder.finish("P4")?;
        Ok(cell.get_or_init(|| rows))
    }

    /// Where a frame begins, in `bytes`.
    fn start_of(&self, frame: usize) -> Result<usize> {
        let mut decoder = Decoder::new(&self.bytes, self.offset, self.section);
        decoder.take(frame.saturating_mul(2).saturating_add(self.starts_at), "P4")?;
        Ok(self.frames_at.saturating_add(decoder.u16("P4")?.into()))
    }

    /// The bytes of a frame: from where it begins to where the next one does.
    fn frame(&self, frame: usize) -> Result<Decoder<'_>> {
        let start = self.start_of(frame)?;
        let next = frame.saturating_add(1);
        let end = if next < self.decoded.len() { self.start_of(next)? } else { self.bytes.len() };
        let Some(bytes) = self.bytes.get(start..end) else {
            return Err(
                self.corrupt("P4", format!("extent frame {frame} begins at {start} and ends at {end}"))
            );
        };
        Ok(Decoder::new(bytes, self.offset.saturating_add(start as u64), self.section))
    }

    /// The grouping of a space that has no other.
    pub(crate) fn only_grouping(&self, row: &Row) -> Option<&[u8]> {
        let is_only = self.section == Section::Spaces && row.groupings == 1;
        is_only.then(|| self.strings.get(row.only.start as usize..row.only.end as usize)).flatten()
    }

    /// All frames can be decoded, the first one begins first, and the only groupings fill their area.
    pub(crate) fn check(&self) -> Result<()> {
        if self.start_of(0)? != self.frames_at {
            return Err(self.corrupt("P4", "the first extent frame begins elsewhere"));
        }
        let mut end = self.keys_len;
        for frame in 0..self.decoded.len() {
            let rows = self.rows(frame)?;
            for row in rows.iter().filter(|row| self.only_grouping(row).is_some()) {
                if row.only.start as usize != end {
                    return Err(
                        self.corrupt("P4", format!("groupings of extent frame {frame} do not follow"))
                    );
                }
                end = row.only.end as usize;
            }
        }
        match self.strings.len().saturating_sub(end) {
            0 => Ok(()),
            left => Err(self.corrupt("P4", format!("{left} bytes of groupings left over"))),
        }
    }

    fn corrupt(&self, rule: &'static str, reason: impl Into<String>) -> Error {
        let offset = self.offset.saturating_add(self.frames_at as u64);
        Error::corrupt(self.section, offset, rule, reason)
    }

    /// Bytes of memory in use once everything was decoded.
    pub(crate) fn memory(&self) -> usize {
        let bytes = self.strings.capacity().saturating_add(self.bytes.capacity());
        let rows = self.count.saturating_mul(size_of::<Row>());
        let cells = self.decoded.capacity().saturating_mul(size_of::<OnceLock<Box<[Row]>>>());
        size_of::<Self>().saturating_add(bytes).saturating_add(rows).saturating_add(cells)
    }
}

/// Decodes a frame of `count` entries, 1 to 128. Of `only_area` among the strings their only groupings take a part.
///
/// Without a branch for each entry: which of them have one event, or one grouping, is hard to foresee.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at most a frame of entries; sums and products say when they overflow"
)]
fn decode(
    decoder: &mut Decoder<'_>,
    section: Section,
    count: usize,
    only_area: Range<usize>,
) -> Result<Box<[Row]>> {
    let start = decoder.clone();
    let mut ordinal = decoder.varint("P4")?;
    let is_spaces = section == Section::Spaces;
    let only_start = if is_spaces { decoder.varint("P4")? } else { 0 };
    let (base, step) = (decoder.svarint("P4")?, decoder.varint("P4")?);
    // One more, for who looks behind the last one.
    let [mut counts, mut gaps, mut firsts, mut spans, mut groupings, mut lens] = [[0; FRAME + 1]; 6];
    let mut column = |values: &mut [u64]| match values {
        [] => Ok(()),
        values => decode_frame(decoder, values),
    };
    let more_than_0 = |values: &[u64]| values.iter().map(|&value| usize::from(value > 0)).sum::<usize>();
    column(&mut counts[..count])?;
    let several = more_than_0(&counts[..count]);
    if !is_spaces {
        column(&mut gaps[..count - 1])?;
    }
    column(&mut firsts[..count])?;
    column(&mut spans[..several])?;
    if is_spaces {
        column(&mut groupings[..several])?;
        column(&mut lens[..count - more_than_0(&groupings[..several])])?;
    }
    if step == 0 || firsts[..count].iter().min() != Some(&0) {
        return Err(start.corrupt("P6", "step is 0, or the smallest timestamp is of no entry"));
    }
    if lens.iter().any(|&len| len > limits::KEY as u64) {
        return Err(start.corrupt("L1", "grouping is too long"));
    }
    let only_start = only_start.saturating_add(only_area.start as u64);
    if only_start.saturating_add(lens.iter().sum()) > only_area.end as u64 {
        return Err(start.corrupt("P4", "groupings end behind the strings"));
    }

    let (mut overflows, mut too_many, mut only_at) = (false, false, only_start as u32);
    let (mut several_at, mut only_number) = (0, 0);
    let rows = counts[..count].iter().zip(&firsts[..count]).zip(&gaps[..count]).map(
        |((&less_one, &first), &gap)| {
            let of_several = u64::from(less_one > 0).wrapping_neg();
            let (span, groupings) = (spans[several_at] & of_several, groupings[several_at] & of_several);
            several_at += (of_several & 1) as usize;
            let of_only = u64::from(groupings == 0).wrapping_neg();
            let len = (lens[only_number] & of_only) as u32;
            only_number += (of_only & 1) as usize;

            let (since, beyond) = first.overflowing_mul(step);
            let (first, beyond_too) = base.overflowing_add_unsigned(since);
            overflows |= beyond | beyond_too;
            let (span, beyond) = span.overflowing_mul(step);
            let (last, beyond_too) = first.overflowing_add_unsigned(span);
            overflows |= beyond | beyond_too;
            too_many |= groupings > less_one;
            let row = Row {
                first_ordinal: ordinal,
                extent: Extent { count: less_one.wrapping_add(1), first, last },
                groupings: groupings.wrapping_add(1),
                only: only_at..only_at + len,
            };
            only_at += len;
            let (end, beyond) = ordinal.overflowing_add(less_one);
            let (next, beyond_too) = end.overflowing_add(gap);
            overflows |= beyond | beyond_too | (next >= i64::MAX as u64);
            ordinal = next.wrapping_add(1);
            row
        },
    );
    let rows: Vec<Row> = rows.collect();
    if overflows {
        return Err(start.corrupt("P6", "ordinal exceeds 63 bits, or timestamp 64"));
    }
    if too_many {
        return Err(start.corrupt("P6", "space of more groupings than events"));
    }
    Ok(rows.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::key64;
    use crate::page::{Page, PageCursor};
    use crate::tree::tests::Memory;
    use crate::tree::{Tree, TreeBuilder};

    fn codecs() -> Codecs {
        Codecs::new(Codec::Zstd { level: 3 }, true)
    }

    fn page_of(bytes: &[u8], section: Section) -> Result<Arc<Page>> {
        Page::decode(bytes.to_vec(), 1000, section, &codecs()).map(Arc::new)
    }

    /// All entries, after everything was checked.
    fn read(bytes: &[u8], section: Section) -> Result<Vec<(Vec<u8>, RunEntry)>> {
        let page = page_of(bytes, section)?;
        page.check_shape()?;
        let (mut cursor, mut entries) = (PageCursor::new(page), Vec::new());
        while cursor.next()? {
            entries.push((cursor.key().to_vec(), RunEntry::at(&cursor)?));
        }
        Ok(entries)
    }

    fn rule<T>(result: Result<T>) -> &'static str {
        result.err().and_then(|error| error.problem().map(|problem| problem.rule)).unwrap_or("")
    }

    fn leaf(section: Section, entries: &[(Vec<u8>, RunEntry)]) -> Vec<u8> {
        let mut leaf = ExtentsBuilder::new(section, Codec::Zstd { level: 3 }).unwrap();
        entries.iter().for_each(|(key, entry)| leaf.add(key, entry.clone()));
        leaf.take().unwrap()
    }

    /// Some entries of one event, some of many; of one grouping or several; in the groupings table with gaps.
    fn entries(section: Section, count: u64) -> Vec<(Vec<u8>, RunEntry)> {
        let (mut first_ordinal, mut entries) = (700, Vec::new());
        for i in 0..count {
            let random = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            let events = if random.is_multiple_of(3) { 1 } else { random % 500 + 2 };
            let first = 1_767_225_600_000 + (random % 90_000_000) as i64 * 1000;
            let last = if events == 1 { first } else { first + (random % 77) as i64 * 1000 };
            let is_space = section == Section::Spaces;
            let groupings = if is_space && random.is_multiple_of(5) { random % events + 1 } else { 1 };
            let only_grouping = (is_space && groupings == 1).then(|| vec![b'g'; (random % 4) as usize]);
            let extent = Extent { count: events, first, last };
            let key = format!("customer-{:06}{}", i * 7, if i % 9 == 0 { "-with-a-long-name" } else { "" });
            entries.push((key.into_bytes(), RunEntry { first_ordinal, extent, groupings, only_grouping }));
            first_ordinal += events + if is_space { 0 } else { random % 2 * (random % 1000) };
        }
        entries
    }

    const BOTH: [Section; 2] = [Section::Spaces, Section::Groupings];

    #[test]
    fn leaves_come_back_as_they_were() {
        for section in BOTH {
            for count in [1, 2, 15, 16, 17, 127, 128, 129, 255, 256] {
                let entries = entries(section, count);
                let bytes = leaf(section, &entries);
                assert_eq!(read(&bytes, section).unwrap(), entries, "{section:?} {count}");
                let mut cursor = PageCursor::new(page_of(&bytes, section).unwrap());
                for (key, entry) in entries.iter().rev().step_by(5) {
                    assert!(cursor.floor(key).unwrap() && cursor.key() == key);
                    assert_eq!(&RunEntry::at(&cursor).unwrap(), entry);
                }
            }
            assert_eq!(leaf(section, &[]), [0, 0, 0]);
            assert!(page_of(&[0, 0, 0], section).unwrap().extents().is_none());
        }
    }

    #[test]
    fn extremes_come_back() {
        let run = |first_ordinal, count, first, last| RunEntry {
            first_ordinal,
            extent: Extent { count, first, last },
            groupings: count,
            only_grouping: None,
        };
        let most = i64::MAX as u64;
        let extremes = [
            vec![run(0, most, i64::MIN, i64::MAX)],
            vec![run(most - 5, 2, i64::MIN, i64::MIN + 7), run(most - 3, 3, i64::MAX - 7, i64::MAX)],
            vec![run(0, 2, i64::MAX, i64::MAX)],
        ];
        for runs in extremes {
            let entries: Vec<_> = (0_u8..).map(|key| vec![key; 65_535]).zip(runs).collect();
            assert_eq!(read(&leaf(Section::Spaces, &entries), Section::Spaces).unwrap(), entries);
        }
        let only_grouping = Some(vec![7; 65_535]);
        let entry = RunEntry { groupings: 1, only_grouping, ..run(0, 1, 5, 5) };
        let entries = [(Vec::new(), entry)];
        assert_eq!(read(&leaf(Section::Spaces, &entries), Section::Spaces).unwrap(), entries);
    }

    #[test]
    fn every_truncation_is_rejected() {
        for section in BOTH {
            let mut bytes = leaf(section, &entries(section, 140));
            for len in 0..bytes.len() {
                assert!(read(&bytes[..len], section).is_err(), "{section:?} {len}");
            }
            bytes.push(0);
            assert_eq!(rule(read(&bytes, section)), "P4");
        }
    }

    #[test]
    fn differences_are_divided_by_what_they_share() {
        let of_times = |times: [i64; 3]| {
            let entry = |(key, time): (u8, i64)| {
                let extent = Extent { count: 2, first: time, last: time + (times[1] - times[0]) };
                let first_ordinal = u64::from(key) * 2;
                (vec![key], RunEntry { first_ordinal, extent, groupings: 2, only_grouping: None })
            };
            leaf(Section::Spaces, &(0..).zip(times).map(entry).collect::<Vec<_>>()).len()
        };
        // As many steps, of a thousand and of one.
        assert_eq!(of_times([5_000, 6_000, 90_000]), of_times([5_000, 5_001, 5_085]) + 1);
    }

    /// What a frame of two entries says.
    #[derive(Clone)]
    struct Forged {
        first_ordinal: u64,
        only_start: u64,
        base: i64,
        step: u64,
        counts: [u64; 2],
        gap: u64,
        firsts: [u64; 2],
        spans: [u64; 2],
        groupings: [u64; 2],
        lens: Vec<u64>,
    }

    /// Two events of two groupings, and three events of one grouping, `g`.
    fn forged() -> Forged {
        Forged {
            first_ordinal: 9,
            only_start: 0,
            base: -100,
            step: 10,
            counts: [1, 2],
            gap: 0,
            firsts: [0, 3],
            spans: [5, 0],
            groupings: [1, 0],
            lens: vec![1],
        }
    }

    impl Forged {
        fn leaf(&self, section: Section) -> Vec<u8> {
            let mut out = vec![0, 2, 0, 0, 0, 0, 0, 4, 1, 5];
            out.extend_from_slice(&[0x01, b'a', 0x01, b'b', b'g']);
            out.put_varint(self.first_ordinal);
            if section == Section::Spaces {
                out.put_varint(self.only_start);
            } else {
                (out[8], out[9]) = (0, 4);
                out.remove(14);
            }
            out.put_svarint(self.base);
            out.put_varint(self.step);
            encode_column(&self.counts, &mut out);
            if section == Section::Groupings {
                encode_column(&[self.gap], &mut out);
            }
            encode_column(&self.firsts, &mut out);
            encode_column(&self.spans, &mut out);
            if section == Section::Spaces {
                encode_column(&self.groupings, &mut out);
                encode_column(&self.lens, &mut out);
            }
            out
        }
    }

    #[test]
    fn false_frames_are_rejected() {
        let most = i64::MAX as u64;
        type Change = fn(&mut Forged);
        let cases: [(&str, Section, Change); 22] = [
            ("", Section::Spaces, |_| {}),
            ("", Section::Groupings, |_| {}),
            ("P6", Section::Spaces, |forged| forged.step = 0),
            ("P6", Section::Spaces, |forged| forged.firsts[0] = 1),
            ("P6", Section::Spaces, |forged| forged.firsts[1] = u64::MAX / 9),
            ("P6", Section::Spaces, |forged| forged.firsts[1] = u64::MAX / 10),
            ("P6", Section::Spaces, |forged| forged.spans[1] = u64::MAX / 9),
            ("P6", Section::Spaces, |forged| forged.spans[1] = u64::MAX / 10),
            ("P6", Section::Spaces, |forged| forged.counts[1] = u64::MAX),
            ("P6", Section::Spaces, |forged| forged.counts[1] = i64::MAX as u64 - 11),
            ("", Section::Spaces, |forged| forged.counts[1] = i64::MAX as u64 - 12),
            ("P6", Section::Spaces, |forged| forged.first_ordinal = u64::MAX),
            ("P6", Section::Spaces, |forged| forged.first_ordinal = i64::MAX as u64 - 4),
            ("", Section::Spaces, |forged| forged.first_ordinal = i64::MAX as u64 - 5),
            ("P6", Section::Groupings, |forged| forged.gap = u64::MAX),
            ("P6", Section::Groupings, |forged| forged.gap = i64::MAX as u64 - 13),
            ("", Section::Groupings, |forged| forged.gap = i64::MAX as u64 - 14),
            ("P6", Section::Spaces, |forged| forged.groupings[0] = 2),
            ("P6", Section::Spaces, |forged| forged.groupings[0] = u64::MAX),
            ("P4", Section::Spaces, |forged| forged.lens[0] = 2),
            ("P4", Section::Spaces, |forged| forged.lens[0] = 0),
            ("L1", Section::Spaces, |forged| forged.lens[0] = limits::KEY as u64 + 1),
        ];
        for (number, (expected, section, change)) in cases.into_iter().enumerate() {
            let mut forged = forged();
            change(&mut forged);
            let result = read(&forged.leaf(section), section);
            if let Ok(entries) = &result {
                assert!(entries.iter().all(|(_, entry)| entry.ordinals().end <= most), "case {number}");
            }
            assert_eq!(rule(result), expected, "case {number}");
        }
        for only_start in [1, u64::MAX] {
            assert_eq!(
                rule(read(&Forged { only_start, ..forged() }.leaf(Section::Spaces), Section::Spaces)),
                "P4"
            );
        }
        let no_entry = page_of(&forged().leaf(Section::Spaces), Section::Spaces).unwrap();
        assert_eq!(rule(no_entry.extents().unwrap().row(2).map(drop)), "P4");
        assert_eq!(rule(no_entry.extents().unwrap().row(128).map(drop)), "P4");
    }

    #[test]
    fn false_lengths_and_places_are_rejected() {
        let bytes = forged().leaf(Section::Spaces);
        // Number of entries; where the frame begins; lengths of keys, groupings, and both stored.
        for (at, value, expected) in [(2, 2, "L1"), (5, 1, "P4"), (7, 3, "Z1"), (7, 5, "Z2"), (8, 0, "Z1")] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            bytes.extend_from_slice(&[0; 2_000]);
            assert_eq!(rule(read(&bytes, Section::Spaces)), expected, "{value} at {at}");
        }
        let long = [&bytes[..7], &[0x81, 0x80, 0x10], &bytes[8..]].concat();
        assert_eq!(rule(read(&long, Section::Spaces)), "L1");
        let one_entry = [&[0, 1, 0, 0, 0, 0, 0][..], &[2, 0, 2, 0x0F, b'a']].concat();
        assert_eq!(rule(read(&one_entry, Section::Spaces)), "P4");
    }

    /// Who asks for an entry reads the frame that it is in.
    #[test]
    fn damage_in_a_frame_costs_its_entries() {
        let entries = entries(Section::Spaces, 200);
        let mut bytes = leaf(Section::Spaces, &entries);
        let end = bytes.len();
        bytes[end - 30..].fill(0xFF);
        let mut cursor = PageCursor::new(page_of(&bytes, Section::Spaces).unwrap());
        cursor.go_to(127).unwrap();
        assert_eq!(RunEntry::at(&cursor).unwrap(), entries[127].1);
        cursor.go_to(128).unwrap();
        let error = RunEntry::at(&cursor).unwrap_err().to_string();
        assert!(error.starts_with("corrupt spaces table at byte "), "{error}");
    }

    #[test]
    fn leaves_end_with_256_entries_or_8_kib_of_strings() {
        let leaves = |key_len: usize, only_len: usize, count: usize| {
            let mut pages = Memory::default();
            let mut tree = TreeBuilder::new(ExtentsBuilder::new(Section::Spaces, Codec::None).unwrap());
            for i in 0..count {
                let key = [&key64(i as u64)[..], &vec![7; key_len - 8]].concat();
                let extent = Extent { count: 1, first: 0, last: 0 };
                let only_grouping = Some(vec![8; only_len]);
                let entry = RunEntry { first_ordinal: i as u64, extent, groupings: 1, only_grouping };
                tree.add_with(&mut pages, |leaf| leaf.add(&key, entry)).unwrap();
            }
            let root = tree.finish_with_root(&mut pages).unwrap();
            let mut cursor = Tree::of(&pages, root, count as u64, Section::Spaces).cursor();
            let (mut counts, mut at) = (Vec::new(), 0);
            while cursor.go_to(at).unwrap() {
                let len = cursor.leaf().page().count() as u64;
                counts.push(len);
                at += len;
            }
            counts
        };
        assert_eq!(leaves(8, 0, 600), [256, 256, 88]);
        assert_eq!(leaves(8, 0, 256), [256]);
        // The first key of a leaf takes 9 bytes.
        assert_eq!(leaves(8, 8_183, 3), [1, 1, 1]);
        assert_eq!(leaves(8, 8_182, 3), [2, 1]);
        assert_eq!(leaves(8, 4_000, 7), [3, 3, 1]);
        assert_eq!(leaves(65_535, 65_535, 3), [1, 1, 1]);
    }

    #[test]
    fn memory_is_what_is_held_once_all_was_decoded() {
        for count in [1, 128, 256] {
            let page =
                page_of(&leaf(Section::Spaces, &entries(Section::Spaces, count)), Section::Spaces).unwrap();
            let extents = page.extents().unwrap();
            extents.check().unwrap();
            let rows: usize = extents.decoded.iter().map(|rows| rows.get().unwrap().len()).sum();
            let bytes = extents.strings.capacity() + extents.bytes.capacity();
            let held =
                bytes + rows * size_of::<Row>() + extents.decoded.len() * size_of::<OnceLock<Box<[Row]>>>();
            assert_eq!((extents.memory(), rows), (held + size_of::<Extents>(), count as usize));
            assert!(page.memory() > extents.memory());
        }
    }
}
