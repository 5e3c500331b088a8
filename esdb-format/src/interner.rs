//! Numbers for index pairs, so that a pair's bytes are kept once.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::codec::load_u32;

/// Distinct pairs of name and value, numbered from 0 as they come.
pub(crate) struct Interner {
    /// Unlike that of any other interner.
    id: u64,
    table: HashTable<u32>,
    pairs: PairList,
    hasher: RandomState,
}

/// Pairs of strings in one buffer, numbered from 0.
#[derive(Default)]
pub(crate) struct PairList {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

struct Slot {
    start: usize,
    first_len: u16,
    second_len: u16,
}

impl PairList {
    /// An empty one, with room for so many pairs of a few bytes.
    pub(crate) fn with_room_for(count: usize) -> Self {
        Self { slots: Vec::with_capacity(count), bytes: Vec::with_capacity(count * size_of::<Slot>()) }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Appends a pair and returns its number.
    pub(crate) fn push(&mut self, first: &[u8], second: &[u8]) -> u32 {
        let number = self.slots.len() as u32;
        let (first_len, second_len) = (first.len() as u16, second.len() as u16);
        self.slots.push(Slot { start: self.bytes.len(), first_len, second_len });
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        number
    }

    /// The pair of a number that was given out.
    pub(crate) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        let Slot { start, first_len, second_len } = self.slots[number as usize];
        let (first, rest) = self.bytes[start..].split_at(first_len.into());
        (first, &rest[..second_len.into()])
    }

    /// Forgets all pairs, but keeps the memory.
    fn clear(&mut self) {
        self.slots.clear();
        self.bytes.clear();
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.slots.capacity() * size_of::<Slot>()
    }
}

impl Default for Interner {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            table: HashTable::new(),
            pairs: PairList::default(),
            hasher: RandomState::default(),
        }
    }
}

impl Interner {
    /// The number of a pair, new or known.
    pub(crate) fn number(&mut self, name: &[u8], value: &[u8]) -> u32 {
        let Self { table, pairs, hasher, .. } = self;
        let hash = |name: &[u8], value: &[u8]| hasher.hash_one((name, value));
        let known = |&number: &u32| pairs.pair(number) == (name, value);
        if let Some(&number) = table.find(hash(name, value), known) {
            return number;
        }
        let number = pairs.push(name, value);
        table.insert_unique(hash(name, value), number, |&number| {
            let (name, value) = pairs.pair(number);
            hash(name, value)
        });
        number
    }

    /// Name and value of a number that was given out.
    pub(crate) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        self.pairs.pair(number)
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// All pairs, in the order of their numbers.
    pub(crate) fn pairs(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        (0..self.len() as u32).map(|number| self.pair(number))
    }

    /// Forgets all pairs, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.pairs.clear();
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.pairs.memory() + self.table.capacity() * 6
    }
}

/// Pairs by their numbers, which are stored as `u32`.
#[derive(Clone)]
pub(crate) struct Numbered<'a> {
    numbers: &'a [u8],
    pairs: &'a Interner,
}

impl<'a> Numbered<'a> {
    /// `numbers` are those that `pairs` gave out, 4 bytes each.
    pub(crate) fn new(numbers: &'a [u8], pairs: &'a Interner) -> Self {
        Self { numbers, pairs }
    }

    /// The numbers of the pairs.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers.chunks_exact(size_of::<u32>()).map(load_u32)
    }
}

impl<'a> Iterator for Numbered<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (number, rest) = self.numbers.split_at_checked(size_of::<u32>())?;
        self.numbers = rest;
        Some(self.pairs.pair(load_u32(number)))
    }
}

/// Remembers the last numbers of one interner that were found to stand for which of another.
pub(crate) struct Translation {
    /// The interner that is translated from.
    from: u64,
    /// Number and what it stands for, at the place that the number's low bits name.
    known: Vec<Option<(u32, u32)>>,
}

/// How many numbers a translation remembers.
const KNOWN: usize = 4_096;

impl Default for Translation {
    fn default() -> Self {
        Self { from: u64::MAX, known: vec![None; KNOWN] }
    }
}

impl Translation {
    /// Forgets everything: the numbers that were translated to are void.
    pub(crate) fn clear(&mut self) {
        self.known.fill(None);
    }

    /// Hands the numbers in `into` that stand for `numbered` to `each`.
    pub(crate) fn for_each(
        &mut self,
        numbered: &Numbered<'_>,
        into: &mut Interner,
        mut each: impl FnMut(u32),
    ) {
        let from = numbered.pairs;
        if self.from != from.id {
            self.from = from.id;
            self.clear();
        }
        for number in numbered.numbers() {
            let known = &mut self.known[number as usize % KNOWN];
            let translated = match known {
                Some((of, translated)) if *of == number => *translated,
                _ => {
                    let (name, value) = from.pair(number);
                    let translated = into.number(name, value);
                    *known = Some((number, translated));
                    translated
                }
            };
            each(translated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_translated_whether_they_are_remembered_or_not() {
        let (mut from, mut into, mut translation) =
            (Interner::default(), Interner::default(), Translation::default());
        let numbers: Vec<u32> = (0..3 * KNOWN as u32).map(|i| from.number(b"n", &i.to_le_bytes())).collect();
        for round in 0..2 {
            let mut translated = Vec::new();
            for number in numbers.iter().rev().chain(&numbers) {
                let stored = number.to_le_bytes();
                translation
                    .for_each(&Numbered::new(&stored, &from), &mut into, |number| translated.push(number));
            }
            let pairs = numbers.iter().rev().chain(&numbers).map(|&number| from.pair(number));
            assert!(pairs.eq(translated.iter().map(|&number| into.pair(number))), "{round}");
            // Other numbers stand for the same pairs then.
            (into, translation) = (Interner::default(), Translation::default());
            into.number(b"other", b"pair");
        }
    }

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
