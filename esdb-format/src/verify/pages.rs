//! Walking through the pages of all trees, in the order in which they stand in the file.

use std::sync::Arc;

use crate::error::{Error, Result, Section};
use crate::handle::Handle;
use crate::page::{Page, PageCursor};
use crate::postings::List;
use crate::tables::{BlockEntry, NameEntry, ValueEntry};
use crate::time_order::TimeFrame;

use super::Walk;

impl Walk<'_> {
    /// The pages of all trees, in the order in which they stand in the file.
    pub(super) fn trees(&mut self) {
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
            *size = self.at.saturating_sub(mark).saturating_add(root.page.len);
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
                let page = Arc::new(self.file.read_page(&handle, section)?);
                check_page(&page, path.last(), entries)?;
                path.push(OpenPage { handle, stated_key, cursor: PageCursor::new(page) });
            }
            let Some(open) = path.last_mut() else { break };
            if !open.cursor.next()? {
                let handle = open.handle;
                path.pop();
                if !(root_is_apart && path.is_empty()) {
                    self.own_page(section, &handle)?;
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
                seen = seen.saturating_add(1);
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

    /// A page out of its place ends the walk through its tree: pages that are shared could be walked through for ever.
    fn own_page(&mut self, section: Section, handle: &Handle) -> Result<()> {
        if handle.offset != self.at {
            let reason = format!("it should begin at byte {}", self.at);
            return Err(Error::corrupt(section, handle.offset, "F1", reason));
        }
        self.own(section, handle.offset, handle.len);
        Ok(())
    }

    /// Decodes a leaf entry, and walks through what it points at.
    fn entry(&mut self, section: Section, cursor: &PageCursor) -> Result<()> {
        match section {
            Section::Names => {
                let entry = NameEntry::decode(cursor.value())?;
                self.seen.names = self.seen.names.saturating_add(1);
                self.seen.values = self.seen.values.saturating_add(entry.values);
                self.seen.entries = self.seen.entries.saturating_add(entry.extent.count);
                self.pages(Section::Values, &entry.tree, entry.values, false)
            }
            Section::Values => {
                let entry = ValueEntry::decode(cursor.value())?;
                match entry.list {
                    List::Tree { root, frames, .. } => self.pages(Section::Postings, &root, frames, false),
                    List::Inline(_) => Ok(()),
                }
            }
            Section::TimeOrder => match TimeFrame::decode(cursor.value())?.is_tight() {
                true => Ok(()),
                false => Err(cursor.value().corrupt("T7", "a base without events")),
            },
            Section::Spaces | Section::Groupings => cursor.row().map(drop),
            Section::Blocks => BlockEntry::decode(cursor.key(), cursor.value()).map(drop),
            _ => Ok(()),
        }
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
        && Some(page.level()) != parent.level().checked_sub(1)
    {
        return Err(page
            .corrupt("P3", format!("page of level {} below one of level {}", page.level(), parent.level())));
    }
    if page.count() == 0 && (entries > 0 || page.level() > 0) {
        return Err(page.corrupt("P4", "page without entries"));
    }
    Ok(())
}
