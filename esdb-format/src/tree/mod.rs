//! The tree of pages that every table and every long list is (spec §4.4): building it in one pass, and finding a key.

mod cursor;

pub(crate) use cursor::TreeCursor;

use std::sync::Arc;

use crate::checksum::checksum;
use crate::codec::{Decoder, Encode};
use crate::error::{Result, Section};
use crate::handle::{Handle, Root};
use crate::page::{Page, PageBuilder};

/// Where finished pages go: takes their bytes, returns their offset.
pub(crate) trait PageSink {
    fn write_page(&mut self, bytes: &[u8]) -> Result<u64>;
}

/// Collects the entries of one leaf.
pub(crate) trait Leaf {
    /// Whether the leaf must be closed before another entry (spec P5).
    fn is_full(&self) -> bool;
    /// The key of the first entry; also directly after [`take`](Self::take).
    fn first_key(&self) -> &[u8];
    /// The leaf's bytes; the builder is empty afterwards.
    fn take(&mut self) -> Result<Vec<u8>>;
}

/// Builds a tree from entries in ascending key order. Pages leave it in post-order, as soon as they are closed.
#[derive(Default)]
pub(crate) struct TreeBuilder<L = PageBuilder> {
    leaf: L,
    entries: u64,
    /// How many of the entries lie before the leaf.
    before: u64,
    /// The pending pages of level 1, 2, …
    upper: Vec<Level>,
}

#[derive(Default)]
struct Level {
    page: PageBuilder,
    /// How many of the tree's leaf entries lie before this page.
    before: u64,
}

impl TreeBuilder {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8], sink: &mut impl PageSink) -> Result<()> {
        self.add_with(sink, |leaf| leaf.add(key, value))
    }
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "levels that it has made itself, and counts of what it was given"
)]
impl<L: Leaf> TreeBuilder<L> {
    /// Of leaves that `leaf` makes.
    pub(crate) fn new(leaf: L) -> Self {
        Self { leaf, entries: 0, before: 0, upper: Vec::new() }
    }

    /// Closes pages that are full, because another entry follows, from the leaf up: each stands directly after the last one below it.
    /// What is written before the next entry, such as a posting list, comes after them.
    pub(crate) fn make_room(&mut self, sink: &mut impl PageSink) -> Result<()> {
        if !self.leaf.is_full() {
            return Ok(());
        }
        self.close_leaf(sink)?;
        let mut level = 1;
        while self.upper.get(level - 1).is_some_and(|pending| pending.page.is_full(level as u8)) {
            self.close(level, sink)?;
            level += 1;
        }
        Ok(())
    }

    fn close_leaf(&mut self, sink: &mut impl PageSink) -> Result<()> {
        let handle = write(&self.leaf.take()?, sink)?;
        let before = std::mem::replace(&mut self.before, self.entries);
        let key = self.leaf.first_key().to_vec();
        self.enter(1, &key, handle, before);
        Ok(())
    }

    /// Writes the pending page of `level`, 1 or more, and enters it in the page above.
    fn close(&mut self, level: usize, sink: &mut impl PageSink) -> Result<()> {
        let end = if level == 1 { self.before } else { self.upper[level - 2].before };
        let pending = &mut self.upper[level - 1];
        let handle = write(&pending.page.take(level as u8), sink)?;
        let before = std::mem::replace(&mut pending.before, end);
        let key = pending.page.first_key().to_vec();
        self.enter(level + 1, &key, handle, before);
        Ok(())
    }

    /// Adds a page that begins with `key` to the pending one of `level`.
    fn enter(&mut self, level: usize, key: &[u8], page: Handle, before: u64) {
        if self.upper.len() < level {
            self.upper.push(Level::default());
        }
        let mut value = Vec::new();
        page.encode(&mut value);
        value.put_varint(before);
        self.upper[level - 1].page.add(key, &value);
    }

    /// Adds the entry that `add` gives to the leaf.
    pub(crate) fn add_with(&mut self, sink: &mut impl PageSink, add: impl FnOnce(&mut L)) -> Result<()> {
        self.make_room(sink)?;
        add(&mut self.leaf);
        self.entries += 1;
        Ok(())
    }

