//! The index values of a block's events (spec §5.2, areas 6 and 7).

use std::ops::Range;

use crate::codec::Decoder;
use crate::error::Result;
use crate::limits;
use crate::packed::decode_column;
use crate::strings::Strings;

/// All index columns of a block, names ascending.
pub(crate) struct Indexes {
    names: Strings,
    columns: Vec<IndexColumn>,
}

/// The values that the events have for one name.
pub(crate) struct IndexColumn {
    /// Ascending.
    values: Strings,
    entries: Entries,
}

/// Which rows have which values.
pub(crate) enum Entries {
    /// Every row has one value: its place.
    OneEach(Vec<u32>),
    /// Rows and places, ascending.
    Listed { rows: Vec<u32>, places: Vec<u32> },
}

impl Indexes {
    pub(super) fn decode(mut area: Decoder<'_>, columns: Vec<Decoder<'_>>, rows: usize) -> Result<Self> {
        let mut names = Strings::default();
        let mut decoded = Vec::with_capacity(columns.len());
        let mut bytes = 0;
        for column in columns {
            decode_name(&mut names, &mut area)?;
            let column = IndexColumn::decode(&mut area, column, rows)?;
            bytes = column.values.bytes().saturating_add(bytes);
            if bytes > limits::AREA {
                return Err(area.corrupt("L1", format!("values of a block exceed {} bytes", limits::AREA)));
            }
            decoded.push(column);
        }
        area.finish("B4")?;
        let indexes = Self { names, columns: decoded };
        indexes.check_limits(rows).map_err(|reason| area.corrupt("L1", reason))?;
        Ok(indexes)
    }

    /// No event has more pairs, or more bytes of them, than an event may have: few bytes of a block can stand for many of those.
    fn check_limits(&self, rows: usize) -> std::result::Result<(), String> {
        let check = |pairs: usize, bytes: usize| match (pairs > limits::PAIRS, bytes > limits::PAIR_BYTES) {
            (true, _) => Err(format!("an event has {pairs} pairs")),
            (_, true) => Err(format!("an event has pairs of {bytes} bytes")),
            _ => Ok(()),
        };
        // An event has each value once at the most.
        let (mut pairs, mut bytes) = (0_usize, 0_usize);
        for (name, column) in self.names.iter().zip(&self.columns) {
            let most = column.values.len().min(column.entry_count());
            pairs = most.saturating_add(pairs);
            bytes =
                most.saturating_mul(name.len()).saturating_add(column.values.bytes()).saturating_add(bytes);
        }
        if check(pairs, bytes).is_ok() {
            return Ok(());
        }
        let mut sums = vec![(0_usize, 0_usize); rows];
        for (name, column) in self.names.iter().zip(&self.columns) {
            column.for_each_in(0..rows, |row, place| {
                if let Some((pairs, bytes)) = sums.get_mut(row) {
                    let len = column.values.get(place as usize).len().saturating_add(name.len());
                    (*pairs, *bytes) = (pairs.saturating_add(1), len.saturating_add(*bytes));
                }
            });
        }
        sums.into_iter().try_for_each(|(pairs, bytes)| check(pairs, bytes))
    }

    /// Goes to where the values of `name` begin, among `count` names; returns its number.
    pub(super) fn seek(area: &mut Decoder<'_>, count: usize, name: &[u8]) -> Result<Option<usize>> {
        let mut names = Strings::default();
        for number in 0..count {
            if decode_name(&mut names, area)? == name {
                return Ok(Some(number));
            }
            for _ in 0..value_count(area)? {
                Strings::skip(area)?;
            }
        }
        Ok(None)
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        let columns =
            self.columns.iter().map(|column| column.memory().saturating_add(size_of::<IndexColumn>()));
        columns.fold(self.names.memory(), usize::saturating_add).saturating_add(size_of::<Self>())
    }

    pub(crate) fn columns(&self) -> &[IndexColumn] {
        &self.columns
    }

    /// The pair of a column's name and the value at a place in it.
    #[expect(clippy::indexing_slicing, reason = "columns have their numbers from here")]
    pub(crate) fn pair(&self, column: usize, place: u32) -> (&[u8], &[u8]) {
        (self.names.get(column), self.columns[column].values.get(place as usize))
    }

