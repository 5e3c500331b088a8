//! A stream of 2014: records one behind the other, each with links to the ones before it with the same keys.
//!
//! ```text
//! "ESDBstream", records: length, payload, keys with links
//! closed: length 0, table: key → newest record, its length, "closedESDBstream"
//! ```
//!
//! Records have no checksum, but their lengths are stored twice over: before the body, and by what the body is made of. Where these
//! differ, what is followed by another record is taken; else the next row of records is searched for.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use esdb_format::{Result, limits};

use crate::batch::Row;
use crate::bytes::Bytes;
use crate::context::Context;
use crate::input::Input;
use crate::report::Quoted;
use crate::table::Table;

const HEADER: &[u8] = b"ESDBstream";
const FOOTER: &[u8] = b"closedESDBstream";

/// Bytes of a record's length.
const LENGTH: u64 = 4;

/// So many keys are remembered for the check of links.
const MOST_KEYS: usize = 1 << 20;

/// A record that is looked for has at most so many keys.
const MOST_KEYS_OF_FOUND: u64 = 64;

/// All names and values of a record, with their links, have at most so many bytes.
const MOST_KEY_BYTES: u64 = 64 << 20;

/// Places that turn out to be no records cost a look each at where their keys should be: so many are looked at, and one more for
/// each KiB of the file.
const LOOKS: u64 = 16 << 10;

/// Such a row of records is no accident.
const NO_ACCIDENT: usize = 3;

/// Brings a stream over.
///
/// # Errors
///
/// I/O if the file cannot be read; Invalid if nobody takes the events.
pub(crate) fn read(context: &mut Context<'_>, input: &Input<'_>) -> Result<()> {
    let file = input.region();
    let mut input = input.over(file.clone());
    if input.up_to(0, HEADER.len())? != HEADER {
        context.account.lose(0..HEADER.len() as u64, "the stream's header is damaged");
    }
    let footer_at = file.end.saturating_sub(FOOTER.len() as u64);
    let is_closed = input.up_to(footer_at, FOOTER.len())? == FOOTER;
    context.account.report.is_closed = is_closed;
    let mut table = None;
    if is_closed {
        input.focus(HEADER.len() as u64..footer_at);
        let mut problems = Vec::new();
        table = Table::at_end(&mut input, &mut problems)?;
        context.problems("index of the stream", problems);
        if table.is_none() {
            context.account.lose(footer_at..file.end, "the stream was closed, but its index cannot be found");
        }
        input.focus(file.clone());
    }
    let records_end = table.as_ref().map(|table| table.start.saturating_sub(LENGTH));
    let limit = records_end.unwrap_or(file.end);
    let number_at = context.sink.batch.rows.len();
    let links = Links { hasher: RandomState::new(), newest: HashMap::new(), is_full: false };
    let mut reading = Reading {
        near: input.narrow(),
        looks: LOOKS + file.end / 1024,
        bodies: 2 * file.end + MOST_KEY_BYTES,
        context,
        input,
        limit,
        records_end,
        first_row: number_at,
        number: 0,
        links,
    };
    reading.run()?;
    reading.hand_on()?;
    let Reading { mut input, links, context, .. } = reading;
    let report = &mut context.account.report;
    report.groupings += u64::from(report.events > 0);
    report.spaces += u64::from(report.events > 0);
    match table {
        Some(table) => links.check(context, &mut input, &table),
        None => Ok(()),
    }
}