    /// Closes all pages but the root, whose bytes are returned.
    pub(crate) fn finish(mut self, sink: &mut impl PageSink) -> Result<(Vec<u8>, u64)> {
        if self.upper.is_empty() {
            return Ok((self.leaf.take()?, self.entries));
        }
        self.close_leaf(sink)?;
        let root = self.upper.len();
        for level in 1..root {
            self.close(level, sink)?;
        }
        Ok((self.upper[root - 1].page.take(root as u8), self.entries))
    }

    /// Closes all pages, the root too.
    pub(crate) fn finish_with_root(self, sink: &mut impl PageSink) -> Result<Handle> {
        let (root, _) = self.finish(sink)?;
        write(&root, sink)
    }
}

/// Writes a page and returns its handle.
pub(crate) fn write(bytes: &[u8], sink: &mut impl PageSink) -> Result<Handle> {
    let offset = sink.write_page(bytes)?;
    Ok(Handle { offset, len: bytes.len() as u64, checksum: checksum(bytes) })
}

/// Where pages come from: checked, perhaps from a cache.
pub(crate) trait Pages {
    fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>>;
}

impl<T: Pages> Pages for &T {
    fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
        (*self).page(handle, section)
    }
}

impl<T: Pages> Pages for Arc<T> {
    fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
        (**self).page(handle, section)
    }
}

/// A tree in a file.
#[derive(Clone)]
pub(crate) struct Tree<P> {
    pages: P,
    root: Handle,
    entries: u64,
    section: Section,
}

impl<P: Pages> Tree<P> {
    pub(crate) fn new(pages: P, root: Root, section: Section) -> Self {
        Self { pages, root: root.page, entries: root.entries, section }
    }

    /// A tree that knows its number of entries from elsewhere.
    pub(crate) fn of(pages: P, root: Handle, entries: u64, section: Section) -> Self {
        Self { pages, root, entries, section }
    }

    pub(crate) fn cursor(self) -> TreeCursor<P> {
        TreeCursor::new(self)
    }

    /// The entry of `key`.
    pub(crate) fn find(self, key: &[u8]) -> Result<Option<TreeCursor<P>>> {
        let mut cursor = self.cursor();
        let found = cursor.floor(key)? && cursor.key() == key;
        Ok(found.then_some(cursor))
    }

