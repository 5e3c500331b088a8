//! A space: its sections, and the table that names them.
//!
//! ```text
//! 0x2A, sections in order of keys, table, length of the table
//! ```
//!
//! First the index sections are read and their entries sorted by place, then the groupings, each event with its entries. Where the
//! table is damaged, sections are what lies between those that are known; a grouping whose name is lost is `unknown-1`, ….

use std::ops::Range;

use esdb_format::{Result, limits};

use crate::blocks::tiles;
use crate::context::Context;
use crate::entries::{Entries, Sorter};
use crate::grouping::{self, Grouping};
use crate::index::{self, Index};
use crate::input::Input;
use crate::report::Quoted;
use crate::sections::{Kind, Section, Sections, kind_of, range_of};
use crate::table::{Problem, Table};

/// Begins a space.
pub(crate) const MARK: u8 = 0x2A;

/// A space: where its sections begin and its table is.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) start: u64,
    /// How many bytes are missing somewhere between here and the table.
    pub(crate) missing: u64,
    pub(crate) table: Table,
}

impl Space {
    /// The space that takes a region of the file, if its table can be found.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn open(
        input: &mut Input<'_>,
        region: Range<u64>,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Self>> {
        input.focus(region.clone());
        let mark = input.get(region.start, 1)?.map(|mark| mark == [MARK]);
        let Some(table) = Table::at_end(input, problems)? else { return Ok(None) };
        if mark == Some(false) {
            problems.push((
                region.start..region.start + 1,
                "the mark of a space's beginning is not there".to_owned(),
            ));
        }
        Ok(Some(Self { start: region.start, missing: 0, table }))
    }

    /// Brings the space over under a name.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read; Invalid if nobody takes the events.
    pub(crate) fn read(&self, context: &mut Context<'_>, input: &Input<'_>, id: &[u8]) -> Result<()> {
        let region = self.start..self.table.end;
        let (mut tables, mut content) = (input.over(region.clone()), input.over(region));
        if id.len() > limits::KEY {
            let reason = format_args!(
                "space {}: its id has {} bytes, {} are possible",
                Quoted(id),
                id.len(),
                limits::KEY
            );
            context.account.lose(self.start..self.table.end, reason);
            return Ok(());
        }
        let mut sorter = Sorter::new(context.options.memory / 4);
        let mut sections = Sections::new(self);
        let (mut number, mut groupings) = (0, 0);
        while let Some(section) = sections.next(&mut tables)? {
            context.problems(format_args!("space {}", Quoted(id)), sections.take_problems());
            let kind = match section.kind {
                Kind::Unknown => self.kind_of(&mut content, &section)?,
                kind => kind,
            };
            if kind == Kind::Grouping {
                groupings += 1;
                continue;
            }
            number += 1;
            self.read_index(context, &mut content, id, &section, number, &mut sorter)?;
        }
        context.problems(format_args!("space {}", Quoted(id)), sections.take_problems());
        (context.space_events, context.base) = (0, self.start);
        if groupings > 0 {
            let unordered = context.account.report.unordered_groupings;
            let mut entries = sorter.finish()?;
            self.read_groupings(context, &mut tables, &mut content, id, &mut entries)?;
            while entries.peek().is_some() {
                context.lose_entries_at(&mut entries)?;
            }
            // Timestamps that were cut to 32 bits are not in order anywhere.
            if context.account.report.unordered_groupings == unordered {
                entries.for_each_misordered(|key| {
                    let index = format_args!("index {} = {}", Quoted(key.name), Quoted(key.value));
                    let reason =
                        format_args!("space {}, {index}: entries are not in order of time", Quoted(id));
                    context.account.lose(self.start..self.table.start, reason);
                });
            }
        }
        context.tell_stray();
        context.count_stops();
        context.account.report.spaces += u64::from(context.space_events > 0);
        Ok(())
    }

