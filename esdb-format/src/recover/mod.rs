//! Saving what is whole in a damaged, cut or unfinished file, without its tables.
//!
//! Each event block tells where it stands, which events it has and what it takes to read them (spec §5.1): blocks are found by
//! their markers ([`chunks`]), and the events of their whole frames go to an ordinary writer ([`pass`]). Gaps between the ordinals
//! of blocks tell how many events are missing ([`losses`]).

mod chunks;
mod losses;
mod pass;

use std::path::Path;

use crate::block::{Head, Traits};
use crate::codec::load_u64;
use crate::compression::Codec;
use crate::dictionary::{self, Dictionary, read_any_section};
use crate::error::{Error, ErrorKind, Result, Section};
use crate::facts::Facts;
use crate::file::without_footer;
use crate::footer::Footer;
use crate::header::Header;
use crate::limits;
use crate::reader::ReaderOptions;
use crate::source::{Source, open_plain, read};
use crate::unit::Unit;
use crate::verify::VerifyLevel;
use crate::writer::{Summary, Writer, WriterOptions};

use chunks::Chunks;
use pass::Pass;

pub use losses::Loss;

/// A damaged, cut or unfinished file of which the whole events are to be saved. The temporary file of a writer that was killed is
/// one, too.
///
/// ```no_run
/// use esdb_format::Recovery;
///
/// # fn main() -> esdb_format::Result<()> {
/// let broken = Recovery::open("broken.esdb")?;
/// let writer = broken.options().create("saved.esdb")?;
/// let recovered = broken.write(writer)?;
/// println!("{} events saved, {} lost", recovered.summary.events, recovered.events_lost);
/// # Ok(())
/// # }
/// ```
pub struct Recovery {
    source: Box<dyn Source>,
    traits: Traits,
    frame_size: Option<u32>,
    header_is_whole: bool,
    end: End,
    footer: Option<Footer>,
    facts: Option<Facts>,
}

/// What became of the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The footer is whole.
    Whole,
    /// There is a footer, and it is damaged.
    Damaged,
    /// The file was cut off, or never finished.
    Missing,
}

/// What a recovery came to.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The new file.
    pub summary: Summary,
    /// Blocks of which every event was saved.
    pub blocks_saved: u64,
    /// Blocks of which some payload frames were saved.
    pub blocks_in_part: u64,
    /// Blocks of which nothing was saved; without readable facts, at least so many.
    pub blocks_lost: u64,
    /// Events that were not saved, as far as anything tells.
    pub events_lost: u64,
    /// Nothing tells whether there were more events: neither a footer, nor the dictionary behind the last block.
    pub may_be_more: bool,
    /// Whether the header is damaged.
    pub header_is_damaged: bool,
    /// What became of the end of the file.
    pub end: End,
    /// The user's metadata could not be read.
    pub metadata_lost: bool,
    /// Header, dictionary, tables or footer are not as they should be: they are needed to read the damaged file, not to save its events.
    pub tables_are_damaged: bool,
    /// The events that were saved are not those that the file's content digest stands for. `None` without a footer.
    pub digest_differs: Option<bool>,
    /// The first 100 damaged places among the blocks, in the order in which they stand in the file.
    pub losses: Vec<Loss>,
    /// How many there are in all.
    pub loss_count: u64,
}

impl Recovered {
    /// Whether it is proven that nothing was lost: all events are there, which the content digest vouches for, and the metadata.
    pub fn is_complete(&self) -> bool {
        self.digest_differs == Some(false) && self.events_lost == 0 && !self.metadata_lost
    }
}

