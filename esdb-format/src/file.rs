//! An open file: its footer, and checked access to pages, blocks and frames through one cache.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::block::{Block, read_block};
use crate::checksum::check;
use crate::codecs::{Codecs, FrameAt};
use crate::compression::Codec;
use crate::dictionary::Dictionary;
use crate::error::{Error, Result, Section};
use crate::facts::Facts;
use crate::footer::Footer;
use crate::handle::Handle;
use crate::header::Header;
use crate::legacy;
use crate::limits;
use crate::page::Page;
use crate::source::{Source, read};
use crate::tables::BlockEntry;
use crate::tree::{Pages, Tree};

/// How much of the end is read to open a file (spec §3.5), in bytes.
const TAIL: u64 = 64 << 10;

/// A file that was opened: everything that readers and scans share.
pub(crate) struct OpenFile {
    source: Box<dyn Source>,
    pub(crate) footer: Footer,
    pub(crate) facts: Facts,
    /// What was read to open the file, and where it begins.
    tail: Vec<u8>,
    tail_offset: u64,
    codecs: Arc<Codecs>,
    cache: Cache<Key, Cached, Weights>,
    cache_bytes: usize,
    checks: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Page(Handle),
    Block(Handle),
}

#[derive(Clone)]
enum Cached {
    Page(Arc<Page>),
    Block(Arc<Block>),
}

#[derive(Clone)]
struct Weights;

impl Weighter<Key, Cached> for Weights {
    fn weight(&self, _: &Key, value: &Cached) -> u64 {
        match value {
            Cached::Page(page) => page.memory() as u64,
            Cached::Block(block) => block.memory() as u64,
        }
    }
}

impl OpenFile {
    /// Reads the tail, and nothing in proportion to events, spaces or indexes.
    pub(crate) fn open(source: Box<dyn Source>, cache_bytes: usize, checks: bool) -> Result<Self> {
        let len = source.len();
        let tail_len = if source.is_memory() { Footer::SIZE as u64 } else { TAIL }.min(len);
        let tail_offset = len - tail_len;
        let tail = read(&*source, tail_offset, tail_len, Section::Footer, "F2")?;
        if !tail.ends_with(&Footer::MAGIC) {
            return Err(without_footer(&*source, len)?);
        }
        let footer = Footer::decode(&tail, len)?;
        let mut file = Self {
            codecs: Arc::new(Codecs::new(footer.layout.codec, checks)),
            source,
            footer,
            facts: Facts::default(),
            tail,
            tail_offset,
            cache: Cache::with_weighter(1000, cache_bytes as u64, Weights),
            cache_bytes,
            checks,
        };
        let facts = file.footer.facts;
        let bytes = file.read(facts.offset, facts.len, Section::Facts, "X3")?;
        file.check(facts.checksum, &bytes, Section::Facts, facts.offset, "X3")?;
        file.facts = Facts::decode(&bytes, facts.offset)?;
        if file.footer.layout.dictionary_len == 0 {
            file.codecs.set_dictionary(Arc::default());
        }
        Ok(file)
    }

    pub(crate) fn codec(&self) -> Codec {
        let codec = self.footer.layout.codec;
        Codec::from_code(codec.code(), self.facts.level).unwrap_or(codec)
    }

    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    pub(crate) fn codecs(&self) -> &Arc<Codecs> {
        &self.codecs
    }