    /// Where a section is in the file, and where the space would begin if no byte before the section were missing.
    pub(crate) fn place(&self, input: &mut Input<'_>, range: &Range<u64>) -> Result<(Range<u64>, u64)> {
        let at = |base: u64| base.wrapping_add(range.start)..base.wrapping_add(range.end);
        let base = match self.missing {
            0 => self.start,
            // Sections before the loss stand where they should, those behind it earlier.
            missing if range.start < missing || tiles(input, at(self.start))? => self.start,
            missing => self.start.wrapping_sub(missing),
        };
        Ok((at(base), base))
    }

    pub(crate) fn kind_of(&self, input: &mut Input<'_>, section: &Section) -> Result<Kind> {
        let (place, base) = self.place(input, &section.range)?;
        kind_of(input, base, place)
    }

    fn read_index(
        &self,
        context: &mut Context<'_>,
        content: &mut Input<'_>,
        id: &[u8],
        section: &Section,
        number: u64,
        sorter: &mut Sorter,
    ) -> Result<()> {
        let (place, _) = self.place(content, &section.range)?;
        if section.kind == Kind::Unknown {
            let reason =
                format_args!("space {}: the name of an index is lost, and with it its entries", Quoted(id));
            context.account.lose(place, reason);
            return Ok(());
        }
        let split = context.splits.split(&section.key);
        let colon = split.colon.unwrap_or(section.key.len());
        let (name, rest) = section.key.split_at(colon);
        let value = rest.get(1..).unwrap_or_default();
        if split.colon.is_none() {
            let reason = format_args!("space {}: index {} has no colon", Quoted(id), Quoted(&section.key));
            context.account.lose(place.clone(), reason);
        }
        if name.len() > limits::KEY || value.len() > limits::KEY {
            let reason =
                format_args!("space {}: index {} is too long for a new file", Quoted(id), Quoted(name));
            context.account.lose(place, reason);
            return Ok(());
        }
        if split.is_ambiguous {
            context.account.ambiguous(name, value);
        }
        let start_in_space = section.range.start;
        let index = Index { space: id, start_in_space, number, name, value, section: place };
        index::read(context, content, &index, sorter)
    }

    fn read_groupings(
        &self,
        context: &mut Context<'_>,
        tables: &mut Input<'_>,
        content: &mut Input<'_>,
        id: &[u8],
        entries: &mut Entries,
    ) -> Result<()> {
        let mut sections = Sections::new(self);
        let mut unknown = 0;
        while let Some(section) = sections.next(tables)? {
            let kind = match section.kind {
                Kind::Unknown => self.kind_of(content, &section)?,
                kind => kind,
            };
            if kind == Kind::Index {
                continue;
            }
            let (place, base) = self.place(content, &section.range)?;
            let mut name = section.key;
            if section.kind == Kind::Unknown {
                unknown += 1;
                name = format!("unknown-{unknown}").into_bytes();
                let reason = format_args!(
                    "space {}: the name of a grouping is lost, it is now {}",
                    Quoted(id),
                    Quoted(&name)
                );
                context.account.lose(place.clone(), reason);
            }
            if name.len() > limits::KEY {
                let reason = format_args!(
                    "space {}: grouping {} is too long for a new file",
                    Quoted(id),
                    Quoted(&name)
                );
                context.account.lose(place, reason);
                continue;
            }
            let grouping = Grouping { space: id, base, name: &name, section: place, is_cut: false };
            grouping::read(context, content, &grouping, entries)?;
        }
        Ok(())
    }

    /// How far the sections of the space that ends with a table reach from its beginning.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn sections_len(input: &mut Input<'_>, table: &Table) -> Result<u64> {
        let (mut len, mut cursor) = (1, table.cursor());
        while cursor.advance(input)? {
            let range = range_of(cursor.value());
            // One that does not follow the one before, and lies beyond the table, is damaged.
            if range.start == len || range.end <= table.start {
                len = range.end.max(len);
            }
        }
        Ok(len)
    }
}
