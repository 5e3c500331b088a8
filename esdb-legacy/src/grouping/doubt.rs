//! Records that make no sense: which ones before them are left out, and where reading goes on.

use esdb_format::Result;

use crate::batch::Row;
use crate::records::{Record, record};

use super::{Reading, Target, is_zeros};

/// So many records before a place that makes no sense are not trusted.
const IN_DOUBT: usize = 3;

/// So many records one behind the other, in order of time, are no accident.
const NO_ACCIDENT: usize = 8;

impl Reading<'_, '_, '_> {
    /// Records of zeros came before a later event: pages were lost there.
    pub(super) fn drop_hole(&mut self, at: usize) {
        let zeros = self.rows().iter().rev().take_while(|row| is_zeros(row)).count();
        let mut from = self.context.sink.batch.rows.len() - zeros;
        let start = self.context.sink.batch.rows.get(from).map_or(at, |row| row.data.start);
        let before = self.context.sink.batch.rows.get(from.wrapping_sub(1)).filter(|_| from > self.first_row);
        let ends_in_zeros =
            |row: &Row| self.content().get(row.data.clone()).is_some_and(|data| data.ends_with(&[0; 4]));
        if before.is_some_and(ends_in_zeros) {
            from -= 1;
        }
        // The row that is about to be added has its pairs behind all others: only rows go, no pairs.
        self.pop(from);
        let bytes = self.file_range(start).start..self.file_range(at).end;
        self.lose(bytes, "zeros stand where records were");
    }

    /// The record at `at` makes no sense: the rows before it that nothing vouches for are left out, and reading goes on at `resume`
    /// or where a beginning is found.
    pub(super) fn astray(&mut self, at: usize, resume: Option<usize>, reason: &str) -> Result<()> {
        let rows = self.context.sink.batch.rows.get(self.vouched..).unwrap_or_default();
        let ascent = rows.windows(2).position(|pair| matches!(pair, [a, b] if a.timestamp < b.timestamp));
        let sensible = ascent.map_or(rows.len(), |ascent| ascent + 1);
        let kept = self.vouched + sensible.saturating_sub(IN_DOUBT);
        let dropped = self.context.sink.batch.rows.len().saturating_sub(kept);
        self.pop(kept);
        self.at = resume;
        self.from = at + 1;
        let left_out = match dropped {
            0 => "",
            _ => "; the records just before are left out, too",
        };
        self.lose(self.file_range(at), format_args!("{reason}{left_out}"));
        Ok(())
    }

    /// Looks for the beginning of a record behind a damaged place: the place of an index entry, or a row of records in order.
    pub(super) fn find_start(&mut self, is_end: bool) -> Result<bool> {
        let target = self.next_target(self.from)?;
        let most = match target {
            Target::At(found) => found,
            _ => self.content().len(),
        };
        let upper = self.last_timestamp();
        let mut at = self.from;
        while at < most {
            let chain = self.chain(at, upper, is_end);
            if chain.records >= NO_ACCIDENT || (chain.is_end && chain.records > 1) {
                self.at = Some(at);
                return Ok(true);
            }
            // More content may make it a row.
            if !is_end && !chain.is_contradicted && chain.records > 1 {
                break;
            }
            at += 1;
        }
        self.from = at;
        if let Target::At(found) = target
            && at == found
        {
            self.at = Some(found);
        }
        Ok(self.at.is_some())
    }

    /// How far records lead from `at` on, in order of time.
    pub(super) fn chain(&self, mut at: usize, mut upper: Option<u32>, is_end: bool) -> Chain {
        let content = self.content();
        let mut chain = Chain { records: 0, is_contradicted: false, is_end: false };
        while chain.records < NO_ACCIDENT {
            if is_end && at + 1 == content.len() {
                chain.is_end = true;
                break;
            }
            match record(content, at) {
                Record::Whole { timestamp, data } => {
                    let is_zeros = timestamp == 0 && data.is_empty();
                    if is_zeros || upper.is_some_and(|upper| timestamp > upper) {
                        chain.is_contradicted = true;
                        break;
                    }
                    upper = Some(timestamp);
                    at = data.end;
                    chain.records += 1;
                }
                Record::Cut { len } => {
                    chain.is_contradicted = is_end || len > self.context.options.max_event as u64;
                    break;
                }
                Record::Broken => {
                    chain.is_contradicted = true;
                    break;
                }
            }
        }
        chain
    }
}

/// What following records from a place gave.
pub(super) struct Chain {
    /// How many there are; counting ends when it is no accident.
    records: usize,
    /// It ended at what is no record, or not in order.
    pub(super) is_contradicted: bool,
    /// It led to the section's end.
    is_end: bool,
}