    /// The pairs of a row, ascending.
    pub(crate) fn pairs(&self, row: usize) -> RowPairs<'_> {
        RowPairs { indexes: self, row, column: 0, places: &[] }
    }
}

/// Decodes the next name, which must be greater than the one before.
fn decode_name<'a>(names: &'a mut Strings, area: &mut Decoder<'_>) -> Result<&'a [u8]> {
    let number = names.len();
    names.decode(area, number == 0)?;
    if number.checked_sub(1).is_some_and(|before| names.get(before) >= names.get(number)) {
        return Err(area.corrupt("B8", "index names do not ascend"));
    }
    Ok(names.get(number))
}

fn value_count(area: &mut Decoder<'_>) -> Result<usize> {
    area.varint_up_to(area.remaining() as u64, "number of values", "B4")
}

impl IndexColumn {
    /// Decodes the values, which stand in `area` behind their name, and the places in `column`.
    pub(super) fn decode(area: &mut Decoder<'_>, column: Decoder<'_>, rows: usize) -> Result<Self> {
        let count = value_count(area)?;
        let mut values = Strings::default();
        values.decode_list(area, count, ("B8", "index values do not ascend"), |_| true)?;
        values.shrink();
        Ok(Self { values, entries: Entries::decode(column, rows, count)? })
    }

    fn memory(&self) -> usize {
        let entries = match &self.entries {
            Entries::OneEach(places) => places.capacity(),
            Entries::Listed { rows, places } => rows.capacity().saturating_add(places.capacity()),
        };
        entries.saturating_mul(size_of::<u32>()).saturating_add(self.values.memory())
    }

    /// The values, ascending: what places are places in.
    pub(crate) fn values(&self) -> &Strings {
        &self.values
    }

    /// The place of a value.
    pub(crate) fn place(&self, value: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.values.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.values.get(middle) < value { low = middle.saturating_add(1) } else { high = middle }
        }
        (low < self.values.len() && self.values.get(low) == value).then_some(low as u32)
    }

    pub(crate) fn value_count(&self) -> usize {
        self.values.len()
    }

    fn entry_count(&self) -> usize {
        match &self.entries {
            Entries::OneEach(places) => places.len(),
            Entries::Listed { places, .. } => places.len(),
        }
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The places of a row's values, ascending.
    pub(crate) fn places(&self, row: usize) -> &[u32] {
        match &self.entries {
            Entries::OneEach(places) => places.get(row..=row).unwrap_or_default(),
            Entries::Listed { rows, places } => {
                let start = rows.partition_point(|&other| (other as usize) < row);
                let from = rows.get(start..).unwrap_or_default();
                let len = from.iter().take_while(|&&other| other as usize == row).count();
                places.get(start..start.saturating_add(len)).unwrap_or_default()
            }
        }
    }

    /// Calls `each` with row and place of the entries in `rows`, ascending.
    pub(crate) fn for_each_in(&self, rows: Range<usize>, mut each: impl FnMut(usize, u32)) {
        match &self.entries {
            Entries::OneEach(places) => {
                for (row, &place) in rows.clone().zip(places.get(rows).unwrap_or_default()) {
                    each(row, place);
                }
            }
            Entries::Listed { rows: listed, places } => {
                let start = listed.partition_point(|&row| (row as usize) < rows.start);
                let (listed, places) = (listed.get(start..), places.get(start..));
                for (&row, &place) in listed.unwrap_or_default().iter().zip(places.unwrap_or_default()) {
                    if row as usize >= rows.end {
                        break;
                    }
                    each(row as usize, place);
                }
            }
        }
    }
}

