//! Numbers for index pairs, so that a pair's bytes are kept once.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// Distinct pairs of name and value, numbered from 0 as they come.
#[derive(Default)]
pub(crate) struct Interner {
    table: HashTable<u32>,
    pairs: Vec<Slot>,
    bytes: Vec<u8>,
    hasher: RandomState,
}

struct Slot {
    start: usize,
    name_len: u16,
    value_len: u16,
}

impl Interner {
    /// The number of a pair, new or known.
    pub(crate) fn number(&mut self, name: &[u8], value: &[u8]) -> u32 {
        let Self { table, pairs, bytes, hasher } = self;
        let hash = |name: &[u8], value: &[u8]| hasher.hash_one((name, value));
        let known = |&number: &u32| pair(pairs, bytes, number) == (name, value);
        if let Some(&number) = table.find(hash(name, value), known) {
            return number;
        }
        let number = pairs.len() as u32;
        pairs.push(Slot { start: bytes.len(), name_len: name.len() as u16, value_len: value.len() as u16 });
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value);
        table.insert_unique(hash(name, value), number, |&number| {
            let (name, value) = pair(pairs, bytes, number);
            hash(name, value)
        });
        number
    }

    /// Name and value of a number that was given out.
    pub(crate) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        pair(&self.pairs, &self.bytes, number)
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.pairs.capacity() * size_of::<Slot>() + self.table.capacity() * 6
    }
}

fn pair<'a>(pairs: &[Slot], bytes: &'a [u8], number: u32) -> (&'a [u8], &'a [u8]) {
    let slot = &pairs[number as usize];
    bytes[slot.start..slot.start + usize::from(slot.name_len) + usize::from(slot.value_len)]
        .split_at(usize::from(slot.name_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_share_a_number_and_the_border_counts() {
        let mut interner = Interner::default();
        assert_eq!(interner.number(b"ab", b"c"), 0);
        assert_eq!(interner.number(b"a", b"bc"), 1);
        assert_eq!(interner.number(b"ab", b"c"), 0);
        assert_eq!(interner.pair(1), (&b"a"[..], &b"bc"[..]));
        for i in 0..10_000_u32 {
            let name = i.to_string();
            let number = interner.number(name.as_bytes(), b"v");
            assert_eq!(interner.pair(number), (name.as_bytes(), &b"v"[..]));
        }
        assert_eq!(interner.len(), 10_002);
    }
}
