//! Grenad: a sorted file of keys and values, with zstd and without an index.

use std::fs::File;
use std::io::{BufWriter, Cursor};
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use grenad::{CompressionType, Reader, WriterBuilder};

use super::{Answered, Build, Peer, Session, keys, map, order};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(super) struct Grenad;

impl Peer for Grenad {
    fn name(&self) -> &'static str {
        "grenad"
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        let mut builder = WriterBuilder::new();
        builder.compression_type(CompressionType::Zstd).compression_level(3).index_levels(1);
        let mut writer = builder.build(BufWriter::new(File::create_new(path)?));
        let mut key = Vec::new();
        for i in order(events, how) {
            let at = i as usize;
            keys::event(&mut key, events.space(at), events.grouping(at), events.timestamp(at), i);
            writer.insert(&key, events.data(at))?;
        }
        writer.into_inner()?.into_inner()?.sync_all()?;
        Ok(true)
    }

    fn has_indexes(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        Ok(Box::new(Open(map(path)?)))
    }
}

struct Open(Bytes);

impl Session for Open {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        let reader = Reader::new(Cursor::new(self.0.clone()))?;
        match question {
            Question::Scan => {
                let mut cursor = reader.into_cursor()?;
                while let Some((_, data)) = cursor.move_on_next()? {
                    visitor.event(data);
                }
            }
            Question::Grouping { space, grouping } => {
                let (start, end) = keys::prefix(&[space, grouping]);
                let mut entries = reader.into_range_iter(start..end)?;
                while let Some((_, data)) = entries.next()? {
                    visitor.event(data);
                }
            }
            Question::NewestOfGrouping { space, grouping } => {
                let (start, end) = keys::prefix(&[space, grouping]);
                if let Some((_, data)) = reader.into_rev_range_iter(start..end)?.next()? {
                    visitor.event(data);
                }
            }
            _ => return Ok(Answered::No),
        }
        Ok(Answered::Yes)
    }
}
