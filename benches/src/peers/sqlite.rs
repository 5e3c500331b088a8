//! SQLite: a table clustered as our files are, and a table of index entries.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, OpenFlags, ToSql, params};

use super::{Answered, Build, Peer, Session, order};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(super) struct Sqlite;

/// No journal: a new file needs none, and its data is synced at the end.
const SCHEMA: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA cache_size = -65536;
    CREATE TABLE events (space BLOB, \"grouping\" BLOB, ts INTEGER, seq INTEGER, data BLOB,
        PRIMARY KEY (space, \"grouping\", ts, seq)) WITHOUT ROWID;
    CREATE TABLE entries (name BLOB, value BLOB, space BLOB, ts INTEGER, \"grouping\" BLOB, seq INTEGER,
        PRIMARY KEY (name, value, space, ts, \"grouping\", seq)) WITHOUT ROWID;
";
const OF_INDEX: &str = "
    SELECT e.data FROM entries i CROSS JOIN events e
        ON e.space = i.space AND e.\"grouping\" = i.\"grouping\" AND e.ts = i.ts AND e.seq = i.seq
    WHERE i.name = ? AND i.value = ?";
const NEXT_GROUPING: &str =
    "SELECT \"grouping\" FROM events WHERE space = ? AND \"grouping\" > ? ORDER BY \"grouping\" LIMIT 1";
const NEXT_SPACE: &str = "SELECT space FROM events WHERE space > ? ORDER BY space LIMIT 1";
const INSIDE: &str = "
    SELECT ts, data FROM events WHERE space = ? AND \"grouping\" = ? AND ts >= ? AND ts < ? ORDER BY ts, seq";

impl Peer for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        let mut connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        let transaction = connection.transaction()?;
        {
            let order = order(events, how);
            let mut insert = transaction.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?)")?;
            let mut entries = Vec::with_capacity(events.entries());
            for &i in &order {
                let at = i as usize;
                let (space, grouping, ts) = (events.space(at), events.grouping(at), events.timestamp(at));
                insert.execute(params![space, grouping, ts, i, events.data(at)])?;
                entries.extend(events.pairs(at).map(|pair| (pair, space, ts, grouping, i)));
            }
            entries.sort_unstable();
            let mut insert = transaction.prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)")?;
            for ((name, value), space, ts, grouping, i) in entries {
                insert.execute(params![name, value, space, ts, grouping, i])?;
            }
        }
        transaction.commit()?;
        drop(connection);
        File::open(path)?.sync_all()?;
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.execute_batch("PRAGMA mmap_size = 1099511627776;")?;
        Ok(Box::new(connection))
    }
}

impl Session for Connection {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        match question {
            Question::Scan => show(self, "SELECT data FROM events", params![], visitor)?,
            Question::Grouping { space, grouping } => show(
                self,
                "SELECT data FROM events WHERE space = ? AND \"grouping\" = ? ORDER BY ts, seq",
                params![space, grouping],
                visitor,
            )?,
            Question::NewestOfGrouping { space, grouping } => show(
                self,
                "SELECT data FROM events WHERE space = ? AND \"grouping\" = ? ORDER BY ts DESC, seq DESC LIMIT 1",
                params![space, grouping],
                visitor,
            )?,
            Question::Index { name, value } => show(
                self,
                &format!("{OF_INDEX} ORDER BY i.space, i.ts, i.\"grouping\", i.seq"),
                params![name, value],
                visitor,
            )?,
            Question::NewestOfIndex { space, name, value, limit } => show(
                self,
                &format!(
                    "{OF_INDEX} AND i.space = ? ORDER BY i.ts DESC, i.\"grouping\" DESC, i.seq DESC LIMIT ?"
                ),
                params![name, value, space, *limit as i64],
                visitor,
            )?,
            Question::Stretch { space, start, end } => stretch(self, space, *start, *end, visitor)?,
            Question::StretchOfAll { start, end } => {
                let mut next = self.prepare_cached(NEXT_SPACE)?;
                let mut space: Vec<u8> = Vec::new();
                while let Some(row) = next.query(params![space])?.next()? {
                    space = row.get(0)?;
                    stretch(self, &space, *start, *end, visitor)?;
                }
            }
            Question::CountByDay { name, day } => {
                let mut count = self.prepare_cached(
                    "SELECT value, ts / ?2 * ?2, count(*) FROM entries WHERE name = ?1 GROUP BY 1, 2",
                )?;
                let mut rows = count.query(params![name, day])?;
                while let Some(row) = rows.next()? {
                    visitor.count(row.get_ref(0)?.as_blob()?, row.get(1)?, row.get::<_, i64>(2)? as u64);
                }
            }
        }
        Ok(Answered::Yes)
    }
}

fn show(connection: &Connection, query: &str, with: &[&dyn ToSql], visitor: &mut Visitor) -> Result<()> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(with)?;
    while let Some(row) = rows.next()? {
        visitor.event(row.get_ref(0)?.as_blob()?);
    }
    Ok(())
}

/// Goes from grouping to grouping, and in each to the time. (A comparison of space and grouping as a pair goes through all events between.)
fn stretch(connection: &Connection, space: &[u8], start: i64, end: i64, visitor: &mut Visitor) -> Result<()> {
    let (mut next, mut inside) =
        (connection.prepare_cached(NEXT_GROUPING)?, connection.prepare_cached(INSIDE)?);
    let mut found: Vec<(i64, Vec<u8>)> = Vec::new();
    // The empty grouping is greater than no other.
    let mut grouping = Some(Vec::new());
    while let Some(current) = grouping {
        let mut rows = inside.query(params![space, current, start, end])?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?));
        }
        grouping = match next.query(params![space, current])?.next()? {
            Some(row) => Some(row.get(0)?),
            None => None,
        };
    }
    found.sort_by_key(|&(ts, _)| ts);
    found.iter().for_each(|(_, data)| visitor.event(data));
    Ok(())
}
