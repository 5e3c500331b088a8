//! What all parts of a conversion share: options, account, sink; and what becomes of index entries.

use std::collections::HashMap;
use std::fmt;

use esdb_format::{Result, limits};

use crate::Options;
use crate::batch::Sink;
use crate::entries::Entries;
use crate::key::Splits;
use crate::report::{Account, Quoted};
use crate::table::Problem;

/// What all parts of a conversion share.
pub(crate) struct Context<'s> {
    pub(crate) options: &'s Options,
    pub(crate) splits: Splits,
    pub(crate) account: Account,
    pub(crate) sink: Sink,
    /// Events of the current space so far.
    pub(crate) space_events: u64,
    /// Where the current space begins in the file: places of index entries count from there.
    pub(crate) base: u64,
    /// Bytes of the pairs of the current event.
    pair_bytes: usize,
    /// Keys whose index leads to an event without data: the first entry that does, and from which on all were hidden anyway.
    stops: HashMap<u64, (u64, u64)>,
    stray: Stray,
}

/// Index entries of one block of events that point at no record.
#[derive(Clone, Copy, Debug, Default)]
struct Stray {
    /// Where the block begins in the file.
    block: u64,
    places: u64,
    entries: u64,
}

impl<'s> Context<'s> {
    pub(crate) fn new(options: &'s Options, account: Account, sink: Sink) -> Self {
        let splits = Splits::new(&options.split_index);
        Self {
            options,
            splits,
            account,
            sink,
            space_events: 0,
            base: 0,
            pair_bytes: 0,
            stops: HashMap::new(),
            stray: Stray::default(),
        }
    }

    /// Gives the next entry's pair to the event that is being read, whose first pair is `first_pair`; `is_empty` if it has no data.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn take_entry(
        &mut self,
        entries: &mut Entries,
        first_pair: usize,
        timestamp: u32,
        is_empty: bool,
    ) -> Result<()> {
        entries.set_time(timestamp);
        let (Some(place), Some((key, number))) = (entries.peek(), entries.head()) else { return Ok(()) };
        let block = self.base.wrapping_add(place.block());
        let batch = &mut self.sink.batch;
        let count = batch.pairs.len() - first_pair;
        if count == 0 {
            self.pair_bytes = 0;
        }
        self.pair_bytes += key.name.len() + key.value.len();
        if is_empty {
            let (first, _) = self.stops.entry(key.number).or_insert((number, key.hidden_from));
            *first = number.min(*first);
        }
        if count > 0 && batch.ends_with_pair(key.name, key.value) {
            self.account.report.repeated_entries += 1;
            // Two pairs of an event can only have become one key if there are several colons in it.
            if !key.name.contains(&b':') && !key.value.contains(&b':') {
                let reason = format_args!(
                    "index {} = {}: an entry stands there twice",
                    Quoted(key.name),
                    Quoted(key.value)
                );
                self.account.lose(block..block, reason);
            }
        } else if count >= limits::PAIRS || self.pair_bytes > limits::PAIR_BYTES {
            self.account.report.entries_lost += 1;
            if count == limits::PAIRS
                || self.pair_bytes - key.name.len() - key.value.len() <= limits::PAIR_BYTES
            {
                self.account.lose(block..block, "an event has more index entries than a new file can hold");
            }
        } else {
            batch.pair(key.name, key.value);
        }
        entries.pass()
    }

    /// Gives up the next entry and all others of its place: no record begins there.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn lose_entries_at(&mut self, entries: &mut Entries) -> Result<()> {
        let Some(place) = entries.peek() else { return Ok(()) };
        let mut count = 0;
        while entries.peek() == Some(place) {
            entries.pass()?;
            count += 1;
        }
        self.account.report.events_lost += 1;
        self.account.report.entries_lost += count;
        let block = self.base.wrapping_add(place.block());
        if self.stray.block != block {
            self.tell_stray();
        }
        let Stray { places, entries, .. } = self.stray;
        self.stray = Stray { block, places: places + 1, entries: entries + count };
        Ok(())
    }

    /// Tells which entries of the last block were given up.
    pub(crate) fn tell_stray(&mut self) {
        let Stray { block, places, entries } = std::mem::take(&mut self.stray);
        if places > 0 {
            let reason = format_args!(
                "{entries} index entries point at {places} places in the block here, where no record is"
            );
            self.account.lose(block..block, reason);
        }
    }

    /// Counts what the old reader hides behind events without data, at the end of a space.
    pub(crate) fn count_stops(&mut self) {
        for (_, (first, hidden_from)) in self.stops.drain() {
            self.account.report.hidden_entries += hidden_from.saturating_sub(first);
        }
    }

    /// Tells what was found wrong with a table.
    pub(crate) fn problems(&mut self, of: impl fmt::Display, problems: Vec<Problem>) {
        for (bytes, reason) in problems {
            self.account.lose(bytes, format_args!("{of}: {reason}"));
        }
    }
}
