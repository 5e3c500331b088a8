//! Numbers for combinations of two numbers, as they come: a table while it is small, a map beyond.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Numbers for pairs of numbers that are themselves small and dense.
#[derive(Default)]
pub(super) struct Combinations {
    /// The pair behind each number.
    pairs: Vec<(u32, u32)>,
    places: Places,
}

enum Places {
    /// At `first << bits | second` the pair's number plus 1, or 0 if it has none.
    Table {
        bits: u32,
        numbers: Vec<u32>,
    },
    Map(HashMap<(u32, u32), u32, RandomState>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Table { bits: 0, numbers: Vec::new() }
    }
}

/// The most pairs that a table has room for.
const TABLE: u64 = 1 << 21;

impl Combinations {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn pair(&self, number: u32) -> (u32, u32) {
        self.pairs[number as usize]
    }

    /// Makes room for pairs of a number below `firsts` and one below `seconds`.
    pub(super) fn reserve(&mut self, firsts: usize, seconds: usize) {
        let Places::Table { bits, numbers } = &mut self.places else { return };
        let needed = usize::BITS - seconds.saturating_sub(1).leading_zeros();
        let size = (firsts.next_power_of_two() as u64) << needed.max(*bits);
        if size > TABLE {
            let known = self.pairs.iter().zip(0..).map(|(&pair, number)| (pair, number));
            self.places = Places::Map(known.collect());
            return;
        }
        if needed > *bits {
            *bits = needed;
            numbers.clear();
            numbers.resize(size as usize, 0);
            for (&(first, second), number) in self.pairs.iter().zip(1..) {
                numbers[(first as usize) << *bits | second as usize] = number;
            }
        } else if numbers.len() < size as usize {
            numbers.resize(size as usize, 0);
        }
    }

    /// Replaces each of `firsts` by the number of its combination with its second. There must be room.
    pub(super) fn combine(&mut self, firsts: &mut [u32], seconds: &[u32]) {
        let Self { pairs, places } = self;
        for (first, &second) in firsts.iter_mut().zip(seconds) {
            let pair = (*first, second);
            *first = match places {
                Places::Table { bits, numbers } => {
                    let number = &mut numbers[(pair.0 as usize) << *bits | pair.1 as usize];
                    if *number == 0 {
                        pairs.push(pair);
                        *number = pairs.len() as u32;
                    }
                    *number - 1
                }
                Places::Map(numbers) => *numbers.entry(pair).or_insert_with(|| {
                    pairs.push(pair);
                    pairs.len() as u32 - 1
                }),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grows_into_a_map_keeps_its_numbers() {
        let mut combinations = Combinations::default();
        let mut known = Vec::new();
        for size in [1, 2, 3, 100, 1_000, 5_000] {
            combinations.reserve(size, 2 * size);
            let mut cells: Vec<u32> = (0..size as u32).collect();
            let seconds: Vec<u32> = cells.iter().map(|first| first * 2).collect();
            combinations.combine(&mut cells, &seconds);
            for (first, &cell) in (0..).zip(&cells) {
                assert_eq!(combinations.pair(cell), (first, first * 2));
            }
            assert!(cells.starts_with(&known));
            assert_eq!(combinations.len(), size);
            known = cells;
        }
        assert!(matches!(combinations.places, Places::Map(_)));
    }
}
