//! Holding what the events say against what is stored.

use std::sync::Arc;

use crate::codec::Decoder;
use crate::derive::index_lists::{IndexLists, ListPart};
use crate::derive::spool::Spool;
use crate::derive::{Deriver, Tables};
use crate::digest::ContentDigest;
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::handle::Root;
use crate::postings::ListCursor;
use crate::storage::SpillFolder;
use crate::tables::{Extent, NameEntry, RunEntry, ValueEntry};
use crate::time_order::TimeFrame;
use crate::tree::{Tree, TreeCursor};
use crate::unit::Unit;

use super::Walk;

/// Memory for what is derived again, in bytes.
const MEMORY: usize = 64 << 20;

/// What the events themselves say.
pub(super) struct Derived {
    pub(super) deriver: Deriver,
    pub(super) content: ContentDigest,
}

impl Derived {
    pub(super) fn new(unit: Unit) -> Self {
        Self { deriver: Deriver::new(MEMORY, &SpillFolder::of_system()), content: ContentDigest::new(unit) }
    }
}

impl Walk<'_> {
    /// Compares what the events say with what is stored.
    pub(super) fn compare(&mut self, derived: Derived) -> Result<()> {
        let Derived { mut deriver, content } = derived;
        let footer = &self.file.footer;
        deriver.end()?;
        if content.finish() != footer.content_digest {
            self.found.note(Error::corrupt(
                Section::Footer,
                self.footer_offset(),
                "G1",
                "the content digest is not that of the events",
            ));
        }
        let range = deriver.extent.map_or((0, 0), |extent| (extent.first, extent.last));
        if range != (footer.first_timestamp, footer.last_timestamp) {
            let reason = format!("times are {} to {}", range.0, range.1);
            self.found.note(Error::corrupt(Section::Footer, self.footer_offset(), "F5", reason));
        }
        (self.seen.spaces, self.seen.groupings) = (deriver.space_count, deriver.grouping_count);
        if self.found.is_ok() && self.seen != self.file.facts.statistics {
            let reason = "statistics are not those of the file";
            self.found.note(Error::corrupt(Section::Facts, footer.facts.offset, "X1", reason));
        }
        let (Tables { time_order, spaces, groupings }, lists) = deriver.into_tables();
        let roots = self.file.footer.roots;
        self.compare_table(Section::Spaces, "T2", spaces, roots.spaces)?;
        self.compare_table(Section::Groupings, "T3", groupings, roots.groupings)?;
        self.compare_table(Section::TimeOrder, "T6", time_order, roots.time_order)?;
        self.compare_lists(lists)
    }

    /// Compares a table entry by entry with what it should hold.
    fn compare_table(
        &mut self,
        section: Section,
        rule: &'static str,
        expected: Spool,
        root: Root,
    ) -> Result<()> {
        let mut expected = expected.into_reader();
        let mut cursor = Tree::new(Arc::clone(self.file), root, section).cursor();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let wrong = |reason: &str| Err(Error::corrupt(section, root.page.offset, rule, reason));
        loop {
            let wanted = expected.next_bytes(&mut key)?;
            if cursor.next()? != wanted {
                return wrong(if wanted { "an entry is missing" } else { "there is an entry too many" });
            }
            if !wanted {
                return Ok(());
            }
            expected.bytes(&mut value)?;
            if cursor.key() != key {
                return Err(cursor.value().corrupt(rule, "the entry of another key is expected here"));
            }
            let stored = cursor.value();
            if section == Section::TimeOrder
                && TimeFrame::peek(stored.clone())?.0 != TimeFrame::peek(Decoder::new(&value, 0, section))?.0
            {
                return Err(stored.corrupt("T7", "the frame holds another number of events than it should"));
            }
            let same = match section {
                Section::TimeOrder => {
                    let mine = Decoder::new(&value, stored.offset(), section);
                    TimeFrame::decode(stored.clone())? == TimeFrame::decode(mine)?
                }
                _ => RunEntry::at(cursor.leaf())? == RunEntry::decode(Decoder::new(&value, 0, section))?,
            };
            if !same {
                return Err(stored.corrupt(rule, "the entry does not agree with the events"));
            }
        }
    }

    fn compare_lists(&mut self, lists: IndexLists) -> Result<()> {
        let file = self.file;
        let mut names = file.names().cursor();
        let mut name: Option<OpenName> = None;
        lists.for_each(|wanted_name, wanted_value, part| {
            let open = match &mut name {
                Some(open) if open.key == wanted_name => open,
                _ => {
                    if let Some(finished) = name.take() {
                        finished.finish()?;
                    }
                    name.insert(OpenName::next(file, &mut names, wanted_name)?)
                }
            };
            open.compare(file, wanted_value, part)
        })?;
        if let Some(finished) = name {
            finished.finish()?;
        }
        if names.next()? {
            return Err(names.value().corrupt("T4", "a name that no event has"));
        }
        Ok(())
    }
}

