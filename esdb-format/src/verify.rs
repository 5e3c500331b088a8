//! Proving a file whole: checksums, the ownership of every byte, and whether everything derived is true.

use std::sync::Arc;

use crate::block::{Block, Head, read_block};
use crate::checksum::check;
use crate::codec::{Decoder, from_key64};
use crate::derive::{Deriver, Tables};
use crate::dictionary::Dictionary;
use crate::digest::ContentDigest;
use crate::error::{Error, Result, Section};
use crate::event::Event;
use crate::facts::Statistics;
use crate::file::OpenFile;
use crate::footer::Footer;
use crate::handle::{Handle, Root};
use crate::header::Header;
use crate::index_lists::{IndexLists, ListPart};
use crate::packed::FRAME;
use crate::page::{Page, PageCursor};
use crate::postings::List;
use crate::reader::Reader;
use crate::source::read;
use crate::spool::Spool;
use crate::tables::{BlockEntry, Extent, NameEntry, ValueEntry};
use crate::time_order::TimeFrame;
use crate::tree::{Tree, TreeCursor};

/// How many damaged places are named.
const MOST_PROBLEMS: usize = 100;

/// Memory for what is derived again, in bytes.
const MEMORY: usize = 64 << 20;

/// How much [`Reader::verify`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyLevel {
    /// Header, tail and all pages of the tables and lists. No event is read.
    Quick,
    /// Every checksum, the file digest, and that every byte belongs to exactly one part of the file.
    Checksums,
    /// Also every column and frame decoded, and order, counts, time ranges, posting lists, time order, tables, statistics and the content digest
    /// worked out again from the events.
    Deep,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// The first 100 problems, in the order in which the file was walked through.
    pub problems: Vec<Error>,
    /// How many there are in all.
    pub problem_count: u64,
    /// Sections of a later release: their checksum is right, their content was not understood.
    pub unknown_sections: u64,
    /// Bytes of the file that were read and found right.
    pub bytes_checked: u64,
}

impl Verified {
    /// Whether nothing was found.
    pub fn is_ok(&self) -> bool {
        self.problem_count == 0
    }

    fn note(&mut self, error: Error) {
        self.problem_count += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(error);
        }
    }

    /// The value, or `None` after noting the error.
    fn ok<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(error);
                None
            }
        }
    }
}

impl Reader {
    /// Checks the file, and goes on after damage to name every damaged place.
    ///
    /// Cost: [`VerifyLevel::Checksums`] reads every byte twice, once for the digest; [`VerifyLevel::Deep`] decodes everything and sorts
    /// what it derives, in at most about 64 MiB of memory beside the system's temporary folder.
    pub fn verify(&self, level: VerifyLevel) -> Verified {
        let mut walk = Walk {
            file: &self.file,
            level,
            found: Verified::default(),
            at: 0,
            seen: Statistics::default(),
            derived: None,
        };
        walk.run();
        walk.found
    }
}

/// A walk through the file from its first byte to its last: every part must begin where the one before it ended.
struct Walk<'a> {
    file: &'a Arc<OpenFile>,
    level: VerifyLevel,
    found: Verified,
    /// The end of the part before.
    at: u64,
    seen: Statistics,
    /// What all events say, if all blocks were whole.
    derived: Option<Derived>,
}

/// What the events themselves say.
struct Derived {
    deriver: Deriver,
    content: ContentDigest,
}

