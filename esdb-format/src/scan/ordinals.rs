//! From time numbers to ordinals (spec §6.5, §9).

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{from_key64, key64};
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::tables::SpaceEntry;
use crate::time_order::TimeFrame;
use crate::tree::TreeCursor;

/// Translates time numbers; neighbours share what was decoded.
pub(crate) struct Ordinals {
    cursor: TreeCursor<Arc<OpenFile>>,
    events: u64,
    root_offset: u64,
    /// The time numbers for which `frame` holds the answer; without a frame both numberings are equal there.
    known: Range<u64>,
    frame: Option<TimeFrame>,
    /// Time numbers for which there must be a frame: those of a space with several groupings.
    covered: Range<u64>,
}

impl Ordinals {
    pub(crate) fn new(file: &Arc<OpenFile>) -> Self {
        Self::covering(file, 0..0)
    }

    /// For the time numbers of one space.
    pub(crate) fn of_space(file: &Arc<OpenFile>, space: &SpaceEntry) -> Self {
        Self::covering(file, if space.groupings > 1 { space.ordinals() } else { 0..0 })
    }

    /// Time numbers in `covered` must have a frame.
    pub(crate) fn covering(file: &Arc<OpenFile>, covered: Range<u64>) -> Self {
        Self {
            cursor: file.time_order().cursor(),
            events: file.footer.events,
            root_offset: file.footer.roots.time_order.page.offset,
            known: 0..0,
            frame: None,
            covered,
        }
    }

    /// The ordinal of the event with this time number.
    pub(crate) fn get(&mut self, time_number: u64) -> Result<u64> {
        if !self.known.contains(&time_number) {
            self.load(time_number)?;
        }
        Ok(match &self.frame {
            Some(frame) => frame.ordinals[(time_number - self.known.start) as usize],
            None => time_number,
        })
    }

    fn load(&mut self, time_number: u64) -> Result<()> {
        self.frame = None;
        self.known = 0..0;
        let mut start = 0;
        if self.cursor.floor(&key64(time_number))? {
            let key = self.key()?;
            let (count, _) = TimeFrame::peek(self.cursor.value())?;
            if time_number - key < count {
                let frame = TimeFrame::decode(self.cursor.value())?;
                if let Some(wrong) = frame.ordinals.iter().find(|&&ordinal| ordinal >= self.events) {
                    return Err(self
                        .cursor
                        .value()
                        .corrupt("T6", format!("ordinal {wrong} of {} events", self.events)));
                }
                self.known = key..key + count;
                self.frame = Some(frame);
                return Ok(());
            }
            start = key + count;
        }
        if self.covered.contains(&time_number) {
            let reason = format!("no frame holds time number {time_number}");
            return Err(Error::corrupt(Section::TimeOrder, self.root_offset, "T6", reason));
        }
        let more = if start == 0 { self.cursor.go_to(0)? } else { self.cursor.next()? };
        self.known = start..if more { self.key()? } else { u64::MAX };
        Ok(())
    }

    fn key(&self) -> Result<u64> {
        from_key64(self.cursor.key())
            .ok_or_else(|| self.cursor.value().corrupt("P4", "key is not of 8 bytes"))
    }
}