impl Entries {
    fn decode(mut decoder: Decoder<'_>, rows: usize, values: usize) -> Result<Self> {
        let here = decoder.clone();
        let form = decoder.u8("B4")?;
        let decode_places = |decoder: &mut Decoder<'_>, count: usize| -> Result<Vec<u32>> {
            let mut places = Vec::with_capacity(count.min(decoder.remaining().saturating_mul(64)));
            let beyond = || here.corrupt("B8", format!("place beyond the {values} values of the name"));
            let common = decoder.varint("B4")?;
            if common >= values as u64 {
                return Err(beyond());
            }
            decode_column(decoder, count, |frame| {
                if frame.iter().any(|&code| code >= values as u64) {
                    return Err(beyond());
                }
                places.extend(frame.iter().map(|&code| {
                    // Both are below the number of values.
                    let place = code.wrapping_add(common) as u32;
                    if place >= values as u32 { place.wrapping_sub(values as u32) } else { place }
                }));
                Ok(())
            })?;
            Ok(places)
        };
        let entries = match form {
            0 => Self::OneEach(decode_places(&mut decoder, rows)?),
            1 => {
                // A frame of 128 entries takes at least two bytes.
                let most = (decoder.remaining() as u64).saturating_mul(64);
                let count = decoder.varint_up_to(most, "number of entries", "B8")?;
                if count > rows.saturating_mul(values) {
                    return Err(
                        here.corrupt("B8", format!("{count} entries of {rows} events with {values} values"))
                    );
                }
                let mut listed = Vec::with_capacity(count);
                let mut row = 0_u64;
                decode_column(&mut decoder, count, |frame| {
                    for &step in frame {
                        row = row.saturating_add(step);
                        if row >= rows as u64 {
                            return Err(here.corrupt("B8", format!("entry for row {row} of {rows}")));
                        }
                        listed.push(row as u32);
                    }
                    Ok(())
                })?;
                let places = decode_places(&mut decoder, count)?;
                let (next_rows, next_places) = (listed.get(1..), places.get(1..));
                let rows = listed.iter().zip(next_rows.unwrap_or_default());
                let mut neighbours = rows.zip(places.iter().zip(next_places.unwrap_or_default()));
                let ascend =
                    neighbours.all(|((row, next_row), (place, next))| row < next_row || place < next);
                let far = listed.get(limits::PAIRS..).unwrap_or_default();
                if listed.iter().zip(far).any(|(row, far)| row == far) {
                    return Err(here.corrupt("L1", format!("an event has more than {} pairs", limits::PAIRS)));
                }
                if !ascend || count == 0 {
                    return Err(here.corrupt("B8", "entries do not ascend"));
                }
                Self::Listed { rows: listed, places }
            }
            form => return Err(here.corrupt("B8", format!("form of an index column is {form}"))),
        };
        decoder.finish("B4")?;
        Ok(entries)
    }
}

/// The index pairs of one event, ascending by name and value.
#[derive(Clone)]
pub(crate) struct RowPairs<'a> {
    indexes: &'a Indexes,
    row: usize,
    /// The number of the next column.
    column: usize,
    /// What is left of the row's places in the column before it.
    places: &'a [u32],
}

impl RowPairs<'_> {
    /// The next pair by number: that of its column, and its place there.
    pub(crate) fn next_place(&mut self) -> Option<(usize, u32)> {
        while self.places.is_empty() {
            self.places = self.indexes.columns.get(self.column)?.places(self.row);
            self.column = self.column.saturating_add(1);
        }
        let (&place, rest) = self.places.split_first()?;
        self.places = rest;
        Some((self.column.saturating_sub(1), place))
    }
}