    /// How much decoded data is kept, in bytes.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache_bytes
    }

    fn read(&self, offset: u64, len: u64, section: Section, rule: &'static str) -> Result<Vec<u8>> {
        let in_tail = offset.checked_sub(self.tail_offset).and_then(|start| {
            let start = usize::try_from(start).ok()?;
            self.tail.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        });
        match in_tail {
            Some(bytes) => Ok(bytes.to_vec()),
            None => read(&*self.source, offset, len, section, rule),
        }
    }

    fn check(&self, sum: u32, bytes: &[u8], section: Section, offset: u64, rule: &'static str) -> Result<()> {
        if self.checks { check(sum, bytes, section, offset, rule) } else { Ok(()) }
    }

    /// Reads a page past the cache.
    pub(crate) fn read_page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
        if handle.len > limits::PAGE as u64 {
            return Err(Error::corrupt(
                section,
                handle.offset,
                "L1",
                format!("page of {} bytes", handle.len),
            ));
        }
        let bytes = self.read(handle.offset, handle.len, section, "P1")?;
        self.check(handle.checksum, &bytes, section, handle.offset, "P1")?;
        Ok(Arc::new(Page::decode(bytes, handle.offset, section)?))
    }

    /// A block, from the cache or into it.
    pub(crate) fn block(&self, entry: &BlockEntry) -> Result<Arc<Block>> {
        if let Some(Cached::Block(block)) = self.cache.get(&Key::Block(entry.handle)) {
            return Ok(block);
        }
        let block = self.read_block(entry)?;
        self.cache.insert(Key::Block(entry.handle), Cached::Block(Arc::clone(&block)));
        Ok(block)
    }

    /// Reads a block past the cache.
    pub(crate) fn read_block(&self, entry: &BlockEntry) -> Result<Arc<Block>> {
        let Handle { offset, len, checksum } = entry.handle;
        let expected = self.checks.then_some(checksum);
        let block = read_block(&*self.source, offset, expected, &self.footer.layout, &self.codecs)?;
        let head = block.head();
        if (head.block_len(), head.first_ordinal) != (len, entry.first_ordinal) {
            let reason = format!("the blocks table states {len} bytes from ordinal {}", entry.first_ordinal);
            return Err(Error::corrupt(Section::Block, offset, "T1", reason));
        }
        Ok(Arc::new(block))
    }

    /// Gives `data` the uncompressed bytes of a frame.
    pub(crate) fn unpack_frame(
        &self,
        frame: &FrameAt,
        stored: &mut Vec<u8>,
        data: &mut Vec<u8>,
    ) -> Result<()> {
        if !self.codecs.is_ready() {
            self.codecs.set_dictionary(Arc::clone(self.read_dictionary(Header::SIZE as u64)?.bytes()));
        }
        stored.clear();
        *stored = read(&*self.source, frame.offset, frame.len as u64, Section::Frame, "B7")?;
        self.codecs.unpack_frame(stored, frame, data)
    }

    /// Reads the copy of the dictionary that stands at `offset`.
    pub(crate) fn read_dictionary(&self, offset: u64) -> Result<Dictionary> {
        let layout = &self.footer.layout;
        let dictionary = Dictionary::read(&*self.source, offset, layout.dictionary_len)?;
        let found = (dictionary.bytes().len() as u32, dictionary.checksum());
        if found != (layout.dictionary_len, layout.dictionary_checksum) {
            return Err(Error::corrupt(
                Section::Dictionary,
                offset,
                "D2",
                "it is not the one that the footer states",
            ));
        }
        Ok(dictionary)
    }

    pub(crate) fn blocks(self: &Arc<Self>) -> Tree<Arc<Self>> {
        Tree::new(Arc::clone(self), self.footer.roots.blocks, Section::Blocks)
    }

    pub(crate) fn spaces(self: &Arc<Self>) -> Tree<Arc<Self>> {
        Tree::new(Arc::clone(self), self.footer.roots.spaces, Section::Spaces)
    }

    pub(crate) fn groupings(self: &Arc<Self>) -> Tree<Arc<Self>> {
        Tree::new(Arc::clone(self), self.footer.roots.groupings, Section::Groupings)
    }

    pub(crate) fn names(self: &Arc<Self>) -> Tree<Arc<Self>> {
        Tree::new(Arc::clone(self), self.footer.roots.names, Section::Names)
    }

    pub(crate) fn time_order(self: &Arc<Self>) -> Tree<Arc<Self>> {
        Tree::new(Arc::clone(self), self.footer.roots.time_order, Section::TimeOrder)
    }
}

impl Pages for OpenFile {
    fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
        if let Some(Cached::Page(page)) = self.cache.get(&Key::Page(*handle)) {
            return Ok(page);
        }
        let page = self.read_page(handle, section)?;
        self.cache.insert(Key::Page(*handle), Cached::Page(Arc::clone(&page)));
        Ok(page)
    }
}

/// Why a file whose last bytes are not a footer's cannot be opened.
fn without_footer(source: &dyn Source, len: u64) -> Result<Error> {
    if len == 0 {
        return Ok(Error::Foreign(": it is empty".into()));
    }
    let start = read(source, 0, len.min(Header::SIZE as u64), Section::Header, "H1")?;
    if start.starts_with(&Header::MAGIC) || (len < 8 && Header::MAGIC.starts_with(&start)) {
        return match Header::decode(&start) {
            Err(error @ (Error::NewerVersion { .. } | Error::UnknownFeature(_))) => Ok(error),
            _ => Ok(Error::CutOff(format!("{len} bytes are there, without a footer"))),
        };
    }
    if legacy::is_legacy(source, &start)? {
        return Ok(Error::Legacy);
    }
    Ok(Error::Foreign(String::new()))
}
