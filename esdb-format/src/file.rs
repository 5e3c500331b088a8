//! An open file: its footer, and checked access to pages, blocks and frames through one cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::block::{Block, Columns, Indexes, Keys, decode_block, read_columns};
use crate::checksum::check;
use crate::codec::Decoder;
use crate::codecs::{Codecs, FrameAt};
use crate::compression::Codec;
use crate::dictionary::{self, read_section};
use crate::error::{Error, Result, Section};
use crate::facts::Facts;
use crate::footer::Footer;
use crate::handle::Handle;
use crate::header::Header;
use crate::legacy::LegacyKind;
use crate::limits;
use crate::page::Page;
use crate::source::{Source, borrow, read};
use crate::tables::BlockEntry;
use crate::time_order::TimeFrame;
use crate::tree::{Pages, Tree};

/// How much of the end is read to open a file (spec §3.5), in bytes.
const TAIL: u64 = 64 << 10;

/// The same where further reads cost little: the usual roots and facts.
const SHORT_TAIL: u64 = 8 << 10;

/// A file that was opened: everything that readers and scans share.
pub(crate) struct OpenFile {
    source: Arc<dyn Source>,
    pub(crate) footer: Footer,
    pub(crate) facts: Facts,
    /// What was read to open the file, and where it begins.
    tail: Vec<u8>,
    tail_offset: u64,
    codecs: Arc<Codecs>,
    cache: Cache<Key, Cached, Weights>,
    /// Uncompressed payload frames, apart: however many are read, what leads to them stays.
    frames: OnceLock<Box<KeptFrames>>,
    /// Where the first frame stands that was asked for: nothing is made for the frames of who asks for one and no other.
    first_frame: AtomicU64,
    cache_bytes: usize,
    checks: bool,
}

/// What is kept, and where it stands. Pages and columns are known by the whole handle that was held against them, the strings
/// of a block by its offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Page(Handle),
    Columns(Handle),
    Keys(u64),
    Indexes(u64),
    /// By its first time number.
    TimeFrame(u64),
}

#[derive(Clone)]
enum Cached {
    Page(Arc<Page>),
    Columns(Arc<Columns>),
    Keys(Arc<Keys>),
    Indexes(Arc<Indexes>),
    TimeFrame(Arc<TimeFrame>),
}

#[derive(Clone)]
struct Weights;

/// What stands for the cache's own books, in bytes for each entry.
const ENTRY: usize = 128;

impl Weighter<Key, Cached> for Weights {
    fn weight(&self, _: &Key, value: &Cached) -> u64 {
        let memory = match value {
            Cached::Page(page) => page.memory(),
            Cached::Columns(columns) => columns.memory(),
            Cached::Keys(keys) => keys.memory(),
            Cached::Indexes(indexes) => indexes.memory(),
            Cached::TimeFrame(frame) => frame.memory(),
        };
        memory.saturating_add(ENTRY) as u64
    }
}

impl Weighter<FrameAt, Arc<Vec<u8>>> for Weights {
    fn weight(&self, _: &FrameAt, data: &Arc<Vec<u8>>) -> u64 {
        data.capacity().saturating_add(ENTRY) as u64
    }
}

/// Which uncompressed frames go into the cache. To keep one costs a quarter of decompressing it, in fresh memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All: they will soon be asked for again.
    All,
    /// Those that are asked for a second time.
    Second,
    None,
}

/// Uncompressed payload frames.
struct KeptFrames {
    cache: Cache<FrameAt, Arc<Vec<u8>>, Weights>,
    /// What marks the last frames that were asked for once, eight together: the newest in the lowest byte.
    once: [AtomicU64; ONCE],
}

/// How many times eight frames are remembered that were asked for once: more in all than the usual cache has room for.
const ONCE: usize = 1 << 12;

/// The part of a cache of so many bytes that is for payload frames: three eighths.
fn frames_part(cache_bytes: usize) -> usize {
    (cache_bytes / 8).saturating_mul(3)
}

impl KeptFrames {
    fn new(bytes: usize) -> Box<Self> {
        Box::new(Self {
            cache: Cache::with_weighter(1000, bytes as u64, Weights),
            once: [const { AtomicU64::new(0) }; ONCE],
        })
    }

    /// Whether the frame at this offset was asked for before, and few with its place since. Now and then another one is taken for it.
    fn asked_before(&self, offset: u64) -> bool {
        let hash = offset.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (place, mark) = ((hash >> 48) as usize % ONCE, (hash >> 40) as u8 | 1);
        let Some(once) = self.once.get(place) else { return false };
        let marks = once.load(Ordering::Relaxed);
        let before = marks.to_le_bytes().contains(&mark);
        if !before {
            once.store((marks << 8) | u64::from(mark), Ordering::Relaxed);
        }
        before
    }
}

