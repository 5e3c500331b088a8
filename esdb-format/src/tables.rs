//! The entries of the tables: spaces, groupings, index names, values and blocks (spec §6).

use crate::block::{EncodedBlock, Head};
use crate::codec::{Decoder, Encode, from_key64, key64};
use crate::error::{Error, Result, Section};
use crate::handle::Handle;
use crate::page::PageCursor;
use crate::postings::List;

/// How many events something has, and the smallest and largest of their timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many events.
    pub count: u64,
    /// The smallest timestamp, in the file's unit.
    pub first: i64,
    /// The largest timestamp, in the file's unit.
    pub last: i64,
}

impl Extent {
    /// Of one event.
    pub(crate) fn of(timestamp: i64) -> Self {
        Self { count: 1, first: timestamp, last: timestamp }
    }

    /// Of both together.
    pub(crate) fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Joins into something that may not have begun.
    pub(crate) fn join_into(self, total: &mut Option<Self>) {
        match total {
            Some(total) => total.join(self),
            None => *total = Some(self),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(self.count);
        encode_times(self.first, self.last, out);
    }

    fn decode(decoder: &mut Decoder<'_>, rule: &'static str) -> Result<Self> {
        let count = decoder.varint("P4")?;
        let (first, last) = decode_times(decoder, rule)?;
        if count == 0 || i64::try_from(count).is_err() {
            return Err(decoder.corrupt(rule, format!("{count} events")));
        }
        Ok(Self { count, first, last })
    }
}

fn encode_times(first: i64, last: i64, out: &mut Vec<u8>) {
    out.put_svarint(first);
    out.put_varint(last.wrapping_sub(first).cast_unsigned());
}

fn decode_times(decoder: &mut Decoder<'_>, rule: &'static str) -> Result<(i64, i64)> {
    let first = decoder.svarint("P4")?;
    let span = decoder.varint("P4")?;
    match first.checked_add_unsigned(span) {
        Some(last) => Ok((first, last)),
        None => Err(decoder.corrupt(rule, "timestamp exceeds 64 bits")),
    }
}

/// An entry of the spaces or groupings table: the run of ordinals of one of them. A leaf holds many of them as
/// [extents](crate::extents).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunEntry {
    pub(crate) first_ordinal: u64,
    pub(crate) extent: Extent,
    /// How many groupings a space has; 1 for a grouping.
    pub(crate) groupings: u64,
    /// The grouping of a space that has only one.
    pub(crate) only_grouping: Option<Vec<u8>>,
}

impl RunEntry {
    /// The one that a cursor in a leaf is at.
    pub(crate) fn at(cursor: &PageCursor) -> Result<Self> {
        let row = cursor.row()?;
        let only_grouping = cursor.page().extents().and_then(|extents| extents.only_grouping(row));
        Ok(Self {
            first_ordinal: row.first_ordinal,
            extent: row.extent,
            groupings: row.groupings,
            only_grouping: only_grouping.map(<[u8]>::to_vec),
        })
    }

    /// The form in which it waits for its leaf; no file has it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(self.first_ordinal);
        self.extent.encode(out);
        out.put_varint(self.groupings);
        out.put_u8(self.only_grouping.is_some().into());
        out.extend_from_slice(self.only_grouping.as_deref().unwrap_or_default());
    }

    /// The reverse of [`encode`](Self::encode).
    pub(crate) fn decode(mut decoder: Decoder<'_>) -> Result<Self> {
        let first_ordinal = decoder.varint("P4")?;
        let extent = Extent::decode(&mut decoder, "T2")?;
        let groupings = decoder.varint("P4")?;
        let has_one = decoder.u8("P4")? == 1;
        let only_grouping = has_one.then(|| decoder.rest().to_vec());
        Ok(Self { first_ordinal, extent, groupings, only_grouping })
    }

    /// The ordinals; those of a space are its time numbers too.
    pub(crate) fn ordinals(&self) -> std::ops::Range<u64> {
        self.first_ordinal..self.first_ordinal.saturating_add(self.extent.count)
    }
}

/// The key of a grouping in the space that begins at `space_ordinal`.
pub(crate) fn grouping_key(space_ordinal: u64, grouping: &[u8]) -> Vec<u8> {
    [&key64(space_ordinal)[..], grouping].concat()
}

/// An entry of the table of index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameEntry {
    pub(crate) values: u64,
    /// Its count is that of entries: an event with two values counts twice.
    pub(crate) extent: Extent,
    pub(crate) tree: Handle,
}

impl NameEntry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(self.values);
        self.extent.encode(out);
        self.tree.encode(out);
    }

    pub(crate) fn decode(mut decoder: Decoder<'_>) -> Result<Self> {
        let values = decoder.varint("P4")?;
        let extent = Extent::decode(&mut decoder, "T4")?;
        let tree = Handle::decode(&mut decoder)?;
        decoder.finish("P4")?;
        if values == 0 || values > extent.count {
            return Err(decoder.corrupt("T4", format!("{values} values of {} entries", extent.count)));
        }
        Ok(Self { values, extent, tree })
    }
}

/// An entry of a name's tree of values.
#[derive(Clone, Debug)]
pub(crate) struct ValueEntry {
    pub(crate) extent: Extent,
    pub(crate) list: List,
}

impl ValueEntry {
    /// Appends what stands before the posting list.
    pub(crate) fn encode_extent(extent: &Extent, out: &mut Vec<u8>) {
        extent.encode(out);
    }

    /// The extent alone, without the list.
    pub(crate) fn decode_extent(decoder: &mut Decoder<'_>) -> Result<Extent> {
        Extent::decode(decoder, "T4")
    }

