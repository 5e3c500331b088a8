//! One pass over a damaged file: from marker to marker, every event that is whole on its way to the writer.

use std::ops::Range;
use std::sync::Arc;

use crate::block::{Block, Head, Traits, decode_columns};
use crate::codec::load_u64;
use crate::codecs::{Codecs, FrameAt};
use crate::dictionary::{self, read_any_section};
use crate::error::{Error, ErrorKind, Result, Section};
use crate::event::Event;
use crate::footer::Footer;
use crate::header::Header;
use crate::limits;
use crate::source::{Source, read};
use crate::writer::Writer;

use super::chunks::Chunks;
use super::losses::Account;

pub(super) struct Pass<'a> {
    source: &'a dyn Source,
    chunks: Chunks<'a>,
    traits: Traits,
    codecs: Arc<Codecs>,
    /// Frames that need it cannot be read.
    dictionary_is_lost: bool,
    writer: &'a mut Writer,
    account: Account,
    /// How many bytes may still be searched although a damaged part lays claim to them. Else time would not be linear.
    budget: u64,
    /// A footer that has bytes behind it.
    footer: Option<Footer>,
}

impl<'a> Pass<'a> {
    /// `dictionary` is empty if the file has one that is lost.
    pub(super) fn new(
        source: &'a dyn Source,
        traits: Traits,
        dictionary: Option<Vec<u8>>,
        writer: &'a mut Writer,
    ) -> Self {
        let codecs = Codecs::new(traits.codec, true);
        codecs.set_dictionary(dictionary.as_deref().unwrap_or_default());
        Self {
            chunks: Chunks::new(source),
            codecs: Arc::new(codecs),
            dictionary_is_lost: dictionary.is_some_and(|dictionary| dictionary.is_empty()),
            account: Account { at: Header::SIZE as u64, ..Account::default() },
            budget: source.len(),
            footer: None,
            source,
            traits,
            writer,
        }
    }