/// Whether a file without header and footer may be a stream: a row of records stands where the first one should.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn may_be(input: &mut Input<'_>) -> Result<bool> {
    let (mut at, limit) = (HEADER.len() as u64, input.region().end);
    for _ in 0..NO_ACCIDENT {
        match (stated(input, limit, at)?, measure(input, limit, at, MOST_KEYS_OF_FOUND)?) {
            (Some(len), measured) if len > 1 && measured == Some(len) => at += LENGTH + len,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

struct Reading<'c, 's, 'i> {
    context: &'c mut Context<'s>,
    input: Input<'i>,
    /// No record reaches beyond it.
    limit: u64,
    /// Where the records end, if the index of a closed stream says so.
    records_end: Option<u64>,
    /// The first row of this stream in the batch.
    first_row: usize,
    /// A window for looks here and there.
    near: Input<'i>,
    /// How many looks are left, and how many bytes of bodies that turn out to be none.
    looks: u64,
    bodies: u64,
    /// How many records there were.
    number: u64,
    links: Links,
}

impl Reading<'_, '_, '_> {
    fn run(&mut self) -> Result<()> {
        let mut at = HEADER.len() as u64;
        while at < self.limit {
            self.context.sink.batch.read = at;
            let stated = self.stated(at)?;
            if let Some(len) = stated
                && len > 0
                && let Some(()) = self.record(at, len)?
            {
                at += LENGTH + len;
                continue;
            }
            if stated == Some(0) && self.records_end.is_none() && self.ends_at(at)? {
                break;
            }
            at = self.go_on(at, stated)?;
        }
        Ok(())
    }

    /// The length that a record states, if it could have it.
    fn stated(&mut self, at: u64) -> Result<Option<u64>> {
        stated(&mut self.input, self.limit, at)
    }

    /// Takes the record at `at`, if its body is what a body of `len` bytes must be.
    fn record(&mut self, at: u64, len: u64) -> Result<Option<()>> {
        let most = self.context.options.max_event as u64;
        if len > (most + MOST_KEY_BYTES).min(self.bodies) {
            return Ok(None);
        }
        let Some(body) = self.input.get(at + LENGTH, len as usize)? else { return Ok(None) };
        if !is_body(body, at) {
            self.bodies -= len;
            return Ok(None);
        }
        let mut rest = Bytes(body);
        let data = rest.len().and_then(|len| rest.take(len)).unwrap_or_default();
        let number = self.number;
        self.number += 1;
        let bytes = at..at + LENGTH + len;
        if data.len() as u64 > most {
            self.context.account.report.events_lost += 1;
            let reason =
                format_args!("an event of {} bytes is left out: at most {most} are allowed", data.len());
            self.context.account.lose(bytes, reason);
            return Ok(Some(()));
        }
        let timestamp = match &self.context.options.timestamp {
            None => Ok(number as i64),
            Some(timestamp) => timestamp(data),
        };
        let timestamp = match timestamp {
            Ok(timestamp) => timestamp,
            Err(reason) => {
                self.context.account.report.events_lost += 1;
                self.context.account.lose(bytes, format_args!("record {number} is left out: {reason}"));
                return Ok(Some(()));
            }
        };
        let Context { sink, splits, account, .. } = &mut *self.context;
        let batch = &mut sink.batch;
        let first_pair = batch.pairs.len();
        let keys = rest.uvarint().unwrap_or(0);
        for _ in 0..keys {
            let Some(key) = rest.len().and_then(|len| rest.take(len)) else { break };
            let Some(previous) = rest.uvarint() else { break };
            let split = splits.split(key);
            let (name, value) = key.split_at(split.colon.unwrap_or(key.len()));
            let value = value.get(1..).unwrap_or_default();
            let link = self.links.follow(key, at, previous);
            if split.is_ambiguous && link.is_first {
                account.ambiguous(name, value);
            }
            if !link.is_right && account.report.loss_count == 0 {
                let reason =
                    format_args!("record {number}: its link for {} leads to byte {previous}", Quoted(key));
                account.lose(bytes.clone(), reason);
            }
            if name.len() > limits::KEY
                || value.len() > limits::KEY
                || batch.pairs.len() - first_pair >= limits::PAIRS
            {
                account.report.entries_lost += 1;
                account.lose(
                    bytes.clone(),
                    format_args!("key {} is too long, or one too many, for a new file", Quoted(key)),
                );
            } else {
                batch.pair(name, value);
            }
        }
        let start = batch.content.len();
        batch.content.extend_from_slice(data);
        let (data, pairs) = (start..batch.content.len(), first_pair..batch.pairs.len());
        account.report.events += 1;
        account.report.index_entries += pairs.len() as u64;
        batch.rows.push(Row { timestamp, data, pairs });
        if sink.is_full() {
            self.hand_on()?;
        }
        Ok(Some(()))
    }

    fn hand_on(&mut self) -> Result<()> {
        let Context { sink, options, .. } = &mut *self.context;
        sink.batch.group(&options.space, b"", self.first_row);
        sink.hand_on()?;
        self.first_row = 0;
        Ok(())
    }

    /// Whether an open stream ends at the length 0 that stands at `at`. What follows is told.
    fn ends_at(&mut self, at: u64) -> Result<bool> {
        let end = self.input.region().end;
        let mut from = at;
        loop {
            let piece = self.input.up_to(from, 64 << 10)?;
            if piece.is_empty() {
                if from > at + LENGTH {
                    self.context
                        .account
                        .note(format_args!("zeros follow the last record, from byte {at} on"));
                }
                return Ok(true);
            }
            match piece.iter().position(|byte| *byte != 0) {
                None => from += piece.len() as u64,
                Some(_) => break,
            }
        }
        let behind = at + LENGTH;
        if Table::walk(&mut self.input, behind)?.is_some() {
            self.context
                .account
                .lose(behind..end, "the stream was closed, but its index or its end is damaged");
            return Ok(true);
        }
        if self.measure(at, u64::MAX)?.is_some_and(|len| len > 0) && self.resume(at)? == Some(at) {
            return Ok(false);
        }
        match self.find(at + 1)? {
            Some(_) => Ok(false),
            None => {
                self.context.account.lose(behind..end, "what follows the end of the records cannot be read");
                Ok(true)
            }
        }
    }

    /// Behind a record that is not whole: where reading goes on.
    fn go_on(&mut self, at: u64, stated: Option<u64>) -> Result<u64> {
        // The body tells its own length.
        if let Some(len) = self.measure(at, u64::MAX)?
            && stated != Some(len)
            && self.is_followed(at + LENGTH + len)?
        {
            let end = at + LENGTH + len;
            self.context.account.lose(
                at..end,
                format_args!("record {}: its length is wrong; it was read all the same", self.number),
            );
            if self.record(at, len)?.is_some() {
                return Ok(end);
            }
        }
        let next = match stated {
            Some(len) if len > 0 && self.is_followed(at + LENGTH + len)? => at + LENGTH + len,
            _ => self.find(at + 1)?.unwrap_or(self.limit),
        };
        let reason = match next == self.limit && self.records_end.is_none() {
            true => {
                "what stands here is no whole record: it was not finished, or cut off, or is what a longer one left"
            }
            false => "what stands here is no whole record",
        };
        self.context.account.lose(at..next, format_args!("record {}: {reason}", self.number));
        self.context.account.report.events_lost += u64::from(next < self.limit);
        self.number += 1;
        Ok(next)
    }

    fn resume(&mut self, at: u64) -> Result<Option<u64>> {
        let Some(len) = self.measure(at, u64::MAX)? else { return Ok(None) };
        Ok(self.is_followed(at + LENGTH + len)?.then_some(at))
    }

    /// Whether records may go on at `at`, or end.
    fn is_followed(&mut self, at: u64) -> Result<bool> {
        if at >= self.limit {
            return Ok(at == self.limit);
        }
        Ok(match self.stated(at)? {
            Some(0) => self.records_end.is_none_or(|end| at == end),
            Some(len) => self.measure(at, u64::MAX)? == Some(len),
            None => false,
        })
    }

    fn measure(&mut self, at: u64, most_keys: u64) -> Result<Option<u64>> {
        let Some(looks) = self.looks.checked_sub(1) else { return Ok(None) };
        self.looks = looks;
        measure(&mut self.near, self.limit, at, most_keys)
    }

    /// The next place where a row of records begins.
    fn find(&mut self, from: u64) -> Result<Option<u64>> {
        for start in from..self.limit {
            let (mut at, mut records) = (start, 0);
            loop {
                if at == self.limit && records > 1 {
                    return Ok(Some(start));
                }
                let Some(len) = self.stated(at)?.filter(|len| *len > 1) else { break };
                if self.measure(at, MOST_KEYS_OF_FOUND)? != Some(len) {
                    break;
                }
                at += LENGTH + len;
                records += 1;
                if records == NO_ACCIDENT {
                    return Ok(Some(start));
                }
            }
        }
        Ok(None)
    }
}

