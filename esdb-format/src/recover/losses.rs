//! The account of what was saved and what was lost.

use std::ops::Range;

use crate::block::Head;
use crate::footer::Footer;

use super::End;

/// How many damaged places are named.
const MOST_LOSSES: usize = 100;

/// A damaged place of a file, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where in the damaged file, in bytes from its start.
    pub bytes: Range<u64>,
    /// How many events were lost there; `None` if nothing tells.
    pub events: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// What a walk through the blocks found so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) events_saved: u64,
    pub(super) events_lost: u64,
    pub(super) blocks_saved: u64,
    pub(super) blocks_in_part: u64,
    pub(super) blocks_lost: u64,
    pub(super) losses: Vec<Loss>,
    pub(super) loss_count: u64,
    /// Whether the dictionary behind the last block was met: no block can follow it.
    pub(super) all_seen: bool,
    /// The first byte behind everything that was understood or is accounted for.
    pub(super) at: u64,
    /// The ordinal behind the last event that was.
    pub(super) ordinal: u64,
}

impl Account {
    /// A damaged place.
    pub(super) fn lose(&mut self, bytes: Range<u64>, events: Option<u64>, reason: impl Into<String>) {
        self.events_lost = self.events_lost.saturating_add(events.unwrap_or(0));
        self.loss_count = self.loss_count.saturating_add(1);
        if self.losses.len() < MOST_LOSSES {
            self.losses.push(Loss { bytes, events, reason: reason.into() });
        }
    }

    /// A block's head: what lies between it and the one before was not understood.
    pub(super) fn head(&mut self, head: &Head) {
        let missing = head.first_ordinal.saturating_sub(self.ordinal);
        if head.offset > self.at || missing > 0 {
            self.blocks_lost = self.blocks_lost.saturating_add(u64::from(missing > 0));
            self.lose(self.at.min(head.offset)..head.offset, Some(missing), "nothing here is whole");
        }
        self.ordinal = head.end_ordinal();
    }

    /// A part of the file from `start` to `end` that was understood.
    pub(super) fn understood(&mut self, start: u64, end: u64) {
        if start > self.at {
            // What follows tells how many events this cost.
            self.lose(self.at..start, None, "nothing here is whole");
        }
        self.at = self.at.max(end);
    }

    /// The end of the file. What the blocks lack of the footer's events was lost behind the last one.
    pub(super) fn end(&mut self, footer: Option<&Footer>, end: End, len: u64) {
        let missing = footer.map(|footer| footer.events.saturating_sub(self.ordinal));
        match missing {
            Some(0) => {}
            Some(missing) => {
                self.blocks_lost = self.blocks_lost.saturating_add(1);
                self.lose(self.at..len, Some(missing), "nothing here is whole");
            }
            None if end == End::Missing && !self.all_seen && self.at < len => {
                self.lose(self.at..len, None, "nothing here is whole");
            }
            None => {}
        }
    }
}
