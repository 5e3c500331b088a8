//! Ourselves.

use std::path::Path;

use anyhow::Result;
use esdb_format::{Codec, CountBy, KeyPart, Reader, Scan, WriterOptions};

use super::{Answered, Build, Peer, Session};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(crate) struct Esdb(pub(crate) Codec);

impl Peer for Esdb {
    fn name(&self) -> &'static str {
        match self.0 {
            Codec::None => "esdb-none",
            Codec::Snappy => "esdb-snappy",
            Codec::Lz4 => "esdb-lz4",
            Codec::Zstd { .. } => "esdb",
        }
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        let options = WriterOptions::new()
            .unit(how.workload.unit())
            .codec(self.0)
            .threads(how.threads)
            .memory(how.memory);
        let mut writer = options.create(path)?;
        for i in 0..events.len() {
            writer.add(events.event(i))?;
        }
        writer.finish()?;
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reader::open(path)?))
    }

    fn codec(&self) -> Option<Codec> {
        Some(self.0)
    }
}

impl Session for Reader {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        match question {
            Question::Scan => forwards(self.scan(), visitor)?,
            Question::Grouping { space, grouping } => {
                forwards(self.space(space)?.grouping(grouping), visitor)?;
            }
            Question::NewestOfGrouping { space, grouping } => {
                backwards(self.space(space)?.grouping(grouping), 1, visitor)?;
            }
            Question::Index { name, value } => forwards(self.scan().index(name, value), visitor)?,
            Question::NewestOfIndex { space, name, value, limit } => {
                backwards(self.space(space)?.index(name, value), *limit, visitor)?;
            }
            Question::Stretch { space, start, end } => {
                forwards(self.space(space)?.range(start..end), visitor)?;
            }
            Question::StretchOfAll { start, end } => forwards(self.scan().range(start..end), visitor)?,
            Question::CountByDay { name, day } => {
                let stretch = |time: i64| {
                    let start = time.div_euclid(*day) * day;
                    (start, start + day - 1)
                };
                let by = [CountBy::Index(name.clone()), CountBy::Time];
                for (key, count) in self.scan().count_by(&by, &stretch)? {
                    if let [KeyPart::Bytes(value), KeyPart::Time(start)] = &key[..] {
                        visitor.count(value, *start, count);
                    }
                }
            }
        }
        Ok(Answered::Yes)
    }
}

fn forwards(scan: Scan, visitor: &mut Visitor) -> Result<()> {
    let mut cursor = scan.cursor();
    while let Some(event) = cursor.next()? {
        visitor.event(event.data());
    }
    Ok(())
}

fn backwards(scan: Scan, limit: usize, visitor: &mut Visitor) -> Result<()> {
    let mut cursor = scan.cursor();
    for _ in 0..limit {
        let Some(event) = cursor.next_back()? else { break };
        visitor.event(event.data());
    }
    Ok(())
}
