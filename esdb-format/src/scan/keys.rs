//! Spaces and groupings of the events that a scan gives.

use std::sync::Arc;

use crate::block::{Columns, Keys};
use crate::error::Result;
use crate::file::OpenFile;

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
            Self::Block(keys) => keys.of_row(row, columns.runs()),
            Self::All(keys) => (&keys.0, &keys.1),
        }
    }
}

/// Spaces and groupings of events in file order, where equal ones stand together: each once.
#[derive(Default)]
pub(super) struct KeyList {
    /// Space and grouping, of each pair.
    bytes: Vec<u8>,
    pairs: Vec<KeyPair>,
}

struct KeyPair {
    start: usize,
    space_len: u16,
    grouping_len: u16,
}

impl KeyList {
    /// The number of a pair that is the last one or is appended.
    pub(super) fn number(&mut self, space: &[u8], grouping: &[u8]) -> u32 {
        let last = (self.pairs.len() as u32).wrapping_sub(1);
        if !self.pairs.is_empty() && self.pair(last) == (space, grouping) {
            return last;
        }
        let (space_len, grouping_len) = (space.len() as u16, grouping.len() as u16);
        self.pairs.push(KeyPair { start: self.bytes.len(), space_len, grouping_len });
        self.bytes.extend_from_slice(space);
        self.bytes.extend_from_slice(grouping);
        last.wrapping_add(1)
    }

    /// Space and grouping of a number that was given out.
    pub(super) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        let KeyPair { start, space_len, grouping_len } = self.pairs[number as usize];
        let (space, rest) = self.bytes[start..].split_at(space_len.into());
        (space, &rest[..grouping_len.into()])
    }

    /// Bytes of memory in use.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.pairs.capacity() * size_of::<KeyPair>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_that_stand_together_are_kept_once() {
        let mut list = KeyList::default();
        let pairs: [(&[u8], &[u8]); 7] =
            [(b"", b""), (b"", b""), (b"a", b"b"), (b"ab", b""), (b"ab", b""), (b"", b"ab"), (b"a", b"b")];
        let numbers: Vec<u32> = pairs.iter().map(|(space, grouping)| list.number(space, grouping)).collect();
        assert_eq!(numbers, [0, 0, 1, 2, 2, 3, 4]);
        for (pair, number) in pairs.into_iter().zip(numbers) {
            assert_eq!(list.pair(number), pair);
        }
        assert!(list.memory() >= 8 + 5 * size_of::<KeyPair>());
    }
}
