//! An archive of 2014 as a whole: spaces, the table of their ids, its length.
//!
//! Spaces that stand where the table says are read in order of their ids. What no entry of the table accounts for is searched for
//! spaces ([`salvage`](crate::salvage)).

use std::ops::Range;

use esdb_format::Result;

use crate::blocks::run_of_sections;
use crate::bytes::Bytes;
use crate::context::Context;
use crate::input::Input;
use crate::report::Quoted;
use crate::salvage::{self, Ids};
use crate::space::{MARK, Space};
use crate::table::Table;

/// So far into a file, and from its end, it is looked whether it may be an archive, in bytes.
const NEAR: u64 = 1 << 20;

/// Brings an archive over. Spaces whose id is lost are numbered on from `unknown`.
///
/// # Errors
///
/// I/O if the file cannot be read; Invalid if nobody takes the events.
pub(crate) fn read(context: &mut Context<'_>, input: &Input<'_>, unknown: &mut u64) -> Result<()> {
    let file = input.region();
    let (mut tables, mut content) = (input.over(file.clone()), input.over(file.clone()));
    let stated = match find_table(context, &mut tables)? {
        Some(table) => Stated::read(context, &mut tables, table)?,
        None => None,
    };
    let Some(stated) = stated else {
        return salvage::read(context, input, vec![file], Ids::default(), unknown);
    };
    let mut gaps = stated.gaps();
    let mut ids = Ids::new(stated.shift());
    let mut cursor = stated.table.cursor();
    let mut sound = stated.is_sound.iter();
    while cursor.advance(&mut tables)? {
        let (id, region) = (cursor.key(), region_of(cursor.value()));
        let is_sound = sound.next().copied().unwrap_or(false);
        let mut problems = Vec::new();
        let space = match is_sound {
            true => Space::open(&mut content, region.clone(), &mut problems)?,
            false => None,
        };
        match space {
            Some(space) => {
                context.problems(format_args!("space {}", Quoted(id)), problems);
                space.read(context, input, id)?;
            }
            None => {
                let reason = format_args!("space {}: it is not where the table of spaces says", Quoted(id));
                context.account.lose(cursor.place(), reason);
                ids.add(region.start, id);
                if is_sound {
                    gaps.push(region);
                }
            }
        }
    }
    salvage::read(context, input, merged(gaps), ids, unknown)
}

/// Whether a file without the mark of a table's end may be an archive: it begins with a space, or has a mark near its end.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn may_be(input: &Input<'_>) -> Result<bool> {
    let file = input.region();
    let mut start = input.over(0..NEAR);
    let begins = start.get(0, 1)? == Some(&[MARK]) && run_of_sections(&mut start, 1, |_| false)? > 1;
    let mut end = input.over(file.end.saturating_sub(NEAR)..file.end);
    let from = end.region().start;
    Ok(begins || salvage::find_magic(&mut end, from)?.is_some())
}

/// The table of spaces, which ends the file.
fn find_table(context: &mut Context<'_>, input: &mut Input<'_>) -> Result<Option<Table>> {
    let file = input.region();
    let mut problems = Vec::new();
    let table = Table::at_end(input, &mut problems)?;
    context.problems("table of spaces", problems);
    if table.is_none() {
        context.account.lose(file.end..file.end, "the file does not end with a table of spaces");
    }
    Ok(table)
}

/// Where an entry of the table of spaces says that a space is; empty if it says nothing.
pub(crate) fn region_of(value: &[u8]) -> Range<u64> {
    let mut value = Bytes(value);
    match (value.u64(), value.u64()) {
        (Some(start), Some(len)) if value.0.is_empty() => start..start.saturating_add(len),
        _ => 0..0,
    }
}

/// What the table of spaces says.
struct Stated {
    table: Table,
    /// Of each entry: whether its place lies before the table, and overlaps none before it.
    is_sound: Vec<bool>,
    /// The sound places, in order.
    places: Vec<Range<u64>>,
    /// The end of the last space.
    end: u64,
}

impl Stated {
    /// `None` if the table is that of a space: the file's own was never written.
    fn read(context: &mut Context<'_>, input: &mut Input<'_>, table: Table) -> Result<Option<Self>> {
        let mut places: Vec<(Range<u64>, usize)> = Vec::new();
        let mut cursor = table.cursor();
        let mut foreign = 0;
        while cursor.advance(input)? {
            let region = region_of(cursor.value());
            foreign += usize::from(region.is_empty());
            places.push((region, places.len()));
        }
        let problems = cursor.take_problems();
        if foreign > 0 && foreign == places.len() {
            let reason = "the file has no table of spaces: its writer did not finish it";
            context.account.lose(table.end..table.end, reason);
            return Ok(None);
        }
        context.problems("table of spaces", problems);
        places.sort_unstable_by_key(|(region, number)| (region.start, region.end, *number));
        let mut is_sound = vec![false; places.len()];
        let (mut sound, mut at, mut end) = (Vec::new(), 0, 0);
        for (region, number) in places {
            end = region.end.max(end);
            if region.start >= at && region.end <= table.start && !region.is_empty() {
                at = region.end;
                sound.push(region);
                if let Some(is_sound) = is_sound.get_mut(number) {
                    *is_sound = true;
                }
            }
        }
        Ok(Some(Self { table, is_sound, places: sound, end }))
    }

    /// How many bytes are missing between the spaces and the table: places behind the loss are too large by it.
    fn shift(&self) -> u64 {
        self.end.saturating_sub(self.table.start)
    }

    /// What lies between the places, and before the table.
    fn gaps(&self) -> Vec<Range<u64>> {
        let mut at = 0;
        let mut gaps = Vec::new();
        for place in self.places.iter().chain([&(self.table.start..self.table.start)]) {
            if at < place.start {
                gaps.push(at..place.start);
            }
            at = place.end;
        }
        gaps
    }
}

/// Ranges in order, those that touch made one.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let touches = next.start <= range.end;
        if touches {
            range.end = range.end.max(next.end);
        }
        touches
    });
    ranges
}
