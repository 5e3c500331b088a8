//! Spaces that no table of spaces leads to.
//!
//! Each space ends with a table of its own, whose mark is searched for; its entries tell how far before it the space begins. Where even
//! that table is lost, blocks are followed from the beginning of the space: their events can be saved, without grouping and indexes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use esdb_format::Result;

use crate::archive::region_of;
use crate::blocks::{run_of_sections, tiles};
use crate::bytes::Bytes;
use crate::context::Context;
use crate::entries::Entries;
use crate::grouping::{self, Grouping};
use crate::input::Input;
use crate::report::Quoted;
use crate::sections::{Kind, kind_of};
use crate::space::{MARK, Space};
use crate::table::{MAGIC, Table};

/// How much is searched at once, in bytes.
const PIECE: usize = 1 << 20;

/// What looks for tables may read in vain, beside twice the size of the part, in bytes.
const MOST_IN_VAIN: u64 = 16 << 20;

/// Ids of spaces that are not in their places are remembered up to so many bytes together; the others count as lost.
const MOST_IDS: usize = 64 << 20;

/// Bytes of the length behind a table.
const LENGTH: u64 = 8;

/// Ids of spaces by where they begin.
#[derive(Default)]
pub(crate) struct Ids {
    by_start: HashMap<u64, Vec<u8>>,
    /// Bytes of all ids.
    memory: usize,
    /// How much smaller places may have become, by a piece of the file that is missing.
    shift: u64,
}

impl Ids {
    pub(crate) fn new(shift: u64) -> Self {
        Self { shift, ..Self::default() }
    }

    pub(crate) fn add(&mut self, start: u64, id: &[u8]) {
        if self.memory + id.len() <= MOST_IDS {
            self.memory += id.len();
            self.by_start.entry(start).or_insert_with(|| id.to_vec());
        }
    }

    /// Adds the ids of a table, and tells whether it is one of spaces. Ids of a table that does not stand right behind its spaces are of no
    /// use: it may be that of an archive inside of an event.
    fn add_all(&mut self, input: &mut Input<'_>, table: &Table) -> Result<bool> {
        let (mut cursor, mut end) = (table.cursor(), 0);
        while cursor.advance(input)? {
            let region = region_of(cursor.value());
            if region.is_empty() {
                return Ok(false);
            }
            end = region.end.max(end);
        }
        let mut cursor = table.cursor();
        while end == table.start && cursor.advance(input)? {
            self.add(region_of(cursor.value()).start, cursor.key());
        }
        Ok(true)
    }

    fn take(&mut self, start: u64) -> Option<Vec<u8>> {
        self.by_start.remove(&start).or_else(|| self.by_start.remove(&start.checked_add(self.shift)?))
    }
}

/// A space that was found.
enum Found {
    Whole(Space),
    /// Blocks behind the beginning of a space, whose table is lost.
    Blocks(Range<u64>),
}

/// Brings over what is found in parts of an archive that no entry of its table accounts for. Spaces whose id is lost are numbered on from
/// `unknown`.
///
/// # Errors
///
/// I/O if the file cannot be read; Invalid if nobody takes the events.
pub(crate) fn read(
    context: &mut Context<'_>,
    input: &Input<'_>,
    gaps: Vec<Range<u64>>,
    mut ids: Ids,
    unknown: &mut u64,
) -> Result<()> {
    let mut found = BTreeMap::new();
    for gap in gaps {
        Search { context, input: input.over(gap.clone()), gap, ids: &mut ids, found: &mut found }.run()?;
    }
    let mut named: BTreeMap<u64, Vec<u8>> =
        found.keys().filter_map(|start| Some((*start, ids.take(*start)?))).collect();
    // One space and one id are left: they belong together.
    let mut nameless = found.keys().filter(|start| !named.contains_key(start));
    if let (Some(&start), None, 1) = (nameless.next(), nameless.next(), ids.by_start.len()) {
        named.extend(ids.by_start.drain().map(|(_, id)| (start, id)));
    }
    for (start, space) in found {
        let id = named.remove(&start).unwrap_or_else(|| {
            *unknown += 1;
            let id = format!("unknown-{unknown}").into_bytes();
            let reason = format_args!("the id of a space is lost, it is now {}", Quoted(&id));
            context.account.lose(start..start, reason);
            id
        });
        match space {
            Found::Whole(space) => space.read(context, input, &id)?,
            Found::Blocks(blocks) => read_blocks(context, input, &id, start, blocks)?,
        }
    }
    Ok(())
}

struct Search<'c, 's, 'i> {
    context: &'c mut Context<'s>,
    /// Its region is the gap.
    input: Input<'i>,
    gap: Range<u64>,
    ids: &'c mut Ids,
    /// By where they begin.
    found: &'c mut BTreeMap<u64, Found>,
}