/// The length that the record at `at` states, if it could have it.
fn stated(input: &mut Input<'_>, limit: u64, at: u64) -> Result<Option<u64>> {
    let Some(mut len) = input.get(at, LENGTH as usize)?.map(Bytes) else { return Ok(None) };
    let len = len.u32().map(u64::from);
    Ok(len.filter(|len| limit.saturating_sub(at + LENGTH) >= *len))
}

/// The length of the body of the record at `at` by what it is made of, with at most `most_keys` keys.
fn measure(input: &mut Input<'_>, limit: u64, at: u64, most_keys: u64) -> Result<Option<u64>> {
    let at = at + LENGTH;
    let mut head = Bytes(input.up_to(at, 10)?);
    let available = head.0.len();
    let Some(data) = head.uvarint() else { return Ok(None) };
    let keys_at = (at + (available - head.0.len()) as u64).checked_add(data);
    let Some(keys_at) = keys_at.filter(|keys_at| *keys_at < limit) else { return Ok(None) };
    // Most records have few keys.
    for most in [2 << 10, 64 << 10] {
        let bytes = input.up_to(keys_at, most)?;
        let mut rest = Bytes(bytes);
        let Some(keys) = rest.uvarint().filter(|keys| *keys <= most_keys) else { return Ok(None) };
        let mut key = || rest.len().and_then(|len| rest.take(len)).and_then(|_| rest.uvarint());
        if (0..keys).all(|_| key().is_some_and(|previous| previous < at)) {
            return Ok(Some(keys_at + (bytes.len() - rest.0.len()) as u64 - at));
        }
    }
    Ok(None)
}

