//! Posting lists: for a pair of name and value the time numbers of its events, ascending (spec §6.4).

use crate::ascending;
use crate::codec::{Decoder, Encode, from_key64, key64};
use crate::error::{Error, Result, Section};
use crate::handle::Handle;
use crate::tree::{PageSink, Pages, Tree, TreeBuilder, TreeCursor};

/// The most time numbers of a list that stands in the table of values.
const INLINE: u64 = 128;

/// How many time numbers a full frame of a longer list holds.
const NUMBERS: u64 = ascending::NUMBERS as u64;

/// Collects the ascending time numbers of one pair, and writes them inline or as a tree.
#[derive(Default)]
pub(crate) struct ListBuilder {
    pending: Vec<u64>,
    tree: TreeBuilder,
    count: u64,
    value: Vec<u8>,
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "counts what is in memory; a list that is closed has numbers"
)]
impl ListBuilder {
    pub(crate) fn push(&mut self, time_number: u64, sink: &mut impl PageSink) -> Result<()> {
        if self.pending.len() == ascending::NUMBERS {
            self.close_frame(sink)?;
        }
        self.pending.push(time_number);
        self.count += 1;
        Ok(())
    }

    fn close_frame(&mut self, sink: &mut impl PageSink) -> Result<()> {
        self.value.clear();
        self.value.put_varint(self.pending.len() as u64);
        ascending::encode(&self.pending, &mut self.value);
        self.tree.add(&key64(self.pending[0]), &self.value, sink)?;
        self.pending.clear();
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Appends the list's form in the table of values. There must be at least one number.
    pub(crate) fn finish(mut self, sink: &mut impl PageSink, out: &mut Vec<u8>) -> Result<()> {
        if self.count <= INLINE {
            out.put_varint(self.pending[0]);
            ascending::encode(&self.pending, out);
            return Ok(());
        }
        self.close_frame(sink)?;
        self.tree.finish_with_root(sink)?.encode(out);
        Ok(())
    }
}

/// A posting list as its table entry describes it.
#[derive(Clone, Debug)]
pub(crate) enum List {
    /// At most [`INLINE`] numbers, decoded.
    Inline(Vec<u64>),
    /// More, in a tree of so many frames.
    Tree { root: Handle, count: u64, frames: u64 },
}

impl List {
    pub(crate) fn decode(decoder: &mut Decoder<'_>, count: u64) -> Result<Self> {
        if count > INLINE {
            let (root, frames) = (Handle::decode(decoder)?, count.div_ceil(NUMBERS));
            return Ok(Self::Tree { root, count, frames });
        }
        let first = decoder.varint("P4")?;
        let mut numbers = Vec::new();
        ascending::decode(decoder, first, count as usize, &mut numbers)?;
        Ok(Self::Inline(numbers))
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Inline(numbers) => numbers.len() as u64,
            Self::Tree { count, .. } => *count,
        }
    }

    pub(crate) fn cursor<P: Pages>(&self, pages: P) -> ListCursor<P> {
        let (frame, tree) = match self {
            Self::Inline(numbers) => (numbers.clone(), None),
            Self::Tree { root, frames, .. } => {
                (Vec::new(), Some(Tree::of(pages, *root, *frames, Section::Postings).cursor()))
            }
        };
        ListCursor { tree, frame, first: 0, count: self.count() }
    }
}

/// Random access to a posting list: by position and by time number.
#[derive(Clone)]
pub(crate) struct ListCursor<P> {
    tree: Option<TreeCursor<P>>,
    /// The decoded frame, empty before the first access to a tree.
    frame: Vec<u64>,
    /// The position of the frame's first number.
    first: u64,
    count: u64,
}

impl<P: Pages> ListCursor<P> {
    /// The time number at `position`, which must be below the count.
    pub(crate) fn get(&mut self, position: u64) -> Result<u64> {
        let at = self.place(position)?;
        self.frame.get(at).copied().ok_or_else(|| missing(position))
    }

    /// The time numbers from `position` on that share its frame. It must be below the count.
    pub(crate) fn from(&mut self, position: u64) -> Result<&[u64]> {
        let at = self.place(position)?;
        self.frame.get(at..).ok_or_else(|| missing(position))
    }