impl<'a> Iterator for RowPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_place().map(|(column, place)| self.indexes.pair(column, place))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::block::{BlockDraft, Columns, FrameCuts, Head, LabelBytes};
    use crate::codecs::Codecs;
    use crate::compression::{Codec, Compressor};

    /// The columns of a block whose rows have the pairs that `pairs` gives, in order.
    pub(in crate::block) fn columns<'a>(
        rows: usize,
        pairs: impl Fn(usize) -> Vec<(&'a str, &'a str)>,
    ) -> Columns {
        let mut draft = BlockDraft::default();
        draft.add_space(b"");
        draft.add_grouping(b"");
        for row in 0..rows {
            draft.add(0, 0, 0);
            for (name, value) in pairs(row) {
                draft.add_pair(name.as_bytes(), value.as_bytes());
            }
        }
        let compressor = || Compressor::new(Codec::None, &[]).unwrap();
        let cuts = FrameCuts::new(512, rows);
        let block = draft.encode(&[], cuts, &mut compressor(), &mut compressor()).unwrap();
        let head = Head {
            offset: 0,
            first_ordinal: 0,
            count: block.count,
            rows_len: block.rows.len() as u32,
            labels_len: block.labels.len() as u32,
            payload_len: block.frames.len() as u64,
            rows_checksum: 0,
            checksum: 0,
        };
        let codecs = Arc::new(Codecs::new(Codec::None, true));
        Columns::decode(head, block.rows, LabelBytes::AtHand(block.labels), codecs).unwrap()
    }

    #[test]
    fn a_name_is_found_behind_the_values_of_others() {
        let columns = columns(3, |row| match row {
            0 => vec![("a", "1"), ("a", "2"), ("c", "3")],
            1 => vec![("a", "4"), ("b", "5"), ("c", "6"), ("c", "7")],
            _ => vec![],
        });
        for (name, values) in [("a", vec!["1", "2", "4"]), ("b", vec!["5"]), ("c", vec!["3", "6", "7"])] {
            let column = columns.decode_index(name.as_bytes()).unwrap().unwrap();
            assert!(column.values().iter().eq(values.iter().map(|value| value.as_bytes())), "{name}");
        }
        for name in ["", "aa", "bb", "d"] {
            assert!(columns.decode_index(name.as_bytes()).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn values_have_places_and_others_have_none() {
        let values: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        for count in 1..=values.len() {
            let columns = columns(1, |_| values[..count].iter().map(|value| ("n", value.as_str())).collect());
            let column = columns.decode_index(b"n").unwrap().unwrap();
            for (place, value) in (0..).zip(&values) {
                let expected = Some(place).filter(|&place| place < count as u32);
                assert_eq!(column.place(value.as_bytes()), expected, "{value} of {count}");
                assert_eq!(column.place(format!("{value}+").as_bytes()), None);
            }
            assert_eq!(column.place(b""), None);
        }
    }

    #[test]
    fn every_way_to_the_entries_of_a_row_is_the_same() {
        let of = |row: usize| {
            // A few rows of one entry each; every row; some; and as many entries as rows, two in every other one.
            let early = [("early", "x")].into_iter().filter(|_| row < 10);
            let pairs = match row % 5 {
                0 => vec![("one", "x")],
                1 => vec![("one", "y"), ("some", "p"), ("some", "q"), ("some", "r")],
                2 => vec![("one", "z"), ("some", "q")],
                _ => vec![("one", "x"), ("some", "r")],
            };
            let twice = [("twice", "x"), ("twice", "y")].into_iter().filter(|_| row % 2 == 1);
            early.chain(pairs).chain(twice).collect()
        };
        let columns = columns(300, of);
        let indexes = columns.decode_indexes().unwrap();
        for row in 0..300 {
            let pairs: Vec<(&str, &str)> = of(row);
            let pairs = pairs.into_iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert!(indexes.pairs(row).eq(pairs), "row {row}");
        }
        for column in indexes.columns() {
            for range in [0..300, 0..1, 7..7, 1..4, 120..140, 299..300] {
                let mut found = Vec::new();
                column.for_each_in(range.clone(), |row, place| found.push((row, place)));
                let places = |row| column.places(row).iter().map(move |&place| (row, place));
                assert_eq!(found, range.flat_map(places).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn memory_is_that_of_values_rows_and_places() {
        let one_each = columns(1_000, |_| vec![("n", "value")]).decode_index(b"n").unwrap().unwrap();
        let values = one_each.values().memory();
        assert_eq!((one_each.entry_count(), one_each.value_count()), (1_000, 1));
        assert!((4_000..8_000).contains(&(one_each.memory() - values)));
        let rows = |row| if row == 0 { vec![] } else { vec![("n", "value")] };
        let listed = columns(1_001, rows).decode_indexes().unwrap();
        assert_eq!(listed.columns()[0].entry_count(), 1_000);
        assert!((8_000..16_000).contains(&(listed.columns()[0].memory() - values)));
        assert!(listed.memory() > listed.columns()[0].memory() + size_of::<IndexColumn>());
    }

    #[test]
    fn a_block_may_have_more_entries_of_a_name_than_an_event() {
        let values: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let mut sorted: Vec<_> = values.iter().map(|value| ("n", value.as_str())).collect();
        sorted.sort_unstable();
        let columns = columns(limits::BLOCK_EVENTS, |_| sorted.clone());
        let indexes = columns.decode_indexes().unwrap();
        assert_eq!(indexes.columns()[0].entry_count(), 40 * limits::BLOCK_EVENTS);
        const { assert!(40 * limits::BLOCK_EVENTS > limits::PAIRS) };
        assert!(
            indexes.pairs(4_000).eq(sorted.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
        );
    }
}
