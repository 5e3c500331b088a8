//! The entries of an index section: 10 bytes each, which say where an event's record begins.

use std::ops::Range;

use esdb_format::Result;

use crate::blocks::{BLOCK, Blocks};
use crate::bytes::Bytes;
use crate::context::Context;
use crate::entries::{Key, Place, Sorter};
use crate::input::Input;
use crate::report::Quoted;

/// Bytes of an entry.
const ENTRY: usize = 10;

/// So many stored bytes of an index section the old reader reads before it loses its place.
const READ_AT_ONCE: u64 = 4099;

/// An index of a space, and where its section is.
pub(crate) struct Index<'a> {
    pub(crate) space: &'a [u8],
    /// Where the section begins in the space: its entries point at places before it.
    pub(crate) start_in_space: u64,
    /// Its number in the space.
    pub(crate) number: u64,
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// In the file.
    pub(crate) section: Range<u64>,
}

/// Reads an index: its entries go to the sorter, what is wrong to the account.
///
/// # Errors
///
/// I/O if the file cannot be read, or the entries cannot be written out.
pub(crate) fn read(
    context: &mut Context<'_>,
    input: &mut Input<'_>,
    index: &Index<'_>,
    sorter: &mut Sorter,
) -> Result<()> {
    let mut blocks = Blocks::new(index.section.clone());
    let mut reading = Reading {
        context,
        index,
        sorter,
        content: Vec::new(),
        taken: 0,
        skip: 0,
        is_cut: false,
        number: 0,
        first: Some(Vec::new()),
        hidden_from: None,
        strays: 0,
        last: None,
        misplaced: 0,
    };
    let is_long = index.section.end - index.section.start > READ_AT_ONCE;
    while let Some((block, content)) = blocks.next(input)? {
        if is_long && block.bytes.end - index.section.start > READ_AT_ONCE {
            reading.hide_rest();
            reading.settle()?;
        }
        if let Some(damage) = block.damage {
            let lost = if block.is_lost { "; its entries are lost" } else { "; it was read all the same" };
            reading.lose(block.bytes.clone(), &format!("{damage}{lost}"));
        }
        match (block.is_lost, block.bytes.end == index.section.end) {
            (false, _) => reading.take(content)?,
            (true, false) => reading.skip_block(),
            (true, true) => reading.is_cut = true,
        }
        reading.context.sink.batch.read += block.bytes.end - block.bytes.start;
    }
    reading.finish()
}

struct Reading<'c, 's, 'i> {
    context: &'c mut Context<'s>,
    index: &'i Index<'i>,
    sorter: &'c mut Sorter,
    /// The beginning of an entry that is not taken yet.
    content: Vec<u8>,
    /// How much content was taken, or is lost.
    taken: usize,
    /// How much of the next content belongs to an entry that is lost.
    skip: usize,
    /// The last block is lost.
    is_cut: bool,
    /// How many entries there are so far.
    number: u64,
    /// The first entries, until it is known what the old reader makes of them.
    first: Option<Vec<(Place, u64)>>,
    hidden_from: Option<u64>,
    /// Entries that point outside of the space's sections.
    strays: u64,
    last: Option<Place>,
    /// Entries that point before the one before, in the same block: events of a block are in order.
    misplaced: u64,
}

impl Reading<'_, '_, '_> {
    fn lose(&mut self, bytes: Range<u64>, reason: &str) {
        let Index { space, name, value, .. } = self.index;
        let place = format_args!("space {}, index {} = {}", Quoted(space), Quoted(name), Quoted(value));
        self.context.account.lose(bytes, format_args!("{place}: {reason}"));
    }

    /// From the next entry on the old reader gives no more, or the wrong ones.
    fn hide_rest(&mut self) {
        self.hidden_from.get_or_insert(self.number);
    }

    /// Hands over the first entries: what the old reader hides is known now.
    fn settle(&mut self) -> Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let &Index { number, name, value, .. } = self.index;
        let hidden_from = self.hidden_from.unwrap_or(self.number);
        self.sorter.key(Key { number, name, value, hidden_from });
        first.into_iter().try_for_each(|(place, number)| self.sorter.entry(place, number))
    }

    /// Takes the entries of the content that are whole.
    fn take(&mut self, content: &[u8]) -> Result<()> {
        let skipped = self.skip.min(content.len());
        self.skip -= skipped;
        self.content.extend_from_slice(content.get(skipped..).unwrap_or_default());
        let content = std::mem::take(&mut self.content);
        let entries = content.chunks_exact(ENTRY);
        let rest = entries.remainder();
        for entry in entries {
            let mut bytes = Bytes(entry);
            let (block, offset) = (bytes.u64().unwrap_or(0), bytes.u16().unwrap_or(0));
            // The old reader takes such an entry for the end.
            if block.trailing_zeros() >= 8 {
                self.hide_rest();
            }
            let is_inside = (1..self.index.start_in_space).contains(&block) && usize::from(offset) <= BLOCK;
            match Place::new(block, offset).filter(|_| is_inside) {
                None => self.strays += 1,
                Some(place) => {
                    let last = self.last.replace(place);
                    self.misplaced +=
                        u64::from(last.is_some_and(|last| last.block() == block && last > place));
                    match &mut self.first {
                        Some(first) => first.push((place, self.number)),
                        None => self.sorter.entry(place, self.number)?,
                    }
                }
            }
            self.number += 1;
        }
        self.taken += content.len() - rest.len();
        let rest_at = content.len() - rest.len();
        self.content = content;
        self.content.drain(..rest_at);
        Ok(())
    }

    /// A full block's content is lost: where the first entry behind it begins is known.
    fn skip_block(&mut self) {
        let behind = self.taken + self.content.len() + BLOCK;
        let next = behind.next_multiple_of(ENTRY);
        let lost = ((next - self.taken) / ENTRY) as u64;
        self.context.account.report.entries_lost += lost;
        self.number += lost;
        self.content.clear();
        (self.taken, self.skip) = (next, next - behind);
    }

    fn finish(mut self) -> Result<()> {
        match *self.content {
            [0] => {}
            [marker] => self.lose(self.index.section.clone(), &format!("the end marker is {marker}, not 0")),
            _ if self.is_cut => {}
            _ => self.lose(
                self.index.section.clone(),
                "the section does not end with an entry and the end marker",
            ),
        }
        self.settle()?;
        let report = &mut self.context.account.report;
        let hidden_from = self.hidden_from.unwrap_or(self.number);
        report.hidden_entries += self.number.saturating_sub(hidden_from);
        report.entries_lost += self.strays;
        if self.misplaced > 0 {
            self.lose(self.index.section.clone(), &format!("{} entries are out of order", self.misplaced));
        }
        if self.strays > 0 {
            self.lose(
                self.index.section.clone(),
                &format!("{} entries point outside of the space", self.strays),
            );
        }
        Ok(())
    }
}
