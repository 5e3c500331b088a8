//! From time numbers to ordinals (spec §6.5, §9).

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{from_key64, key64};
use crate::error::Result;
use crate::file::OpenFile;
use crate::time_order::TimeFrame;
use crate::tree::TreeCursor;

/// Translates time numbers; neighbours share what was decoded.
pub(crate) struct Ordinals {
    cursor: TreeCursor<Arc<OpenFile>>,
    events: u64,
    /// The time numbers for which `frame` holds the answer; without a frame both numberings are equal there.
    known: Range<u64>,
    frame: Option<TimeFrame>,
}

impl Ordinals {
    pub(crate) fn new(file: &Arc<OpenFile>) -> Self {
        Self { cursor: file.time_order().cursor(), events: file.footer.events, known: 0..0, frame: None }
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
            self.known = start..if self.cursor.next()? { self.key()? } else { u64::MAX };
        } else {
            self.known = start..if self.cursor.go_to(0)? { self.key()? } else { u64::MAX };
        }
        Ok(())
    }

    fn key(&self) -> Result<u64> {
        from_key64(self.cursor.key())
            .ok_or_else(|| self.cursor.value().corrupt("T6", "key is not of 8 bytes"))
    }
}
