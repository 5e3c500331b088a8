//! LMDB: keys that compare as events do, and a database of index entries.

use std::ops::Bound;
use std::path::Path;

use anyhow::{Context, Result};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, PutFlags, RoTxn};

use super::{Answered, Build, Peer, Session, keys, order};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(super) struct Lmdb;

type Table = Database<Bytes, Bytes>;

impl Peer for Lmdb {
    fn name(&self) -> &'static str {
        "lmdb"
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        std::fs::create_dir(path)?;
        let env = environment(path)?;
        let mut transaction = env.write_txn()?;
        let table: Table = env.create_database(&mut transaction, Some("events"))?;
        let index: Table = env.create_database(&mut transaction, Some("entries"))?;
        let (mut key, mut entries) = (Vec::new(), Vec::with_capacity(events.entries()));
        for &i in &order(events, how) {
            let at = i as usize;
            let (space, grouping, time) = (events.space(at), events.grouping(at), events.timestamp(at));
            keys::event(&mut key, space, grouping, time, i);
            table.put_with_flags(&mut transaction, PutFlags::APPEND, &key, events.data(at))?;
            entries.extend(events.pairs(at).map(|pair| (pair, space, time, grouping, i)));
        }
        entries.sort_unstable();
        for (pair, space, time, grouping, i) in entries {
            keys::entry(&mut key, pair, space, time, grouping, i);
            index.put_with_flags(&mut transaction, PutFlags::APPEND, &key, &[])?;
        }
        transaction.commit()?;
        env.prepare_for_closing().wait();
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        let env = environment(path)?;
        let transaction = env.read_txn()?;
        let table = env.open_database(&transaction, Some("events"))?.context("no events")?;
        let index = env.open_database(&transaction, Some("entries"))?.context("no entries")?;
        transaction.commit()?;
        Ok(Box::new(Open { env, table, index }))
    }

    fn size(&self, path: &Path) -> Result<u64> {
        Ok(std::fs::metadata(path.join("data.mdb"))?.len())
    }
}

#[allow(unsafe_code, reason = "nobody else changes the benchmark's own files")]
fn environment(path: &Path) -> Result<Env> {
    let mut options = EnvOpenOptions::new();
    options.max_dbs(2).map_size(64 << 30);
    // SAFETY: the folder is the benchmark's own, and it is open once.
    Ok(unsafe { options.open(path)? })
}

struct Open {
    env: Env,
    table: Table,
    index: Table,
}

impl Session for Open {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        let transaction = &self.env.read_txn()?;
        match question {
            Question::Scan => {
                for entry in self.table.iter(transaction)? {
                    visitor.event(entry?.1);
                }
            }
            Question::Grouping { space, grouping } => {
                let (start, end) = keys::prefix(&[space, grouping]);
                for entry in self.table.range(transaction, &between(&start, &end))? {
                    visitor.event(entry?.1);
                }
            }
            Question::NewestOfGrouping { space, grouping } => {
                let (start, end) = keys::prefix(&[space, grouping]);
                for entry in self.table.rev_range(transaction, &between(&start, &end))?.take(1) {
                    visitor.event(entry?.1);
                }
            }
            Question::Index { name, value } => {
                let (start, end) = keys::prefix(&[name, value]);
                let mut key = Vec::new();
                for entry in self.index.range(transaction, &between(&start, &end))? {
                    self.event_of(transaction, entry?.0, start.len(), &mut key, visitor)?;
                }
            }
            Question::NewestOfIndex { space, name, value, limit } => {
                let skip = name.len() + value.len() + 2;
                let (start, end) = keys::prefix(&[name, value, space]);
                let mut key = Vec::new();
                for entry in self.index.rev_range(transaction, &between(&start, &end))?.take(*limit) {
                    self.event_of(transaction, entry?.0, skip, &mut key, visitor)?;
                }
            }
            Question::Stretch { space, start, end } => {
                let (first, after) = keys::prefix(&[space]);
                self.stretch(transaction, first, &after, *start..*end, visitor)?;
            }
            Question::StretchOfAll { start, end } => {
                self.stretch(transaction, vec![0], &[255], *start..*end, visitor)?;
            }
            Question::CountByDay { .. } => return Ok(Answered::No),
        }
        Ok(Answered::Yes)
    }
}

impl Open {
    fn event_of(
        &self,
        transaction: &RoTxn<'_>,
        entry: &[u8],
        skip: usize,
        key: &mut Vec<u8>,
        visitor: &mut Visitor,
    ) -> Result<()> {
        keys::event_of_entry(key, entry, skip).context("an entry's key is too short")?;
        visitor.event(self.table.get(transaction, key)?.context("an entry without its event")?);
        Ok(())
    }

    /// Goes from grouping to grouping between two keys, and in each to the time.
    fn stretch(
        &self,
        transaction: &RoTxn<'_>,
        mut at: Vec<u8>,
        after: &[u8],
        times: std::ops::Range<i64>,
        visitor: &mut Visitor,
    ) -> Result<()> {
        let mut found: Vec<(&[u8], i64, &[u8])> = Vec::new();
        let mut end = Vec::new();
        while let Some((key, _)) = self.table.get_greater_than_or_equal_to(transaction, &at)? {
            if key >= after {
                break;
            }
            let (space, grouping, _) = keys::parts(key).context("an event's key is too short")?;
            keys::stretch(&mut at, space, grouping, times.start);
            keys::stretch(&mut end, space, grouping, times.end);
            for entry in self.table.range(transaction, &between(&at, &end))? {
                let (key, data) = entry?;
                let (_, _, time) = keys::parts(key).context("an event's key is too short")?;
                found.push((space, time, data));
            }
            (_, at) = keys::prefix(&[space, grouping]);
        }
        found.sort_by_key(|&(space, time, _)| (space, time));
        found.iter().for_each(|(.., data)| visitor.event(data));
        Ok(())
    }
}

fn between<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(start), Bound::Excluded(end))
}