impl Recovery {
    /// Opens a file by plain reads, and looks for what says how to read it: the header, or else the footer, or else the head of
    /// the first event block. For that last one the file is searched.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read; Unsupported if it is newer than this library; Foreign if it is something else;
    /// [`Error::NothingWhole`] if none of them is whole.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_source(open_plain(path)?)
    }

    /// Opens bytes from anywhere.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_source(source: Box<dyn Source>) -> Result<Self> {
        let len = source.len();
        let start = read(&*source, 0, len.min(Header::SIZE as u64), Section::Header, "H1")?;
        let header = match Header::decode(&start) {
            Ok(header) => Some(header),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(_) => None,
        };
        let tail_len = len.min(Footer::SIZE as u64);
        let tail = read(&*source, len.saturating_sub(tail_len), tail_len, Section::Footer, "F2")?;
        let (footer, end) = match Footer::decode(&tail, len) {
            _ if !tail.ends_with(&Footer::MAGIC) => (None, End::Missing),
            Ok(footer) => (Some(footer), End::Whole),
            // It says so without a checksum that is understood: the blocks may be of this version all the same.
            Err(error) if error.kind() == ErrorKind::Unsupported && header.is_none() => {
                if first_traits(&*source)?.is_none() {
                    return Err(error);
                }
                (None, End::Damaged)
            }
            Err(_) => (None, End::Damaged),
        };
        let layout = header.map(|header| header.layout).or(footer.as_ref().map(|footer| footer.layout));
        let traits = match &layout {
            Some(layout) => Traits::of(layout),
            None => match first_traits(&*source)? {
                Some(traits) => traits,
                None => return Err(nothing(&*source)?),
            },
        };
        let facts = footer.as_ref().and_then(|footer| read_facts(&*source, footer));
        Ok(Self {
            frame_size: layout.map(|layout| layout.frame_size),
            header_is_whole: header.is_some(),
            source,
            traits,
            end,
            footer,
            facts,
        })
    }

    /// The unit of all timestamps.
    pub fn unit(&self) -> Unit {
        self.traits.unit
    }

    /// The codec; of zstd with the default level if the facts cannot be read.
    pub fn codec(&self) -> Codec {
        let codec = self.traits.codec;
        match &self.facts {
            Some(facts) => Codec::from_code(codec.code(), facts.level).unwrap_or(codec),
            None if codec.code() == Codec::default().code() => Codec::default(),
            None => codec,
        }
    }

    /// The length of the file, in bytes.
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Options to write the same events as they were written: unit, codec, frame size, and events of any size.
    pub fn options(&self) -> WriterOptions {
        let options = WriterOptions::new().unit(self.unit()).codec(self.codec()).max_event(limits::DATA);
        match self.frame_size {
            Some(bytes) => options.frame_size(bytes),
            None => options,
        }
    }

    /// Writes the events of all whole blocks and frames, and the user's metadata where the writer has no entry of its own; verifies
    /// the new file ([`VerifyLevel::Deep`](crate::VerifyLevel::Deep)) and publishes it.
    ///
    /// Cost: the file is read once from front to back, beginning with the header; a part of it twice if the dictionary before the
    /// blocks is damaged or if hostile heads lead astray. Memory: beside the writer's, a few MiB and one block.
    ///
    /// # Errors
    ///
    /// Invalid if the writer has another unit; [`Error::NothingWhole`] if there is no event to save, though there were some; I/O if
    /// reading or writing fails. Nothing is published then.
    pub fn write(self, mut writer: Writer) -> Result<Recovered> {
        if writer.unit() != self.unit() {
            let (found, expected) = (self.unit().name(), writer.unit().name());
            return Err(Error::Invalid(format!("the file is in {found}, the output in {expected}")));
        }
        let source = &*self.source;
        let dictionary = self.traits.dictionary.map(|sum| find_dictionary(source, sum)).transpose()?;
        let mut pass = Pass::new(source, self.traits, dictionary, &mut writer);
        pass.run()?;
        let (mut account, found) = pass.finish();
        let end = if found.is_some() { End::Whole } else { self.end };
        // A footer that was met on the way has bytes behind it, which belong to nobody.
        let facts = self.facts.or_else(|| read_facts(source, found.as_ref()?));
        let footer = self.footer.or(found);
        account.end(footer.as_ref(), end, source.len());
        let nothing_stated = footer.as_ref().is_some_and(|footer| footer.events == 0);
        if account.events_saved == 0 && !nothing_stated {
            return Err(Error::NothingWhole);
        }
        let metadata_lost = facts.is_none();
        let blocks = facts.as_ref().map(|facts| facts.statistics.blocks);
        writer.add_metadata(facts.map(|facts| facts.metadata).unwrap_or_default())?;
        let summary = writer.finish_verified()?;
        let events_lost = match &footer {
            Some(footer) => footer.events.saturating_sub(summary.events),
            None => account.events_lost,
        };
        let known = account.blocks_saved.saturating_add(account.blocks_in_part);
        let tables =
            ReaderOptions::new().open_source(self.source).map(|file| file.verify(VerifyLevel::Quick));
        Ok(Recovered {
            tables_are_damaged: !tables.is_ok_and(|found| found.is_ok()),
            blocks_saved: account.blocks_saved,
            blocks_in_part: account.blocks_in_part,
            blocks_lost: blocks.map_or(account.blocks_lost, |blocks| blocks.saturating_sub(known)),
            events_lost,
            may_be_more: footer.is_none() && !account.all_seen,
            header_is_damaged: !self.header_is_whole,
            end,
            metadata_lost,
            digest_differs: footer.map(|footer| footer.content_digest != summary.content_digest),
            losses: account.losses,
            loss_count: account.loss_count,
            summary,
        })
    }
}

/// Why nothing of a file can be saved.
fn nothing(source: &dyn Source) -> Result<Error> {
    let error = without_footer(source, source.len())?;
    Ok(if error.kind() == ErrorKind::Foreign { error } else { Error::NothingWhole })
}

/// What the first head that is whole says of its file.
fn first_traits(source: &dyn Source) -> Result<Option<Traits>> {
    let (mut chunks, mut at) = (Chunks::new(source), 0);
    while let Some(place) = chunks.find(at)? {
        if let Some(bytes) = chunks.get(place, Head::SIZE)?
            && let Ok((_, traits)) = Head::decode_any(bytes, place)
        {
            return Ok(Some(traits));
        }
        at = place.saturating_add(1);
    }
    Ok(None)
}

fn read_facts(source: &dyn Source, footer: &Footer) -> Option<Facts> {
    let facts = &footer.facts;
    let bytes = read(source, facts.offset, facts.len, Section::Facts, "X3").ok()?;
    let sum = crate::checksum::checksum(&bytes);
    (sum == facts.checksum).then(|| Facts::decode(&bytes, facts.offset).ok()).flatten()
}

/// The dictionary with this checksum: the copy before the blocks, or else the last one in the file; empty if both are lost.
fn find_dictionary(source: &dyn Source, sum: u32) -> Result<Vec<u8>> {
    let at = |place| match read_any_section(source, place, limits::DICTIONARY as u32) {
        Ok((bytes, found, _)) if found == sum => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        _ => Ok(Vec::new()),
    };
    let mut dictionary = at(Header::SIZE as u64)?;
    if dictionary.is_empty() {
        // Behind the blocks stand only tables: the last copy is soon found from the end.
        let mut budget = source.len();
        chunks::for_each_backwards(source, &dictionary::MARKER, |place| {
            let own = read(source, place, Dictionary::HEAD as u64, Section::Dictionary, "D2");
            let own = own.is_ok_and(|head| load_u64(&head, 8) == place);
            if own && budget > 0 {
                budget = budget.saturating_sub(limits::DICTIONARY as u64);
                dictionary = at(place)?;
            }
            Ok(dictionary.is_empty())
        })?;
    }
    Ok(dictionary)
}
