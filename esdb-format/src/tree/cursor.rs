//! Moving about in a tree: to a key, to a number, to the next entry.

use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::page::PageCursor;

use super::{Pages, Tree};

/// A place in a tree. Each move says whether it found an entry; only then key, value and position may be asked.
#[derive(Clone)]
pub(crate) struct TreeCursor<P> {
    tree: Tree<P>,
    /// From the root to the leaf.
    path: Vec<Step>,
}

/// A page on the way to an entry.
#[derive(Clone)]
struct Step {
    /// At the entry that leads on.
    cursor: PageCursor,
    /// How many entries of the tree's leaves lie before this page.
    first: u64,
}

impl<P: Pages> TreeCursor<P> {
    pub(super) fn new(tree: Tree<P>) -> Self {
        Self { tree, path: Vec::new() }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.tree.entries
    }

    /// The last step. There is one after every successful move.
    #[expect(clippy::unwrap_used, reason = "each move that succeeds leaves a path")]
    fn last(&self) -> &Step {
        self.path.last().unwrap()
    }

    /// The leaf's cursor, after a successful move.
    pub(crate) fn leaf(&self) -> &PageCursor {
        &self.last().cursor
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.leaf().key()
    }

    pub(crate) fn value(&self) -> Decoder<'_> {
        self.leaf().value()
    }

    /// The number of the entry in the whole tree.
    pub(crate) fn position(&self) -> u64 {
        self.last().first.saturating_add(self.leaf().index() as u64)
    }

    fn enter_root(&mut self) -> Result<()> {
        if self.path.is_empty() {
            let page = self.tree.pages.page(&self.tree.root, self.tree.section)?;
            if page.count() == 0 && (page.level() > 0 || self.tree.entries > 0) {
                return Err(page.corrupt("P4", "page without entries"));
            }
            self.path.push(Step { cursor: PageCursor::new(page), first: 0 });
        }
        Ok(())
    }

    /// Loads the page that the last step points at.
    fn descend(&mut self) -> Result<()> {
        let Step { cursor: parent, first } = self.last();
        let mut value = parent.value();
        let handle = Handle::decode(&mut value)?;
        let before = value.varint("P4")?;
        value.finish("P4")?;
        let page = self.tree.pages.page(&handle, self.tree.section)?;
        if Some(page.level()) != parent.page().level().checked_sub(1) {
            let reason =
                format!("page of level {} below one of level {}", page.level(), parent.page().level());
            return Err(page.corrupt("P3", reason));
        }
        if page.count() == 0 {
            return Err(page.corrupt("P4", "page without entries"));
        }
        let is_first = parent.index() == 0;
        if before >= self.tree.entries || before < *first || (is_first && before != *first) {
            return Err(page.corrupt("P3", format!("{before} entries before it are not possible")));
        }
        self.path.push(Step { cursor: PageCursor::new(page), first: before });
        Ok(())
    }

    /// Moves to the last entry whose key is not greater than `key`. Cheaper near the entry that it was at.
    pub(crate) fn floor(&mut self, key: &[u8]) -> Result<bool> {
        self.enter_root()?;
        let mut depth = 0;
        while let Some(Step { cursor, .. }) = self.path.get_mut(depth) {
            depth = depth.saturating_add(1);
            let place = cursor.place();
            let found = cursor.floor(key);
            let (is_leaf, stays) = (cursor.page().level() == 0, place.is_some() && cursor.place() == place);
            // The pages below lead to the entry that this one was at.
            if !stays || !matches!(found, Ok(true)) {
                self.path.truncate(depth);
            }
            if !found? {
                // A page below the root begins with the key that led to it.
                return if depth == 1 { Ok(false) } else { Err(self.misplaced()) };
            }
            if is_leaf {
                break;
            }
            if self.path.len() == depth {
                self.descend()?;
            }
        }
        self.check_position().map(|()| true)
    }

    /// The tree has as many entries as it states.
    fn check_position(&self) -> Result<()> {
        if self.position() < self.tree.entries {
            return Ok(());
        }
        let reason = format!("entry {} of a tree of {}", self.position(), self.tree.entries);
        Err(self.leaf().page().corrupt("P3", reason))
    }

    fn misplaced(&self) -> Error {
        self.leaf().page().corrupt("P2", "first key is not the one its parent states")
    }

    /// Moves to the first entry whose key is not less than `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        if !self.floor(key)? {
            return self.go_to(0);
        }
        if self.key() == key { Ok(true) } else { self.next() }
    }

    /// Moves to the entry with number `position`; false if there are not so many.
    pub(crate) fn go_to(&mut self, position: u64) -> Result<bool> {
        if position >= self.tree.entries {
            return Ok(false);
        }
        if let Some(Step { cursor: leaf, first }) = self.path.last_mut() {
            let held = *first..first.saturating_add(leaf.page().count() as u64);
            if leaf.page().level() == 0 && held.contains(&position) {
                leaf.go_to(position.saturating_sub(*first) as usize)?;
                return Ok(true);
            }
        }
        self.path.truncate(1);
        self.enter_root()?;
        while let Some(Step { cursor: page, first }) = self.path.last_mut() {
            let count = page.page().count();
            if page.page().level() == 0 {
                let index = position.checked_sub(*first).filter(|&index| index < count as u64);
                let Some(index) = index else { break };
                page.go_to(index as usize)?;
                return Ok(true);
            }
            // The last child that begins at or before the position.
            let (mut low, mut high) = (0, count);
            while high.saturating_sub(low) > 1 {
                let middle = low.midpoint(high);
                page.go_to(middle)?;
                if entries_before(page)? <= position { low = middle } else { high = middle }
            }
            page.go_to(low)?;
            self.descend()?;
        }
        let offset = self.path.last().map_or(self.tree.root.offset, |step| step.cursor.page().offset());
        Err(Error::corrupt(self.tree.section, offset, "P3", format!("no entry {position} in the tree")))
    }

    /// Moves to the next entry, or to the first if there was no move before.
    pub(crate) fn next(&mut self) -> Result<bool> {
        let Some(Step { cursor: leaf, .. }) = self.path.last_mut() else { return self.go_to(0) };
        if leaf.next()? {
            return self.check_position().map(|()| true);
        }
        self.go_to(self.position().saturating_add(1))
    }

    /// The first position in `range` whose entry does not satisfy `before`, which holds for a prefix of the range.
    pub(crate) fn partition(
        &mut self,
        range: std::ops::Range<u64>,
        mut before: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<u64> {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low.midpoint(high);
            if !self.go_to(middle)? {
                return Err(Error::corrupt(
                    self.tree.section,
                    self.tree.root.offset,
                    "P3",
                    format!("no entry {middle}"),
                ));
            }
            if before(self)? { low = middle.saturating_add(1) } else { high = middle }
        }
        Ok(low)
    }
}

/// How many leaf entries lie before the child that the cursor points at.
fn entries_before(cursor: &PageCursor) -> Result<u64> {
    let mut value = cursor.value();
    Handle::decode(&mut value)?;
    value.varint("P4")
}
