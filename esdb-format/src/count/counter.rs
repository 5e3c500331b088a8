//! Counting rows: every key is numbered once, and rows are counted by numbers.

use std::collections::BTreeMap;

use crate::block::{Columns, Entries, IndexColumn};
use crate::error::Result;
use crate::file::OpenFile;
use crate::interner::Interner;
use crate::tables::BlockEntry;

use super::combinations::Combinations;
use super::stretches::Stretches;
use super::{CountBy, CountKey, KeyPart, Stretch};

/// Counts by the combinations of several things.
pub(super) struct Counter<'a> {
    file: &'a OpenFile,
    parts: Vec<Part<'a>>,
    /// For each part but the first, the combinations of what the parts before it make and its own numbers.
    combinations: Vec<Combinations>,
    /// How many rows have each of the last combinations.
    counts: Vec<u64>,
}

/// One of the things counted by. Its keys are numbered as they come.
enum Part<'a> {
    Index { name: &'a [u8], values: Interner },
    Space(Interner),
    Grouping(Interner),
    Time(Stretches<'a>),
}

/// Rows, ascending, and for each the number of the combination that it has so far. A row with several values is there several
/// times.
struct Cells {
    rows: Vec<u32>,
    numbers: Vec<u32>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(file: &'a OpenFile, by: &'a [CountBy], stretch: Stretch<'a>) -> Self {
        let (first, last) = (file.footer.first_timestamp, file.footer.last_timestamp);
        let part = |by: &'a CountBy| match by {
            CountBy::Index(name) => Part::Index { name, values: Interner::default() },
            CountBy::Space => Part::Space(Interner::default()),
            CountBy::Grouping => Part::Grouping(Interner::default()),
            CountBy::Time => Part::Time(Stretches::new(stretch, first, last)),
        };
        let combinations = by.iter().skip(1).map(|_| Combinations::default()).collect();
        Self { file, parts: by.iter().map(part).collect(), combinations, counts: Vec::new() }
    }

    /// Counts rows of a block.
    pub(super) fn add(&mut self, block: &BlockEntry, columns: &Columns, rows: &[u32]) -> Result<()> {
        let mut cells = Cells { rows: rows.to_vec(), numbers: vec![0; rows.len()] };
        let mut count = 1;
        for (at, part) in self.parts.iter_mut().enumerate() {
            if cells.rows.is_empty() {
                return Ok(());
            }
            let numbers = part.numbers(self.file, block, columns, &mut cells)?;
            count = match at.checked_sub(1) {
                None => {
                    cells.numbers = numbers;
                    part.len()
                }
                Some(before) => {
                    let combinations = &mut self.combinations[before];
                    combinations.reserve(count, part.len());
                    combinations.combine(&mut cells.numbers, &numbers);
                    combinations.len()
                }
            };
        }
        self.counts.resize(count, 0);
        for &number in &cells.numbers {
            self.counts[number as usize] += 1;
        }
        Ok(())
    }

    /// All keys and their counts.
    pub(super) fn finish(self) -> BTreeMap<CountKey, u64> {
        let Self { parts, combinations, counts, .. } = self;
        let key = |mut number: u32| {
            let mut key: CountKey = Vec::with_capacity(parts.len());
            for (at, part) in parts.iter().enumerate().rev() {
                let mut own = number;
                if let Some(before) = at.checked_sub(1) {
                    (number, own) = combinations[before].pair(number);
                }
                key.push(part.key(own));
            }
            key.reverse();
            key
        };
        (0..)
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(number, count)| (key(number), count))
            .collect()
    }
}

impl Part<'_> {
    /// How many keys were numbered.
    fn len(&self) -> usize {
        match self {
            Self::Index { values: keys, .. } | Self::Space(keys) | Self::Grouping(keys) => keys.len(),
            Self::Time(stretches) => stretches.len(),
        }
    }

    fn key(&self, number: u32) -> KeyPart {
        match self {
            Self::Index { values: keys, .. } | Self::Space(keys) | Self::Grouping(keys) => {
                KeyPart::Bytes(keys.pair(number).0.to_vec())
            }
            Self::Time(stretches) => KeyPart::Time(stretches.first(number)),
        }
    }

    /// The numbers of the keys that the rows have. Cells of rows without one are removed, those of rows with several repeated.
    fn numbers(
        &mut self,
        file: &OpenFile,
        block: &BlockEntry,
        columns: &Columns,
        cells: &mut Cells,
    ) -> Result<Vec<u32>> {
        match self {
            Self::Index { name, values } => Ok(match columns.decode_index(name)? {
                Some(column) => of_index(&column, values, cells),
                None => {
                    *cells = Cells { rows: Vec::new(), numbers: Vec::new() };
                    Vec::new()
                }
            }),
            Self::Space(spaces) => {
                let (keys, runs) = (file.keys(columns)?, columns.runs());
                let ends = runs.space_ends().iter().map(|&end| runs.grouping_ends()[end as usize - 1]);
                Ok(of_runs(&cells.rows, ends, |run| spaces.number(keys.space(run), b"")))
            }
            Self::Grouping(groupings) => {
                let (keys, runs) = (file.keys(columns)?, columns.runs());
                let ends = runs.grouping_ends().iter().copied();
                Ok(of_runs(&cells.rows, ends, |run| groupings.number(keys.grouping(run), b"")))
            }
            Self::Time(stretches) => {
                if let Some(number) = stretches.number_of_both(block.first, block.last) {
                    return Ok(vec![number; cells.rows.len()]);
                }
                let times = columns.times()?;
                Ok(cells.rows.iter().map(|&row| stretches.number(times[row as usize])).collect())
            }
        }
    }
}

/// The numbers of index values.
fn of_index(column: &IndexColumn, values: &mut Interner, cells: &mut Cells) -> Vec<u32> {
    let mut known = vec![None; column.values().len()];
    let mut number_of = |place: u32| {
        *known[place as usize].get_or_insert_with(|| values.number(column.values().get(place as usize), b""))
    };
    let (rows, places) = match column.entries() {
        Entries::OneEach(places) => {
            return cells.rows.iter().map(|&row| number_of(places[row as usize])).collect();
        }
        Entries::Listed { rows, places } => (rows, places),
    };
    let before = std::mem::replace(cells, Cells { rows: Vec::new(), numbers: Vec::new() });
    let (mut numbers, mut next) = (Vec::new(), 0);
    for (&row, &number) in before.rows.iter().zip(&before.numbers) {
        while rows.get(next).is_some_and(|&other| other < row) {
            next += 1;
        }
        for (_, &place) in rows[next..].iter().zip(&places[next..]).take_while(|(other, _)| **other == row) {
            cells.rows.push(row);
            cells.numbers.push(number);
            numbers.push(number_of(place));
        }
    }
    numbers
}

/// The numbers of the runs that rows are in. Runs end at the rows `ends`; only those are numbered in which there are rows.
fn of_runs(rows: &[u32], ends: impl Iterator<Item = u32>, mut number: impl FnMut(usize) -> u32) -> Vec<u32> {
    let (mut numbers, mut rest) = (Vec::with_capacity(rows.len()), rows);
    for (run, end) in ends.enumerate() {
        let (here, after) = rest.split_at(rest.partition_point(|&row| row < end));
        if !here.is_empty() {
            numbers.resize(numbers.len() + here.len(), number(run));
        }
        rest = after;
    }
    numbers
}