    /// The time numbers up to and with `position` that share its frame. It must be below the count.
    pub(crate) fn up_to(&mut self, position: u64) -> Result<&[u64]> {
        let at = self.place(position)?;
        self.frame.get(..=at).ok_or_else(|| missing(position))
    }

    /// Decodes the frame of a position, if it is not the one that is held, and returns the place in it.
    fn place(&mut self, position: u64) -> Result<usize> {
        let held = self.first..self.first.saturating_add(self.frame.len() as u64);
        if !held.contains(&position) {
            self.load(position / NUMBERS)?;
        }
        Ok(position.saturating_sub(self.first) as usize)
    }

    /// Decodes the frame with number `frame`.
    fn load(&mut self, frame: u64) -> Result<()> {
        if let Some(tree) = &mut self.tree
            && !tree.go_to(frame)?
        {
            return Err(Error::corrupt(Section::Postings, 0, "P3", format!("the list has no frame {frame}")));
        }
        self.decode()
    }

    /// Decodes the frame that the tree's cursor is at.
    fn decode(&mut self) -> Result<()> {
        let Some(tree) = &self.tree else { return Ok(()) };
        let first = tree.position().saturating_mul(NUMBERS);
        let mut value = tree.value();
        let expected = self.count.saturating_sub(first).min(NUMBERS);
        let count = value.varint("P4")?;
        if count != expected {
            return Err(value.corrupt("T5", format!("frame of {count} time numbers, {expected} expected")));
        }
        let Some(number) = from_key64(tree.key()) else {
            return Err(value.corrupt("P4", "key of a frame is not of 8 bytes"));
        };
        ascending::decode(&mut value, number, count as usize, &mut self.frame)?;
        value.finish("P4")?;
        self.first = first;
        Ok(())
    }

    /// The position of the first time number not less than `time_number`; the count if there is none.
    pub(crate) fn position_of(&mut self, time_number: u64) -> Result<u64> {
        let held = self.frame.first().is_some_and(|&first| first <= time_number)
            && self.frame.last().is_some_and(|&last| last >= time_number);
        if let (Some(tree), false) = (&mut self.tree, held) {
            if !tree.floor(&key64(time_number))? {
                return Ok(0);
            }
            self.decode()?;
        }
        let before = self.frame.partition_point(|&number| number < time_number);
        Ok(self.first.saturating_add(before as u64))
    }
}

/// A frame has as many numbers as its list says that it has.
fn missing(position: u64) -> Error {
    Error::corrupt(Section::Postings, 0, "P3", format!("the list has no number {position}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::Memory;

    fn list(numbers: &[u64]) -> (Memory, List) {
        let (mut sink, mut builder, mut out) = (Memory::default(), ListBuilder::default(), Vec::new());
        for &number in numbers {
            builder.push(number, &mut sink).unwrap();
        }
        builder.finish(&mut sink, &mut out).unwrap();
        let mut decoder = Decoder::new(&out, 0, Section::Values);
        let list = List::decode(&mut decoder, numbers.len() as u64).unwrap();
        decoder.finish("X").unwrap();
        (sink, list)
    }

    #[test]
    fn numbers_are_found_by_position_and_by_value() {
        for count in [1_u64, 2, 127, 128, 129, 1_023, 1_024, 1_025, 20_000] {
            let numbers: Vec<u64> = (0..count).map(|i| i * i / 3 + i).collect();
            let (memory, list) = list(&numbers);
            let mut cursor = list.cursor(&memory);
            assert_eq!(list.count(), count);
            for position in [0, count / 2, count - 1, count / 3] {
                assert_eq!(cursor.get(position).unwrap(), numbers[position as usize]);
                let number = numbers[position as usize];
                assert_eq!(cursor.position_of(number).unwrap(), position);
                let after = numbers.partition_point(|&other| other < number + 1) as u64;
                assert_eq!(cursor.position_of(number + 1).unwrap(), after);
            }
            assert_eq!(cursor.position_of(u64::MAX).unwrap(), count);
            assert_eq!(cursor.position_of(0).unwrap(), 0);
            let all: Vec<u64> = (0..count).map(|position| cursor.get(position).unwrap()).collect();
            assert_eq!(all, numbers);
        }
    }
}