/// Whether bytes are exactly the body of a record at `at`.
fn is_body(body: &[u8], at: u64) -> bool {
    let mut rest = Bytes(body);
    if rest.len().and_then(|len| rest.take(len)).is_none() {
        return false;
    }
    let Some(keys) = rest.uvarint() else { return false };
    for _ in 0..keys {
        let key = rest.len().and_then(|len| rest.take(len)).and_then(|_| rest.uvarint());
        if key.is_none_or(|previous| previous >= at) {
            return false;
        }
    }
    rest.0.is_empty()
}

/// The newest record of each key so far.
struct Links {
    hasher: RandomState,
    /// By the hash of the key.
    newest: HashMap<u64, u64>,
    /// There are more keys than are remembered.
    is_full: bool,
}

struct Link {
    is_first: bool,
    is_right: bool,
}

impl Links {
    /// Compares a record's link with the newest record of its key, which it is from now on.
    fn follow(&mut self, key: &[u8], at: u64, previous: u64) -> Link {
        let hash = self.hasher.hash_one(key);
        if let Some(newest) = self.newest.get_mut(&hash) {
            return Link { is_first: false, is_right: std::mem::replace(newest, at) == previous };
        }
        if self.newest.len() == MOST_KEYS {
            self.is_full = true;
            return Link { is_first: true, is_right: true };
        }
        self.newest.insert(hash, at);
        Link { is_first: true, is_right: previous == 0 }
    }

    /// Compares the index of a closed stream with its records.
    fn check(&self, context: &mut Context<'_>, input: &mut Input<'_>, table: &Table) -> Result<()> {
        let is_whole = context.account.report.loss_count == 0;
        let (mut cursor, mut keys) = (table.cursor(), 0);
        while cursor.advance(input)? {
            keys += 1;
            let newest = self.newest.get(&self.hasher.hash_one(cursor.key())).copied();
            let is_right = newest == Bytes(cursor.value()).uvarint() || (newest.is_none() && self.is_full);
            if is_whole && !is_right {
                let reason =
                    format_args!("index of the stream: {} leads to another record", Quoted(cursor.key()));
                context.account.lose(cursor.place(), reason);
            }
        }
        context.problems("index of the stream", cursor.take_problems());
        if is_whole && !self.is_full && keys != self.newest.len() {
            let reason =
                format_args!("index of the stream: {keys} keys, the records have {}", self.newest.len());
            context.account.lose(table.start..table.end, reason);
        }
        if self.is_full {
            context
                .account
                .note(format_args!("links between records were checked for the first {MOST_KEYS} keys"));
        }
        Ok(())
    }
}
