//! Spaces and groupings of the events that a scan gives.

use std::sync::Arc;

use crate::block::{Columns, Keys};
use crate::error::Result;
use crate::file::OpenFile;
use crate::interner::PairList;

/// Space and grouping of a block's events.
#[derive(Clone)]
pub(super) enum KeysOf {
    /// Those of the block's runs.
    Block(Arc<Keys>),
    /// The same for all events of the scan: those that were asked for. To decode all keys of a block for one of its many spaces is a
    /// third of such a scan; that they agree with the tables is for `verify`.
    All(Arc<(Vec<u8>, Vec<u8>)>),
}

impl KeysOf {
    pub(super) fn all(space: &[u8], grouping: &[u8]) -> Self {
        Self::All(Arc::new((space.to_vec(), grouping.to_vec())))
    }

    /// The keys of the scan, if it has the same for all events; otherwise those of the block, from the cache or into it.
    pub(super) fn of_block(file: &OpenFile, columns: &Columns, of_scan: Option<&Self>) -> Result<Self> {
        of_scan.map_or_else(|| file.keys(columns).map(Self::Block), |keys| Ok(keys.clone()))
    }

    /// Space and grouping of a row of the block.
    pub(super) fn of_row(&self, row: usize, columns: &Columns) -> (&[u8], &[u8]) {
        match self {
            Self::Block(_) => self.of_run(columns.runs().grouping_of(row), columns),
            Self::All(keys) => (&keys.0, &keys.1),
        }
    }

    /// Space and grouping of a grouping run of the block.
    pub(super) fn of_run(&self, run: usize, columns: &Columns) -> (&[u8], &[u8]) {
        match self {
            Self::Block(keys) => keys.of_run(run, columns.runs()),
            Self::All(keys) => (&keys.0, &keys.1),
        }
    }
}

/// The number of a space and grouping among those of events in file order, where equal ones stand together: each is kept once.
pub(super) fn number_in(list: &mut PairList, space: &[u8], grouping: &[u8]) -> u32 {
    match (list.len() as u32).checked_sub(1) {
        Some(last) if list.pair(last) == (space, grouping) => last,
        _ => list.push(space, grouping),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_that_stand_together_are_kept_once() {
        let mut list = PairList::default();
        let pairs: [(&[u8], &[u8]); 7] =
            [(b"", b""), (b"", b""), (b"a", b"b"), (b"ab", b""), (b"ab", b""), (b"", b"ab"), (b"a", b"b")];
        let numbers: Vec<u32> =
            pairs.iter().map(|(space, grouping)| number_in(&mut list, space, grouping)).collect();
        assert_eq!(numbers, [0, 0, 1, 2, 2, 3, 4]);
        for (pair, number) in pairs.into_iter().zip(numbers) {
            assert_eq!(list.pair(number), pair);
        }
        assert_eq!(list.len(), 5);
        assert!(list.memory() >= 8 + 5 * size_of::<(usize, u16, u16)>());
    }
}