/// An index name whose values are being compared.
struct OpenName {
    key: Vec<u8>,
    entry: NameEntry,
    values: TreeCursor<Arc<OpenFile>>,
    value: Option<OpenValue>,
    /// Of the values compared so far.
    extent: Option<Extent>,
}

/// A value whose list is being compared.
struct OpenValue {
    list: ListCursor<Arc<OpenFile>>,
    stated: Extent,
    /// How much of the list was compared.
    position: u64,
    extent: Option<Extent>,
}

impl OpenName {
    fn next(file: &Arc<OpenFile>, names: &mut TreeCursor<Arc<OpenFile>>, wanted: &[u8]) -> Result<Self> {
        if !names.next()? || names.key() != wanted {
            let offset = file.footer.roots.names.page.offset;
            return Err(Error::corrupt(
                Section::Names,
                offset,
                "T4",
                "a name is missing, or not that of any event",
            ));
        }
        let entry = NameEntry::decode(names.value())?;
        let values = Tree::of(Arc::clone(file), entry.tree, entry.values, Section::Values).cursor();
        Ok(Self { key: wanted.to_vec(), entry, values, value: None, extent: None })
    }

    /// Compares a part of a value's list.
    fn compare(&mut self, file: &Arc<OpenFile>, wanted: &[u8], part: &ListPart<'_>) -> Result<()> {
        if self.value.is_none() || self.values.key() != wanted {
            self.finish_value()?;
            if !self.values.next()? || self.values.key() != wanted {
                let reason = "a value is missing, or not that of any event";
                return Err(Error::corrupt(Section::Values, self.entry.tree.offset, "T4", reason));
            }
            let entry = ValueEntry::decode(self.values.value())?;
            let list = entry.list.cursor(Arc::clone(file));
            self.value = Some(OpenValue { list, stated: entry.extent, position: 0, extent: None });
        }
        let Some(value) = &mut self.value else { return Ok(()) };
        part.extent.join_into(&mut value.extent);
        part.for_each(|time_number| {
            let position = value.position;
            if position >= value.stated.count || value.list.get(position)? != time_number {
                let reason = format!("entry {position} of the posting list is wrong");
                return Err(self.values.value().corrupt("T5", reason));
            }
            value.position = value.position.saturating_add(1);
            Ok(())
        })
    }

    fn finish_value(&mut self) -> Result<()> {
        let Some(OpenValue { stated, extent, .. }) = self.value.take() else { return Ok(()) };
        if extent != Some(stated) {
            return Err(self.values.value().corrupt("T4", "count or times are not those of the events"));
        }
        stated.join_into(&mut self.extent);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.finish_value()?;
        if self.values.next()? {
            return Err(self.values.value().corrupt("T4", "a value that no event has"));
        }
        if self.extent != Some(self.entry.extent) {
            let reason = "count or times of a name are not those of the events";
            return Err(Error::corrupt(Section::Names, self.entry.tree.offset, "T4", reason));
        }
        Ok(())
    }
}
