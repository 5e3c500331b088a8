//! From time numbers to ordinals (spec §6.5, §9).

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{from_key64, key64};
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::tables::RunEntry;
use crate::time_order::TimeFrame;
use crate::tree::TreeCursor;

/// Translates time numbers; neighbours share what was decoded.
pub(crate) struct Ordinals {
    file: Arc<OpenFile>,
    cursor: TreeCursor<Arc<OpenFile>>,
    events: u64,
    root_offset: u64,
    /// The time numbers for which `frame` holds the answer; without a frame both numberings are equal there.
    known: Range<u64>,
    frame: Option<Arc<TimeFrame>>,
    /// Time numbers for which there must be a frame: those of a space with several groupings.
    covered: Range<u64>,
}

impl Ordinals {
    pub(crate) fn new(file: &Arc<OpenFile>) -> Self {
        Self::covering(file, 0..0)
    }

    /// For the time numbers of one space.
    pub(crate) fn of_space(file: &Arc<OpenFile>, space: &RunEntry) -> Self {
        Self::covering(file, if space.groupings > 1 { space.ordinals() } else { 0..0 })
    }

    /// Time numbers in `covered` must have a frame.
    pub(crate) fn covering(file: &Arc<OpenFile>, covered: Range<u64>) -> Self {
        Self {
            file: Arc::clone(file),
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
        let Some(frame) = &self.frame else { return Ok(time_number) };
        let ordinal = frame.ordinal((time_number - self.known.start) as usize);
        if ordinal < self.events {
            return Ok(ordinal);
        }
        Err(self.cursor.value().corrupt("T6", format!("ordinal {ordinal} of {} events", self.events)))
    }

    fn load(&mut self, time_number: u64) -> Result<()> {
        (self.frame, self.known) = (None, 0..0);
        let mut start = 0;
        if self.cursor.floor(&key64(time_number))? {
            let key = self.key()?;
            let (count, _) = TimeFrame::peek(self.cursor.value())?;
            if time_number - key < count {
                self.frame = Some(self.file.time_frame(key, count, self.cursor.value())?);
                self.known = key..key + count;
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