    /// Goes from the first marker to the last.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(place) = self.chunks.find(at)? {
            at = self.part(place)?.unwrap_or(place.saturating_add(1));
        }
        Ok(())
    }

    /// What was found, and the footer if it was met on the way.
    pub(super) fn finish(self) -> (Account, Option<Footer>) {
        (self.account, self.footer)
    }

    /// Takes what stands at a marker; returns where it ends, or `None` if the search goes on inside.
    fn part(&mut self, place: u64) -> Result<Option<u64>> {
        let Some(marker) = self.chunks.get(place, 8)? else { return Ok(None) };
        if marker == Head::MARKER {
            return self.block(place);
        }
        if marker == dictionary::MARKER {
            return self.dictionary(place);
        }
        if marker == Footer::MAGIC {
            self.footer(place.saturating_add(8))?;
        }
        Ok(None)
    }

    fn block(&mut self, place: u64) -> Result<Option<u64>> {
        let Some(bytes) = self.chunks.get(place, Head::SIZE)? else { return Ok(None) };
        let Ok((head, traits)) = Head::decode_any(bytes, place) else { return Ok(None) };
        self.account.head(&head);
        let end = place.saturating_add(head.block_len()).min(self.source.len());
        self.account.at = self.account.at.max(end);
        let columns = match head.check_traits(&traits, &self.traits) {
            Ok(()) => self.columns(head),
            Err(error) => Err(error),
        };
        match columns {
            Ok(block) => {
                self.events(&block)?;
                Ok(Some(end))
            }
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(error) => {
                self.account.blocks_lost = self.account.blocks_lost.saturating_add(1);
                self.account.lose(place..end, Some(head.count.into()), error.to_string());
                Ok(self.behind(place, end))
            }
        }
    }

    /// Where to go on after a damaged part: inside it, as long as that does not take too long.
    fn behind(&mut self, place: u64, end: u64) -> Option<u64> {
        match self.budget.checked_sub(end.saturating_sub(place)) {
            Some(left) => {
                self.budget = left;
                None
            }
            None => Some(end),
        }
    }

    /// Head and columns of a block, all of it decoded.
    fn columns(&mut self, head: Head) -> Result<Block> {
        let start = head.rows_offset();
        let Some(bytes) = self.chunks.get(start, head.columns_len() as usize)? else {
            return Err(Error::corrupt(
                Section::Block,
                head.offset,
                "B1",
                "the file ends inside its columns",
            ));
        };
        let block = decode_columns(head, bytes, &self.codecs)?;
        block.frames()?;
        block.whole()?;
        block.indexes()?;
        Ok(block)
    }

    /// Hands on the events of all whole frames.
    fn events(&mut self, block: &Block) -> Result<()> {
        let (table, whole, times, indexes) =
            (block.frames()?, block.whole()?, block.times()?, block.indexes()?);
        let (mut data, mut saved, mut lost) = (Vec::new(), 0_u64, Lost::default());
        for number in 0..table.len() {
            let (frame, rows) = (whole.frame(table, number), table.rows(number));
            if let Err(error) = self.frame(&frame, &mut data) {
                if error.kind() == ErrorKind::Io {
                    return Err(error);
                }
                lost.add(&mut self.account, &frame, rows.len(), &error);
                continue;
            }
            for row in rows {
                let (space, grouping) = block.keys_of(row);
                let (data, time) = (data.get(whole.range_in(table, number, row)), times.get(row));
                let (Some(data), Some(&timestamp)) = (data, time) else {
                    let reason = format!("event {row} is not in its frame");
                    return Err(Error::corrupt(Section::Frame, frame.offset, "B7", reason));
                };
                let indexes = indexes.pairs(row).collect();
                match self.writer.add(Event { space, grouping, timestamp, indexes, data }) {
                    Ok(()) => saved = saved.saturating_add(1),
                    // Larger than the writer takes.
                    Err(error @ Error::Invalid(_)) if !self.writer.has_failed() => {
                        lost.add(&mut self.account, &frame, 1, &error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        lost.tell(&mut self.account);
        self.account.events_saved = self.account.events_saved.saturating_add(saved);
        match saved {
            0 => self.account.blocks_lost = self.account.blocks_lost.saturating_add(1),
            all if all == block.rows() as u64 => {
                self.account.blocks_saved = self.account.blocks_saved.saturating_add(1)
            }
            _ => self.account.blocks_in_part = self.account.blocks_in_part.saturating_add(1),
        }
        Ok(())
    }

    /// Gives `data` the uncompressed bytes of a frame.
    fn frame(&mut self, frame: &FrameAt, data: &mut Vec<u8>) -> Result<()> {
        let Some(stored) = self.chunks.get(frame.offset, frame.len)? else {
            return Err(Error::corrupt(Section::Frame, frame.offset, "B7", "the file ends before it does"));
        };
        if self.dictionary_is_lost && frame.len != frame.data_len {
            return Err(Error::corrupt(Section::Frame, frame.offset, "D2", "its dictionary is lost"));
        }
        self.codecs.unpack_frame(stored, frame, data)
    }

    fn dictionary(&mut self, place: u64) -> Result<Option<u64>> {
        if self.chunks.get(place, 16)?.is_none_or(|bytes| load_u64(bytes, 8) != place) {
            return Ok(None);
        }
        match read_any_section(self.source, place, limits::DICTIONARY as u32) {
            Ok((_, sum, len)) if self.traits.dictionary == Some(sum) => {
                self.account.understood(place, place.saturating_add(len));
                self.account.all_seen |= place > Header::SIZE as u64;
                Ok(Some(place.saturating_add(len)))
            }
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            _ => {
                let end = place.saturating_add(limits::DICTIONARY as u64).min(self.source.len());
                Ok(self.behind(place, end))
            }
        }
    }

    /// Remembers a footer that ends at `end`, if it is that of a file of as many bytes.
    fn footer(&mut self, end: u64) -> Result<()> {
        let Some(start) = end.checked_sub(Footer::SIZE as u64).filter(|_| end < self.source.len()) else {
            return Ok(());
        };
        let bytes = read(self.source, start, Footer::SIZE as u64, Section::Footer, "F2")?;
        if self.footer.is_none() {
            self.footer = Footer::decode(&bytes, end).ok();
        }
        Ok(())
    }
}

/// Damaged frames of a block that follow one another.
#[derive(Default)]
struct Lost {
    bytes: Range<u64>,
    events: u64,
    reason: String,
}

impl Lost {
    fn add(&mut self, account: &mut Account, frame: &FrameAt, events: usize, error: &Error) {
        if self.events == 0 || self.bytes.end < frame.offset {
            self.tell(account);
            *self = Self { bytes: frame.offset..frame.offset, events: 0, reason: error.to_string() };
        }
        self.bytes.end = frame.offset.saturating_add(frame.len as u64);
        self.events = self.events.saturating_add(events as u64);
    }

    fn tell(&mut self, account: &mut Account) {
        if self.events > 0 {
            account.lose(self.bytes.clone(), Some(self.events), std::mem::take(&mut self.reason));
            self.events = 0;
        }
    }
}