    pub(crate) fn decode(mut decoder: Decoder<'_>) -> Result<Self> {
        let extent = Extent::decode(&mut decoder, "T4")?;
        let list = List::decode(&mut decoder, extent.count)?;
        decoder.finish("P4")?;
        Ok(Self { extent, list })
    }
}

/// An entry of the blocks table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    pub(crate) first_ordinal: u64,
    /// Its checksum is that of the block's head.
    pub(crate) handle: Handle,
    /// The length of the row areas, as the head states it.
    pub(crate) rows_len: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl BlockEntry {
    pub(crate) fn new(head: &Head, block: &EncodedBlock) -> Self {
        Self {
            first_ordinal: head.first_ordinal,
            handle: Handle { offset: head.offset, len: head.block_len(), checksum: head.checksum },
            rows_len: head.rows_len,
            first: block.first_timestamp,
            last: block.last_timestamp,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.handle.encode(out);
        out.put_varint(self.rows_len.into());
        encode_times(self.first, self.last, out);
    }

    /// The one that a cursor in a leaf is at.
    pub(crate) fn at(cursor: &PageCursor) -> Result<Self> {
        match cursor.place().and_then(|place| cursor.page().block(place)) {
            Some(entry) => Ok(entry),
            None => Self::decode(cursor.key(), cursor.value()),
        }
    }

    pub(crate) fn decode(key: &[u8], mut decoder: Decoder<'_>) -> Result<Self> {
        let Some(first_ordinal) = from_key64(key) else {
            return Err(decoder.corrupt("P4", "key is not of 8 bytes"));
        };
        let handle = Handle::decode(&mut decoder)?;
        let rows_len = decoder.varint("P4")?;
        let Ok(rows_len) = u32::try_from(rows_len) else {
            return Err(decoder.corrupt("T1", format!("row areas of {rows_len} bytes")));
        };
        let (first, last) = decode_times(&mut decoder, "T1")?;
        decoder.finish("P4")?;
        Ok(Self { first_ordinal, handle, rows_len, first, last })
    }

    /// A block is as long as the table states, and begins with the event that the table states.
    pub(crate) fn check(&self, head: &Head) -> Result<()> {
        let Self { first_ordinal, handle: Handle { len, .. }, rows_len, .. } = *self;
        if (head.block_len(), head.rows_len, head.first_ordinal) == (len, rows_len, first_ordinal) {
            return Ok(());
        }
        let reason = format!(
            "the blocks table states {len} bytes, {rows_len} of them row areas, from ordinal {first_ordinal}"
        );
        Err(Error::corrupt(Section::Block, head.offset, "T1", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Section;

    fn rule<T>(bytes: &[u8], decode: impl Fn(Decoder<'_>) -> Result<T>) -> &'static str {
        let result = decode(Decoder::new(bytes, 0, Section::Names));
        result.err().and_then(|error| error.problem().map(|problem| problem.rule)).unwrap_or("")
    }

    /// What is encoded, decoded; every truncation is refused, and what stands behind it.
    fn check<T: PartialEq + std::fmt::Debug>(
        entry: &T,
        encode: impl Fn(&T, &mut Vec<u8>),
        decode: impl Fn(Decoder<'_>) -> Result<T>,
    ) {
        let mut bytes = Vec::new();
        encode(entry, &mut bytes);
        assert_eq!(&decode(Decoder::new(&bytes, 0, Section::Names)).unwrap(), entry);
        for len in 0..bytes.len() {
            assert_eq!(rule(&bytes[..len], &decode), "P4", "{entry:?} {len}");
        }
        bytes.push(0);
        assert_eq!(rule(&bytes, &decode), "P4", "{entry:?}");
    }

    const EXTENT: Extent = Extent { count: 300, first: -5, last: i64::MAX };
    const HANDLE: Handle = Handle { offset: 70_000, len: 500, checksum: 0xDEAD_BEEF };

    #[test]
    fn entries_round_trip() {
        let name = NameEntry { values: 300, extent: EXTENT, tree: HANDLE };
        check(&name, NameEntry::encode, NameEntry::decode);
        let block =
            BlockEntry { first_ordinal: 77, handle: HANDLE, rows_len: 300, first: i64::MIN, last: i64::MAX };
        check(&block, BlockEntry::encode, |decoder| BlockEntry::decode(&key64(77), decoder));
        assert_eq!(rule(&[], |decoder| BlockEntry::decode(b"short", decoder)), "P4");
    }

    #[test]
    fn entries_wait_as_they_are() {
        for only_grouping in [None, Some(Vec::new()), Some(b"g".to_vec())] {
            let entry = RunEntry { first_ordinal: 9, extent: EXTENT, groupings: 1, only_grouping };
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            assert_eq!(RunEntry::decode(Decoder::new(&bytes, 0, Section::Spaces)).unwrap(), entry);
            assert_eq!(entry.ordinals(), 9..309);
        }
    }

    #[test]
    fn impossible_counts_and_times_are_rejected() {
        let extent = |count: u64, first: i64, span: u64| {
            let mut bytes = Vec::new();
            bytes.put_varint(count);
            bytes.put_svarint(first);
            bytes.put_varint(span);
            bytes
        };
        let name = |values: u8, count: u64| {
            let mut bytes = [vec![values], extent(count, 0, 0)].concat();
            HANDLE.encode(&mut bytes);
            bytes
        };
        for (bytes, expected) in [(name(0, 5), "T4"), (name(6, 5), "T4"), (name(5, 5), "")] {
            assert_eq!(rule(&bytes, NameEntry::decode), expected, "{bytes:?}");
        }
    }

    #[test]
    fn extents_join() {
        let mut total = None;
        for time in [5, -7, 5] {
            Extent::of(time).join_into(&mut total);
        }
        assert_eq!(total, Some(Extent { count: 3, first: -7, last: 5 }));
    }
}
