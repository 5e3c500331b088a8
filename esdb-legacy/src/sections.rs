//! The sections of a space, as its table names them, and what they must be where the table is damaged.

use std::collections::VecDeque;
use std::ops::Range;

use esdb_format::Result;

use crate::blocks::{Blocks, run_of_sections, tiles};
use crate::bytes::Bytes;
use crate::entries::Place;
use crate::input::Input;
use crate::report::Quoted;
use crate::space::Space;
use crate::table::{Cursor, Problem};

/// How many bytes of blocks are walked over, beside four times those of the space, to see whether sections are where they should.
const MOST_WALKED: u64 = 1 << 20;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Grouping,
    Index,
    /// Its key is lost.
    Unknown,
}

/// A part of a space, with its key behind the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) key: Vec<u8>,
    /// In the space.
    pub(crate) range: Range<u64>,
}

/// What a section without a key holds: the first entry of an index points at a block before it. The space begins at `base`.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn kind_of(content: &mut Input<'_>, base: u64, section: Range<u64>) -> Result<Kind> {
    let before = section.start.wrapping_sub(base);
    let mut blocks = Blocks::new(section);
    let Some((_, bytes)) = blocks.next(content)? else { return Ok(Kind::Unknown) };
    let mut entry = Bytes(bytes);
    let is_index = match (entry.u64(), entry.u16()) {
        (Some(block), Some(offset)) => (1..before).contains(&block) && Place::new(block, offset).is_some(),
        _ => false,
    };
    Ok(if is_index { Kind::Index } else { Kind::Grouping })
}

/// The sections of a space, in the order of the table, tiling the space up to it.
pub(crate) struct Sections<'t> {
    space: &'t Space,
    cursor: Cursor<'t>,
    /// Where the next section must begin.
    at: u64,
    /// The next two entries of the table: what follows tells whether one is right.
    ahead: VecDeque<Entry>,
    /// How many bytes of blocks were walked over.
    walked: u64,
    problems: Vec<Problem>,
}

/// An entry of the table as it stands there.
struct Entry {
    key: Vec<u8>,
    range: Range<u64>,
    /// Its block of the table fails its checksum.
    is_doubtful: bool,
}

impl<'t> Sections<'t> {
    pub(crate) fn new(space: &'t Space) -> Self {
        Self {
            space,
            cursor: space.table.cursor(),
            at: 1,
            ahead: VecDeque::new(),
            walked: 0,
            problems: Vec::new(),
        }
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        let mut problems = self.cursor.take_problems();
        problems.append(&mut self.problems);
        problems
    }

    /// Where the sections end.
    fn limit(&self) -> u64 {
        self.space.table.start + self.space.missing - self.space.start
    }

    /// The next section; a part of the space that no entry names is one without a key.
    pub(crate) fn next(&mut self, input: &mut Input<'_>) -> Result<Option<Section>> {
        loop {
            while self.ahead.len() < 2 && self.cursor.advance(input)? {
                self.ahead.push_back(Entry::new(&self.cursor));
            }
            let (at, limit) = (self.at, self.limit());
            let Some(entry) = self.ahead.pop_front() else {
                return if at < limit { self.unnamed(input, at..limit).map(Some) } else { Ok(None) };
            };
            let range = entry.range.clone();
            let follows = self.ahead.front().map_or(limit, |next| next.range.start);
            let is_inside = range.start >= at && range.end <= limit && !range.is_empty();
            let is_tight = range.start == at && range.end == follows;
            if is_inside && (is_tight || self.tiles(input, &range)?) {
                if range.start == at {
                    return self.checked(input, entry, range).map(Some);
                }
                self.ahead.push_front(entry);
                return self.unnamed(input, at..range.start).map(Some);
            }
            // It is where no section can be: it may still be the one before the next.
            let reason = "the table states a place for it where no section is";
            self.problems.push((self.cursor.place(), format!("section {}: {reason}", Quoted(&entry.key))));
            if follows > at && follows <= limit {
                return self.checked(input, entry, at..follows).map(Some);
            }
        }
    }

    /// Whether blocks tile a section. In a hostile table any number of entries may share the same blocks: once their headers have been
    /// walked over a few times, they tile nothing.
    fn tiles(&mut self, input: &mut Input<'_>, range: &Range<u64>) -> Result<bool> {
        self.walked += range.end - range.start;
        if self.walked > 4 * self.limit() + MOST_WALKED {
            return Ok(false);
        }
        let (place, _) = self.space.place(input, range)?;
        tiles(input, place)
    }

    /// The first section of a part that no entry names: it ends behind a block that is not full.
    fn unnamed(&mut self, input: &mut Input<'_>, range: Range<u64>) -> Result<Section> {
        let (place, _) = self.space.place(input, &range)?;
        let mut first = None;
        run_of_sections(&mut input.over(place.clone()), place.start, |end| {
            first = Some(end);
            false
        })?;
        let end = first.map_or(range.end, |end| range.start + (end - place.start));
        Ok(self.section(Vec::new(), range.start..end))
    }

    /// A section with the key of an entry. If the entry is in doubt, its content must be what the key says.
    fn checked(&mut self, input: &mut Input<'_>, entry: Entry, range: Range<u64>) -> Result<Section> {
        let mut section = self.section(entry.key, range);
        if entry.is_doubtful && section.kind != self.space.kind_of(input, &section)? {
            section.kind = Kind::Unknown;
        }
        Ok(section)
    }

    fn section(&mut self, mut key: Vec<u8>, range: Range<u64>) -> Section {
        self.at = range.end;
        let kind = match key.first() {
            Some(b'g') => Kind::Grouping,
            Some(b'i') => Kind::Index,
            _ => Kind::Unknown,
        };
        key.drain(..key.len().min(1));
        Section { kind, key, range }
    }
}

impl Entry {
    fn new(cursor: &Cursor<'_>) -> Self {
        Self { key: cursor.key().to_vec(), range: range_of(cursor.value()), is_doubtful: !cursor.is_whole() }
    }
}

/// Where an entry of a space's table says that a section is in the space; empty if it says nothing.
pub(crate) fn range_of(value: &[u8]) -> Range<u64> {
    let mut value = Bytes(value);
    match (value.uvarint(), value.uvarint()) {
        (Some(offset), Some(len)) if value.0.is_empty() => offset..offset.saturating_add(len),
        _ => 0..0,
    }
}