    /// The value of `key`, handed to `decode`.
    pub(crate) fn get<T>(
        self,
        key: &[u8],
        decode: impl FnOnce(Decoder<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.find(key)?.map(|cursor| decode(cursor.value())).transpose()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::codec::key64;
    use crate::codecs::Codecs;
    use crate::compression::Codec;
    use crate::page::PageCursor;

    #[derive(Default)]
    pub(crate) struct Memory(Vec<u8>);

    impl PageSink for Memory {
        fn write_page(&mut self, bytes: &[u8]) -> Result<u64> {
            let offset = self.0.len() as u64;
            self.0.extend_from_slice(bytes);
            Ok(offset)
        }
    }

    impl Pages for Memory {
        fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
            let bytes = &self.0[handle.offset as usize..handle.end().unwrap() as usize];
            assert_eq!(checksum(bytes), handle.checksum);
            let codecs = Codecs::new(Codec::None, true);
            Ok(Arc::new(Page::decode(bytes.to_vec(), handle.offset, section, &codecs)?))
        }
    }

    fn tree(count: u64, value: &[u8]) -> (Memory, Root) {
        let (mut sink, mut builder) = (Memory::default(), TreeBuilder::default());
        for i in 0..count {
            builder.add(&key64(i * 2), value, &mut sink).unwrap();
        }
        let (root, entries) = builder.finish(&mut sink).unwrap();
        let page = write(&root, &mut sink).unwrap();
        (sink, Root { page, entries })
    }

    #[test]
    fn every_entry_is_found_by_key_and_by_position() {
        for (count, value) in
            [(0, &b"v"[..]), (1, b"v"), (500, b"v"), (30_000, b"some longer value"), (300, &[7; 9000])]
        {
            let (memory, root) = tree(count, value);
            let mut cursor = Tree::new(&memory, root, Section::Blocks).cursor();
            for i in 0..count {
                assert!(cursor.next().unwrap());
                assert_eq!(cursor.key(), key64(i * 2));
                assert_eq!(cursor.position(), i);
                assert_eq!(cursor.value().rest(), value);
            }
            assert!(!cursor.next().unwrap());
            for i in (0..count).rev().step_by(7) {
                assert!(cursor.floor(&key64(i * 2 + 1)).unwrap());
                assert_eq!(cursor.position(), i);
                assert!(cursor.seek(&key64(i * 2)).unwrap());
                assert_eq!(cursor.position(), i);
                assert!(cursor.go_to(i).unwrap());
                assert_eq!(cursor.key(), key64(i * 2));
            }
            assert!(!cursor.go_to(count).unwrap());
        }
    }

    #[test]
    fn floors_do_not_depend_on_where_the_cursor_was() {
        for (count, value) in [(1, &b"v"[..]), (30_000, b"some longer value"), (900, &[7; 3000])] {
            let (memory, root) = tree(count, value);
            let mut cursor = Tree::new(&memory, root, Section::Blocks).cursor();
            let mut near = 0_u64;
            for i in 0..4_000_u64 {
                let far = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
                near = if i % 5 == 0 { far } else { near + far % 90 } % (2 * count + 3);
                assert!(cursor.floor(&key64(near)).unwrap());
                assert_eq!(cursor.position(), (near / 2).min(count - 1), "{near} of {count}");
                assert_eq!(cursor.key(), key64(cursor.position() * 2));
                if i % 7 == 0 {
                    assert!(!cursor.floor(b"").unwrap());
                }
            }
        }
    }

    #[test]
    fn partition_finds_the_border() {
        let (memory, root) = tree(10_000, b"v");
        for border in [0, 1, 17, 9_999, 10_000] {
            let mut cursor = Tree::new(&memory, root, Section::Blocks).cursor();
            let found =
                cursor.partition(0..10_000, |cursor| Ok(cursor.key() < &key64(border * 2)[..])).unwrap();
            assert_eq!(found, border);
        }
    }

    /// A page of two children of two entries each, that states `before` of them.
    fn forged(before: [u64; 2], level: u8, entries: u64) -> (Memory, Root) {
        let mut memory = Memory::default();
        let mut parent = PageBuilder::default();
        for (number, before) in (0..).zip(before) {
            let mut child = PageBuilder::default();
            child.add(&key64(number * 10), b"v");
            child.add(&key64(number * 10 + 1), b"v");
            let mut value = Vec::new();
            write(&child.take(level), &mut memory).unwrap().encode(&mut value);
            value.put_varint(before);
            parent.add(&key64(number * 10), &value);
        }
        let page = write(&parent.take(1), &mut memory).unwrap();
        (memory, Root { page, entries })
    }

    #[test]
    fn pages_that_lead_astray_end_a_move() {
        let moves = |before, level, entries| {
            let (memory, root) = forged(before, level, entries);
            let cursor = || Tree::new(&memory, root, Section::Blocks).cursor();
            let rule =
                |result: Result<bool>| result.err().and_then(|error| error.problem().map(|found| found.rule));
            (rule(cursor().go_to(0)), rule(cursor().floor(&key64(11))), rule(cursor().go_to(3)))
        };
        assert_eq!(moves([0, 2], 0, 4), (None, None, None));
        assert_eq!(moves([1, 2], 0, 4), (Some("P3"), None, None));
        assert_eq!(moves([0, 4], 0, 4), (None, Some("P3"), Some("P3")));
        assert_eq!(moves([0, 2], 0, 3), (None, Some("P3"), None));
        assert_eq!(moves([0, 2], 1, 4), (Some("P3"), Some("P3"), Some("P3")));
        assert_eq!(moves([0, 2], 0, 5).2, None);
    }

    /// A page of two pages like [`forged`]'s, of four entries each, the second of which states `before` of its second child.
    #[test]
    fn pages_below_one_begin_where_it_does_or_later() {
        let floor = |before: u64| {
            let (mut memory, mut root) = (Memory::default(), PageBuilder::default());
            for page in 0..2 {
                let mut parent = PageBuilder::default();
                for (child, before) in (0..).zip([page * 4, if page == 0 { 2 } else { before }]) {
                    let first = page * 100 + child * 10;
                    let mut leaf = PageBuilder::default();
                    leaf.add(&key64(first), b"v");
                    leaf.add(&key64(first + 1), b"v");
                    let mut value = Vec::new();
                    write(&leaf.take(0), &mut memory).unwrap().encode(&mut value);
                    value.put_varint(before);
                    parent.add(&key64(first), &value);
                }
                let mut value = Vec::new();
                write(&parent.take(1), &mut memory).unwrap().encode(&mut value);
                value.put_varint(page * 4);
                root.add(&key64(page * 100), &value);
            }
            let page = write(&root.take(2), &mut memory).unwrap();
            let mut cursor = Tree::new(&memory, Root { page, entries: 8 }, Section::Blocks).cursor();
            let found = cursor.floor(&key64(111));
            found.map(|_| cursor.position()).map_err(|error| error.problem().map(|problem| problem.rule))
        };
        assert_eq!(floor(6), Ok(7));
        for before in [0, 3, 8, 9] {
            assert_eq!(floor(before), Err(Some("P3")), "{before}");
        }
    }

    #[test]
    fn oversized_keys_still_make_a_tree() {
        let (mut sink, mut builder) = (Memory::default(), TreeBuilder::default());
        let keys: Vec<Vec<u8>> = (0..40_u8).map(|i| [vec![7; 65_000], vec![i]].concat()).collect();
        for key in &keys {
            builder.add(key, b"", &mut sink).unwrap();
        }
        let (root, entries) = builder.finish(&mut sink).unwrap();
        let page = write(&root, &mut sink).unwrap();
        let mut cursor = Tree::new(&sink, Root { page, entries }, Section::Names).cursor();
        for key in &keys {
            assert!(cursor.next().unwrap());
            assert_eq!(cursor.key(), key);
        }
    }

    /// Asserts that the pages below a page, and what stands before a leaf's entries, follow one another; returns where they end.
    fn assert_post_order(memory: &Memory, handle: &Handle, start: u64) -> u64 {
        let mut cursor = PageCursor::new(memory.page(handle, Section::Blocks).unwrap());
        let mut end = start;
        while cursor.next().unwrap() {
            end = match cursor.page().level() {
                // The value says how many bytes stand before the entry.
                0 => end + u64::from(cursor.value().u8("P4").unwrap()),
                _ => assert_post_order(memory, &Handle::decode(&mut cursor.value()).unwrap(), end),
            };
        }
        assert_eq!(handle.offset, end, "page of level {}", cursor.page().level());
        handle.end().unwrap()
    }

    #[test]
    fn pages_stand_in_post_order() {
        // Of two, three and more levels; with and without something before each entry.
        for (count, value_len) in [(3_000, 9), (40_000, 200), (70, 9_000), (700, 9_000)] {
            for before in [0, 3] {
                let (mut sink, mut builder) = (Memory::default(), TreeBuilder::default());
                // Long keys make the upper pages full soon.
                let key = |i: u64| {
                    [&key64(i)[..], &[7; 5_000][..if value_len == 9_000 { 5_000 } else { 0 }]].concat()
                };
                for i in 0..count {
                    builder.make_room(&mut sink).unwrap();
                    sink.0.extend_from_slice(&[9; 3][..before]);
                    builder.add(&key(i), &vec![before as u8; value_len], &mut sink).unwrap();
                }
                let root = builder.finish_with_root(&mut sink).unwrap();
                assert_eq!(assert_post_order(&sink, &root, 0), sink.0.len() as u64);
            }
        }
    }
}
