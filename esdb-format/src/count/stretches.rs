//! Numbers for stretches of time, as they come.

use std::collections::BTreeMap;

use super::Stretch;

/// The stretches of time that timestamps lie in.
pub(super) struct Stretches<'a> {
    stretch: Stretch<'a>,
    /// By first timestamp: the last one, and the stretch's number.
    known: BTreeMap<i64, (i64, u32)>,
    /// The first timestamp of each stretch.
    firsts: Vec<i64>,
    /// The file's time in equal pieces of 2^`shift`, from `base` on: for a piece that lies in one known stretch its number
    /// plus 1, otherwise 0.
    pieces: Vec<u32>,
    base: i64,
    shift: u32,
}

/// The binary logarithm of the number of pieces: hours of several years are longer than a piece.
const PIECES: u32 = 16;

impl<'a> Stretches<'a> {
    /// For timestamps that mostly lie between `first` and `last`.
    pub(super) fn new(stretch: Stretch<'a>, first: i64, last: i64) -> Self {
        let span = last.wrapping_sub(first).cast_unsigned();
        Self {
            stretch,
            known: BTreeMap::new(),
            firsts: Vec::new(),
            pieces: vec![0; 1 << PIECES],
            base: first,
            shift: (u64::BITS - span.leading_zeros()).saturating_sub(PIECES),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// The first timestamp of a stretch.
    pub(super) fn first(&self, number: u32) -> i64 {
        self.firsts[number as usize]
    }

    /// The number of the stretch that `timestamp` lies in.
    #[inline]
    pub(super) fn number(&mut self, timestamp: i64) -> u32 {
        let piece = timestamp.wrapping_sub(self.base).cast_unsigned() >> self.shift;
        match self.pieces.get(piece as usize) {
            Some(&number) if number > 0 => number - 1,
            _ => self.find(timestamp),
        }
    }

    /// The number of the stretch that both lie in, if it is the same one and known. Nobody is asked: no event may have these
    /// timestamps.
    pub(super) fn number_of_both(&self, first: i64, last: i64) -> Option<u32> {
        let (end, number) = self.known(first)?;
        (first <= last && last <= end).then_some(number)
    }

    /// Last timestamp and number of the known stretch that `timestamp` lies in.
    fn known(&self, timestamp: i64) -> Option<(i64, u32)> {
        let (_, &(last, number)) = self.known.range(..=timestamp).next_back()?;
        (timestamp <= last).then_some((last, number))
    }

    fn find(&mut self, timestamp: i64) -> u32 {
        if let Some((_, number)) = self.known(timestamp) {
            return number;
        }
        let (first, last) = (self.stretch)(timestamp);
        let next = self.firsts.len() as u32;
        let (_, number) = *self.known.entry(first).or_insert((last, next));
        if number == next {
            self.firsts.push(first);
            self.fill_pieces(first, last, number);
        }
        number
    }

    /// Notes the pieces that lie in the stretch from `first` to `last`.
    fn fill_pieces(&mut self, first: i64, last: i64, number: u32) {
        let (base, first, last) = (i128::from(self.base), i128::from(first), i128::from(last));
        let most = self.pieces.len() as i128;
        let start = ((first - base + (1 << self.shift) - 1) >> self.shift).clamp(0, most);
        let end = ((last - base + 1) >> self.shift).clamp(start, most);
        self.pieces[start as usize..end as usize].fill(number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_gets_the_number_of_its_stretch() {
        let stretch = |time: i64| {
            let first = time.div_euclid(1_000).saturating_mul(1_000);
            (first, first.saturating_add(999))
        };
        for (first, last) in [(0, 0), (-5_000, 5_000), (-3, 90_000_000), (i64::MIN, i64::MAX)] {
            let mut stretches = Stretches::new(&stretch, first, last);
            for i in 0..2_000_i64 {
                let time = (i * 7_919 % 200_000) - 100_000;
                let number = stretches.number(time);
                assert_eq!(stretches.first(number), stretch(time).0, "{time} in {first} to {last}");
            }
            assert!(stretches.number_of_both(1_000, 1_999).is_some());
            assert!(stretches.number_of_both(900_000, 900_001).is_none());
            assert!(stretches.number_of_both(1_000, 2_000).is_none());
            assert_eq!(stretches.len(), 200);
        }
    }
}