impl Walk<'_> {
    fn run(&mut self) {
        self.header();
        self.dictionary();
        if self.level == VerifyLevel::Quick {
            self.skip_blocks();
        } else {
            self.blocks();
        }
        self.dictionary();
        self.trees();
        self.extra_sections();
        self.facts();
        let footer_at = self.file.footer.file_len - Footer::SIZE as u64;
        self.own(Section::Footer, footer_at, Footer::SIZE as u64);
        if self.level > VerifyLevel::Quick {
            self.file_digest();
        }
        if let Some(derived) = self.derived.take() {
            let result = self.compare(derived);
            self.found.ok(result);
        }
    }

    /// Notes that a part stands at `offset`; it must begin where the last one ended.
    fn own(&mut self, section: Section, offset: u64, len: u64) {
        if offset != self.at {
            let reason = format!("it should begin at byte {}", self.at);
            self.found.note(Error::corrupt(section, offset, "F1", reason));
        }
        self.at = offset.saturating_add(len);
        self.found.bytes_checked += len;
    }

    fn header(&mut self) {
        let header = || -> Result<()> {
            let bytes = read(self.file.source(), 0, Header::SIZE as u64, Section::Header, "H1")?;
            let header = Header::decode(&bytes)?;
            let footer = &self.file.footer;
            if (header.layout, header.checksum) != (footer.layout, footer.header_checksum) {
                return Err(Error::corrupt(
                    Section::Header,
                    0,
                    "F4",
                    "it is not the header that the footer states",
                ));
            }
            Ok(())
        };
        let result = header();
        self.found.ok(result);
        self.own(Section::Header, 0, Header::SIZE as u64);
    }

    fn dictionary(&mut self) {
        if self.file.footer.layout.dictionary_len == 0 {
            return;
        }
        let at = self.at;
        let dictionary = self.file.read_dictionary(at);
        match self.found.ok(dictionary) {
            Some(dictionary) => self.own(Section::Dictionary, at, dictionary.section_len() as u64),
            // Where the next part begins can still be learnt from the head, if that is whole.
            None => self.at += Dictionary::stored_len(self.file.source(), at).unwrap_or(0),
        }
    }

    /// Takes the blocks table's word for where the blocks end.
    fn skip_blocks(&mut self) {
        let mut cursor = self.file.blocks().cursor();
        let last = cursor.entries().checked_sub(1);
        let Some(last) = last else { return };
        let entry = cursor.go_to(last).and_then(|_| BlockEntry::decode(cursor.key(), cursor.value()));
        if let Some(entry) = self.found.ok(entry) {
            self.at = entry.handle.end().unwrap_or(self.at);
        }
    }

    fn blocks(&mut self) {
        let mut cursor = self.file.blocks().cursor();
        let mut derived = (self.level == VerifyLevel::Deep).then(|| Derived {
            deriver: Deriver::new(MEMORY, &std::env::temp_dir()),
            content: ContentDigest::new(self.file.footer.layout.unit),
        });
        let (mut ordinal, mut last) = (0, None);
        loop {
            let entry = match cursor.next() {
                Ok(true) => BlockEntry::decode(cursor.key(), cursor.value()),
                Ok(false) => break,
                Err(error) => Err(error),
            };
            let Ok(entry) = entry else {
                // The walk through the table's own pages will name the place.
                self.find_blocks_by_themselves(ordinal);
                derived = None;
                break;
            };
            if entry.first_ordinal != ordinal {
                let reason = format!("first ordinal is {}, {ordinal} expected", entry.first_ordinal);
                self.found.note(Error::corrupt(Section::Blocks, entry.handle.offset, "B2", reason));
            }
            self.own(Section::Block, entry.handle.offset, entry.handle.len);
            let block = self.block(&entry);
            ordinal = entry.first_ordinal;
            match self.found.ok(block) {
                Some(block) => {
                    ordinal = block.head().end_ordinal();
                    if let Some(into) = &mut derived {
                        let result = self.events(&block, &entry, &mut last, into);
                        if self.found.ok(result).is_none() {
                            derived = None;
                        }
                    }
                }
                None => {
                    derived = None;
                    // What the next entry states is the best there is.
                    let position = cursor.position();
                    if let Ok(true) = cursor.go_to(position + 1) {
                        ordinal = from_key64(cursor.key()).unwrap_or(ordinal);
                        let _ = cursor.go_to(position);
                    } else {
                        ordinal = self.file.footer.events;
                    }
                }
            }
        }
        if ordinal != self.file.footer.events {
            let reason =
                format!("the blocks hold {ordinal} events, the footer states {}", self.file.footer.events);
            self.found.note(Error::corrupt(Section::Footer, self.footer_offset(), "F5", reason));
        }
        self.derived = derived;
    }

    /// Walks on from block to block by their heads, without the table.
    fn find_blocks_by_themselves(&mut self, mut ordinal: u64) {
        while ordinal < self.file.footer.events {
            let (source, layout) = (self.file.source(), &self.file.footer.layout);
            let block = read_block(source, self.at, None, layout, self.file.codecs());
            let Some(block) = self.found.ok(block) else { return };
            self.at += block.head().block_len();
            ordinal = block.head().end_ordinal();
        }
    }

    fn footer_offset(&self) -> u64 {
        self.file.footer.file_len - Footer::SIZE as u64
    }

    /// Reads a block and compares the checksums of its frames.
    fn block(&mut self, entry: &BlockEntry) -> Result<Arc<Block>> {
        let block = self.file.read_block(entry)?;
        let head: &Head = block.head();
        let payload = block.payload()?;
        self.seen.blocks += 1;
        self.seen.frames += payload.frames().len() as u64;
        self.seen.frame_bytes += head.payload_len;
        self.seen.column_bytes += head.block_len() - head.payload_len;
        self.seen.data_bytes += payload.data_len() as u64;
        let stored = read(self.file.source(), head.payload_offset(), head.payload_len, Section::Frame, "B7")?;
        let mut rest = stored.as_slice();
        for frame in payload.frames() {
            let (bytes, after) = rest.split_at(frame.len);
            let result = check(frame.checksum, bytes, Section::Frame, frame.offset, "B11");
            self.found.ok(result);
            rest = after;
        }
        Ok(block)
    }

    /// Decodes the events of a block, compares them with the ones before, and derives from them.
    fn events(
        &mut self,
        block: &Arc<Block>,
        entry: &BlockEntry,
        last: &mut Option<(Vec<u8>, Vec<u8>, i64)>,
        into: &mut Derived,
    ) -> Result<()> {
        let offset = block.head().offset;
        let wrong = |rule, reason: String| Err(Error::corrupt(Section::Block, offset, rule, reason));
        let (times, payload, indexes) = (block.times()?, block.payload()?, block.indexes()?);
        for (number, column) in indexes.columns().iter().enumerate() {
            let mut used = vec![false; column.value_count()];
            column.for_each_in(0..block.rows(), |_, place| used[place as usize] = true);
            if used.contains(&false) {
                return wrong("B8", format!("a value of index column {number} has no event"));
            }
        }
        let range = (times.iter().min().copied(), times.iter().max().copied());
        if range != (Some(entry.first), Some(entry.last)) {
            return wrong("T1", format!("times are {range:?}, the blocks table states others"));
        }
        let (mut stored, mut data, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (number, frame) in payload.frames().iter().enumerate() {
            self.file.unpack_frame(frame, &mut stored, &mut data)?;
            for row in payload.frame_rows(number) {
                let (space, grouping) = block.keys_of(row);
                let key = (space, grouping, times[row]);
                let before = last.as_ref().map(|(space, grouping, time)| (&space[..], &grouping[..], *time));
                if before.is_some_and(|before| before > key) {
                    return wrong("B5", format!("event {row} comes before the one before it"));
                }
                if before.is_none_or(|before| (before.0, before.1) != (space, grouping)) {
                    *last = Some((space.to_vec(), grouping.to_vec(), times[row]));
                } else if let Some(last) = last {
                    last.2 = times[row];
                }
                let pairs: Vec<_> = indexes.pairs(row).collect();
                let data = &data[payload.range_in(number, row)];
                into.content.add(space, grouping, times[row], pairs.len(), pairs.iter().copied(), data);
                let event = Event { space, grouping, timestamp: times[row], indexes: pairs, data };
                into.deriver.enter(&event)?;
                numbers.clear();
                numbers
                    .extend(event.indexes.iter().map(|(name, value)| into.deriver.lists.number(name, value)));
                into.deriver.add(times[row], &numbers)?;
            }
        }
        into.deriver.relieve()
    }

    /// The pages of all trees, in the order in which they stand in the file.
    fn trees(&mut self) {
        let roots = self.file.footer.roots;
        let start = self.at;
        let mut sizes = [0; 5];
        let mut mark = start;
        let trees = [
            (Section::TimeOrder, roots.time_order),
            (Section::Names, roots.names),
            (Section::Spaces, roots.spaces),
            (Section::Groupings, roots.groupings),
            (Section::Blocks, roots.blocks),
        ];
        for (size, (section, root)) in sizes.iter_mut().zip(trees) {
            let result = self.pages(section, &root.page, root.entries, true);
            self.found.ok(result);
            *size = self.at.saturating_sub(mark) + root.page.len;
            mark = self.at;
        }
        for (section, root) in trees {
            self.own(section, root.page.offset, root.page.len);
        }
        let seen = &mut self.seen;
        [seen.time_order_bytes, seen.index_bytes, seen.space_bytes, seen.grouping_bytes, seen.block_bytes] =
            sizes;
    }

    /// All pages below a root, in post-order, with what their entries point at; then, unless it stands with the other
    /// roots, the root itself.
    fn pages(&mut self, section: Section, root: &Handle, entries: u64, root_is_apart: bool) -> Result<()> {
        let mut path: Vec<OpenPage> = Vec::new();
        let mut below = Some((*root, None));
        let mut last_key: Option<Vec<u8>> = None;
        let mut seen = 0;
        while below.is_some() || !path.is_empty() {
            if let Some((handle, stated_key)) = below.take() {
                let page = self.file.read_page(&handle, section)?;
                check_page(&page, path.last(), entries)?;
                path.push(OpenPage { handle, stated_key, cursor: PageCursor::new(page) });
            }
            let Some(open) = path.last_mut() else { break };
            if !open.cursor.next()? {
                let handle = open.handle;
                path.pop();
                if !(root_is_apart && path.is_empty()) {
                    self.own(section, handle.offset, handle.len);
                }
                continue;
            }
            let page = Arc::clone(open.cursor.page());
            let key = open.cursor.key().to_vec();
            if open.stated_key.take().is_some_and(|stated| stated != key) {
                return Err(page.corrupt("P2", "first key is not the one its parent states"));
            }
            if page.level() > 0 {
                let mut value = open.cursor.value();
                let handle = Handle::decode(&mut value)?;
                let before = value.varint("P4")?;
                value.finish("P4")?;
                if before != seen {
                    return Err(
                        page.corrupt("P3", format!("{before} entries stated before a page, {seen} found"))
                    );
                }
                below = Some((handle, Some(key)));
            } else {
                if last_key.replace(key).is_some_and(|last| last.as_slice() >= open.cursor.key()) {
                    return Err(page.corrupt("P2", "keys do not ascend from page to page"));
                }
                seen += 1;
                let cursor = open.cursor.clone();
                self.entry(section, &cursor)?;
            }
        }
        if seen != entries {
            let reason = format!("{entries} entries stated, {seen} found");
            return Err(Error::corrupt(section, root.offset, "P3", reason));
        }
        Ok(())
    }

    /// What a leaf entry of the index points at.
    fn entry(&mut self, section: Section, cursor: &PageCursor) -> Result<()> {
        match section {
            Section::Names => {
                let entry = NameEntry::decode(cursor.value())?;
                self.seen.names += 1;
                self.seen.values += entry.values;
                self.seen.entries += entry.extent.count;
                self.pages(Section::Values, &entry.tree, entry.values, false)
            }
            Section::Values => {
                let entry = ValueEntry::decode(cursor.value())?;
                match entry.list {
                    List::Tree { root, count } => {
                        let frames = count.div_ceil(FRAME as u64);
                        self.pages(Section::Postings, &root, frames, false)
                    }
                    List::Inline(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn extra_sections(&mut self) {
        for section in self.file.facts.extra.clone() {
            let Handle { offset, len, checksum } = section.handle;
            let result = read(self.file.source(), offset, len, Section::Extra, "X4")
                .and_then(|bytes| check(checksum, &bytes, Section::Extra, offset, "X4"));
            self.found.ok(result);
            self.found.unknown_sections += 1;
            self.own(Section::Extra, offset, len);
        }
    }

    fn facts(&mut self) {
        let facts = self.file.footer.facts;
        self.own(Section::Facts, facts.offset, facts.len);
    }

    fn file_digest(&mut self) {
        let mut hasher = blake3::Hasher::new();
        let end = self.footer_offset() + Footer::DIGESTED as u64;
        let mut at = 0;
        while at < end {
            let len = (end - at).min(1 << 20);
            let Some(bytes) = self.found.ok(read(self.file.source(), at, len, Section::File, "G1")) else {
                return;
            };
            hasher.update(&bytes);
            at += len;
        }
        if hasher.finalize() != self.file.footer.file_digest {
            self.found.note(Error::corrupt(
                Section::File,
                0,
                "G1",
                "the file digest is not that of the bytes",
            ));
        }
    }

    /// Compares what the events say with what is stored.
    fn compare(&mut self, derived: Derived) -> Result<()> {
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
        let mut expected = expected.into_reader()?;
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
            let same = match section {
                Section::TimeOrder => {
                    let mine = Decoder::new(&value, stored.offset(), section);
                    TimeFrame::decode(stored.clone())? == TimeFrame::decode(mine)?
                }
                _ => stored.clone().rest() == value,
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
        lists.for_each(|wanted_name, wanted_value, parts| {
            if name.as_ref().is_none_or(|name| name.key != wanted_name) {
                if let Some(finished) = name.take() {
                    finished.finish()?;
                }
                name = Some(OpenName::next(file, &mut names, wanted_name)?);
            }
            match &mut name {
                Some(name) => name.compare(file, wanted_value, parts),
                None => Ok(()),
            }
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

/// A page that is being walked through.
struct OpenPage {
    handle: Handle,
    /// The first key as the page above states it, until it is compared.
    stated_key: Option<Vec<u8>>,
    cursor: PageCursor,
}

fn check_page(page: &Arc<Page>, parent: Option<&OpenPage>, entries: u64) -> Result<()> {
    page.check_shape()?;
    if let Some(parent) = parent.map(|parent| parent.cursor.page())
        && page.level() + 1 != parent.level()
    {
        return Err(page
            .corrupt("P3", format!("page of level {} below one of level {}", page.level(), parent.level())));
    }
    if page.count() == 0 && (entries > 0 || page.level() > 0) {
        return Err(page.corrupt("P4", "page without entries"));
    }
    Ok(())
}

/// An index name whose values are being compared.
struct OpenName {
    key: Vec<u8>,
    entry: NameEntry,
    values: TreeCursor<Arc<OpenFile>>,
    /// Of the values compared so far.
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
        Ok(Self { key: wanted.to_vec(), entry, values, extent: None })
    }

    fn compare(&mut self, file: &Arc<OpenFile>, wanted: &[u8], parts: &[ListPart<'_>]) -> Result<()> {
        if !self.values.next()? || self.values.key() != wanted {
            let reason = "a value is missing, or not that of any event";
            return Err(Error::corrupt(Section::Values, self.entry.tree.offset, "T4", reason));
        }
        let entry = ValueEntry::decode(self.values.value())?;
        let mut extent = None;
        parts.iter().for_each(|part| part.extent.join_into(&mut extent));
        if extent != Some(entry.extent) {
            return Err(self.values.value().corrupt("T4", "count or times are not those of the events"));
        }
        let (mut list, mut position) = (entry.list.cursor(file), 0);
        for part in parts {
            part.for_each(|time_number| {
                if list.get(position)? != time_number {
                    return Err(self
                        .values
                        .value()
                        .corrupt("T5", format!("entry {position} of the posting list is wrong")));
                }
                position += 1;
                Ok(())
            })?;
        }
        entry.extent.join_into(&mut self.extent);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
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