impl Search<'_, '_, '_> {
    fn run(&mut self) -> Result<()> {
        let gap = self.gap.clone();
        let mut at = gap.start;
        // Marks in payloads are looked at in vain; a file of nothing but marks is not worth it.
        let mut budget = 2 * (gap.end - gap.start) + MOST_IN_VAIN;
        let mut from = gap.start;
        let mut tables = self.input.narrow();
        let mut blocks_end = self.blocks_end(at)?;
        while let Some(magic) = find_magic(&mut self.input, from)? {
            from = magic + 1;
            let Some(table) = Table::before(&mut tables, magic, at, &mut budget)? else {
                if budget == 0 {
                    self.context
                        .account
                        .lose(magic..gap.end, "too many marks of tables: none was looked at from here on");
                    break;
                }
                continue;
            };
            // It is inside of an event.
            if table.start < blocks_end {
                continue;
            }
            let behind = (table.end + LENGTH).min(gap.end);
            let ends_well = self.input.get(table.end, LENGTH as usize)?.and_then(|len| Bytes(len).u64());
            if ends_well != Some(table.end - table.start) {
                let reason = "the length behind a table is wrong or missing";
                self.context.account.lose(table.end..behind, reason);
            }
            if self.ids.add_all(&mut self.input, &table)? {
                self.rest(at..table.start)?;
                self.note(&table);
            } else {
                self.space(at, table, &mut budget)?;
            }
            (at, from) = (behind, behind);
            blocks_end = self.blocks_end(at)?;
        }
        self.rest(at..gap.end)
    }

    /// How far blocks follow one another, if a space begins at `at`.
    fn blocks_end(&mut self, at: u64) -> Result<u64> {
        let is_space = self.input.get(at, 1)? == Some(&[MARK]);
        if is_space { run_of_sections(&mut self.input, at + 1, |_| true) } else { Ok(at) }
    }

    /// A table of spaces that is not the file's last, or is not where it should be.
    fn note(&mut self, table: &Table) {
        self.context.account.note(format_args!(
            "a table of spaces stands at byte {}, not at the end of the file",
            table.start
        ));
    }

    /// A space by its table, behind `floor`, which costs `budget` what is looked at in vain.
    fn space(&mut self, floor: u64, table: Table, budget: &mut u64) -> Result<()> {
        let len = Space::sections_len(&mut self.input, &table)?;
        let start = table.start.checked_sub(len).filter(|start| *start >= self.gap.start);
        if let Some(start) = start.filter(|start| *start < floor && len <= *budget) {
            *budget -= len;
            let is_space = self.input.get(start, 1)? == Some(&[MARK]);
            if is_space && tiles(&mut self.input, start + 1..table.start)? {
                // What was found behind its beginning was inside of events.
                self.found.retain(|found, _| *found < start);
                self.found.insert(start, Found::Whole(Space { start, missing: 0, table }));
                return Ok(());
            }
        }
        let (start, missing) = match start {
            Some(start) if start >= floor => (start, 0),
            // A loss that is larger than what is left is none.
            _ => (floor, floor.saturating_add(len).saturating_sub(table.start)),
        };
        let missing = if missing < table.start - floor { missing } else { 0 };
        if missing > 0 {
            let reason = format_args!("{missing} bytes are missing in the space that begins here");
            self.context.account.lose(start..table.start, reason);
        }
        self.rest(floor..start)?;
        self.found.insert(start, Found::Whole(Space { start, missing, table }));
        Ok(())
    }

    /// A part without a table that can be found by its mark: spaces follow one another from its beginning.
    fn rest(&mut self, rest: Range<u64>) -> Result<()> {
        let mut at = rest.start;
        while at < rest.end {
            self.input.focus(rest.clone());
            let blocks_end = self.blocks_end(at)?;
            let is_space = blocks_end > at;
            let Some((table, is_whole)) = Table::walk(&mut self.input, blocks_end)? else {
                if blocks_end > at + 1 {
                    self.found.insert(at, Found::Blocks(at + 1..blocks_end));
                }
                self.lose(blocks_end..rest.end);
                break;
            };
            if !is_whole {
                self.context.account.lose(table.start..table.end, "the end of a table is damaged");
            }
            let behind = (table.end + LENGTH).min(rest.end);
            if is_space {
                self.found.insert(at, Found::Whole(Space { start: at, missing: 0, table }));
            } else if self.ids.add_all(&mut self.input, &table)? {
                self.note(&table);
            } else {
                self.lose(at..behind);
            }
            at = behind;
        }
        self.input.focus(self.gap.clone());
        Ok(())
    }

    fn lose(&mut self, bytes: Range<u64>) {
        if !bytes.is_empty() {
            self.context.account.lose(bytes, "nothing here can be read");
        }
    }
}

/// Where a table's mark stands next.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn find_magic(input: &mut Input<'_>, mut from: u64) -> Result<Option<u64>> {
    loop {
        let piece = input.up_to(from, PIECE)?;
        if let Some(at) = memchr::memmem::find(piece, &MAGIC) {
            return Ok(Some(from + at as u64));
        }
        if piece.len() < PIECE {
            return Ok(None);
        }
        from += (PIECE - MAGIC.len() + 1) as u64;
    }
}

/// Brings over the events of a space of which only blocks are left: each run of blocks up to one that is not full is a section.
fn read_blocks(
    context: &mut Context<'_>,
    input: &Input<'_>,
    id: &[u8],
    base: u64,
    blocks: Range<u64>,
) -> Result<()> {
    let mut content = input.over(blocks.clone());
    let mut sections = Vec::new();
    let mut start = blocks.start;
    run_of_sections(&mut content, blocks.start, |end| {
        sections.push(std::mem::replace(&mut start, end)..end);
        true
    })?;
    let is_cut = start < blocks.end;
    if is_cut {
        sections.push(start..blocks.end);
    }
    context.account.lose(
        blocks,
        format_args!("space {}: its table is lost, and with it all names and indexes", Quoted(id)),
    );
    context.space_events = 0;
    let mut unknown = 0;
    let count = sections.len();
    for (number, section) in sections.into_iter().enumerate() {
        if kind_of(&mut content, base, section.clone())? == Kind::Index {
            break;
        }
        unknown += 1;
        let name = format!("unknown-{unknown}").into_bytes();
        let is_cut = is_cut && number + 1 == count;
        let grouping = Grouping { space: id, base, name: &name, section, is_cut };
        grouping::read(context, &mut content, &grouping, &mut Entries::none())?;
    }
    context.account.report.spaces += u64::from(context.space_events > 0);
    Ok(())
}