/// Looks up `$key`, or computes `$value` and keeps it.
macro_rules! cached {
    ($file:expr, $kind:ident($key:expr), $value:expr) => {
        match $file.cache.get(&Key::$kind($key)) {
            Some(Cached::$kind(value)) => Ok(value),
            _ => {
                let value = Arc::new($value?);
                $file.cache.insert(Key::$kind($key), Cached::$kind(Arc::clone(&value)));
                Ok(value)
            }
        }
    };
}

impl OpenFile {
    /// Reads the tail, and nothing in proportion to events, spaces or indexes.
    pub(crate) fn open(source: Arc<dyn Source>, cache_bytes: usize, checks: bool) -> Result<Self> {
        let len = source.len();
        let tail_len = if source.is_memory() { SHORT_TAIL } else { TAIL }.min(len);
        let tail_offset = len.saturating_sub(tail_len);
        let tail = read(&*source, tail_offset, tail_len, Section::Footer, "F2")?;
        if !tail.ends_with(&Footer::MAGIC) {
            return Err(without_footer(&*source, len)?);
        }
        let footer = Footer::decode(&tail, len)?;
        let others_part = cache_bytes.saturating_sub(frames_part(cache_bytes));
        let mut file = Self {
            codecs: Arc::new(Codecs::new(footer.layout.codec, checks)),
            source,
            footer,
            facts: Facts::default(),
            tail,
            tail_offset,
            cache: Cache::with_weighter(1000, others_part as u64, Weights),
            frames: OnceLock::new(),
            first_frame: AtomicU64::new(0),
            cache_bytes,
            checks,
        };
        let facts = file.footer.facts;
        let bytes = file.read(facts.offset, facts.len, Section::Facts, "X3")?;
        file.check(facts.checksum, &bytes, Section::Facts, facts.offset, "X3")?;
        file.facts = Facts::decode(&bytes, facts.offset)?;
        if file.footer.layout.dictionary_len == 0 {
            file.codecs.set_dictionary(&[]);
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
    pub(crate) fn read_page(&self, handle: &Handle, section: Section) -> Result<Page> {
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
        Page::decode(bytes, handle.offset, section, &self.codecs)
    }

    /// The columns of a block, from the cache or into it.
    pub(crate) fn columns(&self, entry: &BlockEntry) -> Result<Arc<Columns>> {
        let columns: Result<Arc<Columns>> = cached!(self, Columns(entry.handle), self.read_columns(entry));
        of_entry(columns?, entry)
    }

    /// The columns of a block, from the cache but not into it: a long scan would drive everything else out.
    pub(crate) fn columns_once(&self, entry: &BlockEntry) -> Result<Arc<Columns>> {
        match self.cache.get(&Key::Columns(entry.handle)) {
            Some(Cached::Columns(columns)) => of_entry(columns, entry),
            _ => self.read_columns(entry).map(Arc::new),
        }
    }

    fn read_columns(&self, entry: &BlockEntry) -> Result<Columns> {
        let Handle { offset, checksum, .. } = entry.handle;
        let expected = self.checks.then_some(checksum);
        let (layout, codecs) = (&self.footer.layout, &self.codecs);
        let columns = read_columns(&self.source, offset, entry.rows_len, expected, layout, codecs)?;
        entry.check(columns.head())?;
        Ok(columns)
    }

    /// The spaces and groupings of a block, from the cache or into it.
    pub(crate) fn keys(&self, columns: &Columns) -> Result<Arc<Keys>> {
        cached!(self, Keys(columns.head().offset), columns.decode_keys())
    }

    /// The index values of a block, from the cache or into it.
    pub(crate) fn indexes(&self, columns: &Columns) -> Result<Arc<Indexes>> {
        cached!(self, Indexes(columns.head().offset), columns.decode_indexes())
    }

    /// The frame of the time order that is `stored`, says that it has `count` events, and begins with `time_number`; from the cache or
    /// into it.
    pub(crate) fn time_frame(
        &self,
        time_number: u64,
        count: u64,
        stored: Decoder<'_>,
    ) -> Result<Arc<TimeFrame>> {
        let frame: Result<Arc<TimeFrame>> =
            cached!(self, TimeFrame(time_number), TimeFrame::decode(stored.clone()));
        let frame = frame?;
        // Another page may have brought another frame of the same key into the cache.
        if frame.len() as u64 != count {
            return Err(stored.corrupt("P2", format!("time number {time_number} has two frames")));
        }
        Ok(frame)
    }

    /// Decodes a block all of whose bytes were read, past the cache.
    pub(crate) fn decode_block(&self, entry: &BlockEntry, bytes: &[u8]) -> Result<Arc<Block>> {
        let Handle { offset, checksum, .. } = entry.handle;
        let expected = self.checks.then_some(checksum);
        let block = decode_block(bytes, offset, expected, &self.footer.layout, &self.codecs)?;
        entry.check(block.head())?;
        Ok(Arc::new(block))
    }

    /// What frames are decompressed with, for one scan.
    pub(crate) fn frames(self: &Arc<Self>) -> Frames {
        Frames { file: Arc::clone(self), stored: Vec::new() }
    }

    fn prepare_dictionary(self: &Arc<Self>) -> Result<()> {
        if !self.codecs.is_ready() {
            self.codecs.set_dictionary(&self.either_dictionary()?);
        }
        Ok(())
    }

    /// The dictionary, from the section that is read faster; from the other one if that one is damaged.
    fn either_dictionary(self: &Arc<Self>) -> Result<Vec<u8>> {
        let before_blocks = || self.read_dictionary(Header::SIZE as u64);
        let behind_blocks = || self.read_dictionary(self.end_of_blocks()?);
        let (dictionary, _) = if self.source.len() < dictionary::AS_IT_IS {
            before_blocks().or_else(|error| behind_blocks().map_err(|_| error))
        } else {
            behind_blocks().or_else(|error| before_blocks().map_err(|_| error))
        }?;
        Ok(dictionary)
    }

    fn end_of_blocks(self: &Arc<Self>) -> Result<u64> {
        let mut blocks = self.blocks().cursor();
        if !blocks.go_to(blocks.entries().saturating_sub(1))? {
            let offset = self.footer.roots.blocks.page.offset;
            return Err(Error::corrupt(Section::Blocks, offset, "T1", "there is no block"));
        }
        let last = BlockEntry::at(blocks.leaf())?.handle;
        Ok(last.offset.saturating_add(last.len))
    }

    /// Reads the section of the dictionary that stands at `offset`; returns the length of the section, too.
    pub(crate) fn read_dictionary(&self, offset: u64) -> Result<(Vec<u8>, u64)> {
        let layout = &self.footer.layout;
        read_section(&*self.source, offset, (layout.dictionary_len, layout.dictionary_checksum))
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
        cached!(self, Page(*handle), self.read_page(handle, section))
    }
}

/// Decompresses payload frames, with one scan's buffer.
pub(crate) struct Frames {
    file: Arc<OpenFile>,
    stored: Vec<u8>,
}

impl Frames {
    /// Gives `data` the uncompressed bytes of a frame.
    pub(crate) fn unpack(&mut self, frame: &FrameAt, data: &mut Vec<u8>) -> Result<()> {
        let Self { file, stored } = self;
        file.prepare_dictionary()?;
        let stored = borrow(&*file.source, frame.offset, frame.len as u64, stored, Section::Frame, "B7")?;
        file.codecs.unpack_frame(stored, frame, data)
    }

    /// The uncompressed bytes of a frame, from the cache or into it; `None` if they are in neither.
    pub(crate) fn kept(&mut self, frame: &FrameAt, keep: Keep) -> Result<Option<Arc<Vec<u8>>>> {
        let file = Arc::clone(&self.file);
        if keep == Keep::None {
            return Ok(file.frames.get().and_then(|kept| kept.cache.get(frame)));
        }
        let kept = match file.frames.get() {
            Some(kept) => kept,
            None => {
                let first = file.first_frame.swap(frame.offset, Ordering::Relaxed);
                if keep == Keep::Second && first == 0 {
                    return Ok(None);
                }
                let kept = file.frames.get_or_init(|| KeptFrames::new(frames_part(file.cache_bytes)));
                kept.asked_before(first);
                kept
            }
        };
        if let Some(data) = kept.cache.get(frame) {
            return Ok(Some(data));
        }
        if keep == Keep::Second && !kept.asked_before(frame.offset) {
            return Ok(None);
        }
        let mut data = Vec::new();
        self.unpack(frame, &mut data)?;
        let data = Arc::new(data);
        kept.cache.insert(*frame, Arc::clone(&data));
        Ok(Some(data))
    }
}

/// The columns, if their block is the one that `entry` states: another entry may have brought them into the cache.
fn of_entry(columns: Arc<Columns>, entry: &BlockEntry) -> Result<Arc<Columns>> {
    entry.check(columns.head())?;
    Ok(columns)
}

/// Why a file whose last bytes are not a footer's cannot be opened.
pub(crate) fn without_footer(source: &dyn Source, len: u64) -> Result<Error> {
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
    Ok(match LegacyKind::of(source)? {
        Some(kind) => Error::Legacy(kind),
        None => Error::Foreign(String::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_order::{self, Place};

    /// The shorter frame must not be asked for what only the longer one has.
    #[test]
    fn two_frames_of_one_time_number_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        WriterOptions::new().create(&path).unwrap().finish().unwrap();
        let file = OpenFile::open(Arc::new(std::fs::read(path).unwrap()), 1 << 20, true).unwrap();
        let frame = |events: u64| {
            let places: Vec<Place> = (0..events).map(|ordinal| Place { ordinal, run: 0 }).collect();
            let mut bytes = Vec::new();
            time_order::encode(&places, 0, &mut bytes);
            bytes
        };
        let frame_of = |bytes: &[u8]| {
            let stored = Decoder::new(bytes, 0, Section::TimeOrder);
            let (count, _) = TimeFrame::peek(stored.clone()).unwrap();
            file.time_frame(7, count, stored).map(|frame| frame.len())
        };
        assert_eq!(frame_of(&frame(3)).unwrap(), 3);
        assert_eq!(frame_of(&frame(3)).unwrap(), 3);
        assert_eq!(frame_of(&frame(9)).unwrap_err().problem().unwrap().rule, "P2");
    }
    use crate::event::Event;
    use crate::writer::WriterOptions;

    #[test]
    fn what_is_kept_weighs_no_less_than_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let mut writer = WriterOptions::new().frame_size(256).create(&path).unwrap();
        let (mut key_bytes, data) = (0, vec![7; 300]);
        for i in 0..3_000 {
            let (space, grouping) = (format!("space {i:050}"), format!("grouping {i:030}"));
            key_bytes += space.len() + grouping.len();
            writer.add(Event::new(&space, i, &data).grouping(&grouping).index("name", &grouping)).unwrap();
        }
        writer.finish().unwrap();
        let file = OpenFile::open(Arc::new(std::fs::read(path).unwrap()), 1 << 20, true).unwrap();
        let file = Arc::new(file);
        let mut blocks = file.blocks().cursor();
        assert!(blocks.next().unwrap());
        let entry = BlockEntry::at(blocks.leaf()).unwrap();
        let columns = file.columns(&entry).unwrap();
        let (rows, frames) = (columns.rows(), columns.frames().unwrap().len());
        assert_eq!((rows, frames), (3_000, 231));
        let starts_and_times = rows * (size_of::<u32>() + size_of::<i64>());
        let stored = columns.head().rows_len as usize;
        let least = stored + starts_and_times + frames * size_of::<(u32, u64, usize, u32)>();
        assert!((least..2 * least).contains(&columns.memory()), "{} of {least}", columns.memory());
        let indexes = file.indexes(&columns).unwrap();
        let least = rows * ("grouping".len() + 31 + 2 * size_of::<u32>());
        assert!((least..2 * least).contains(&indexes.memory()), "{} of {least}", indexes.memory());
        let keys = file.keys(&columns).unwrap();
        let least = key_bytes + 2 * rows * size_of::<u32>();
        assert!((least..2 * least).contains(&keys.memory()), "{} of {least}", keys.memory());
    }

    /// Values that share nearly everything take a few bytes each in the file, and all of their bytes in memory.
    #[test]
    fn the_cache_weighs_index_values_as_they_are_in_memory() {
        const CACHE: usize = 64 << 20;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let mut writer = WriterOptions::new().create(&path).unwrap();
        let mut value = vec![b'v'; 60_000];
        for i in 0..1_400_u32 {
            value.truncate(59_990);
            value.extend_from_slice(format!("{:010}", i % 64).as_bytes());
            writer.add(Event::new("s", i64::from(i), "data").index("name", &value)).unwrap();
        }
        writer.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert!(bytes.len() < 8 << 20, "{} bytes", bytes.len());

        let file = Arc::new(OpenFile::open(Arc::new(bytes), CACHE, true).unwrap());
        let reader = crate::Reader { file: Arc::clone(&file) };
        for event in reader.scan() {
            assert_eq!(event.unwrap().indexes().unwrap().count(), 1);
        }
        let strings = |cached: &Cached| match cached {
            Cached::Indexes(indexes) => indexes.columns().iter().map(|column| column.values().bytes()).sum(),
            _ => 0,
        };
        let held: usize = file.cache.iter().map(|(_, cached)| strings(&cached)).sum();
        assert!(held > 0 && held <= CACHE, "{held} bytes of values are held");
        assert!(
            (held as u64..=CACHE as u64).contains(&file.cache.weight()),
            "they weigh {}",
            file.cache.weight()
        );
    }
}
