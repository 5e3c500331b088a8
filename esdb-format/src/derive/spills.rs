//! Sorted records in spools, merged so that never many of them are open.

use std::cmp::Ordering;

use super::spool::{Spool, SpoolReader};
use crate::error::Result;

/// How many spools are merged at once.
const MOST: usize = 16;

/// A record in a spool of sorted ones.
pub(crate) trait Record: Default {
    /// Becomes the next record; false at the end.
    fn read(&mut self, reader: &mut SpoolReader) -> Result<bool>;

    fn write(&self, spool: &mut Spool) -> Result<()>;

    /// The order of records; among equal ones those of an earlier spool come first.
    fn order(&self, other: &Self) -> Ordering;
}

/// Spools of sorted records, the earliest first, each with how often its records were merged.
#[derive(Default)]
pub(crate) struct Spills(Vec<(u32, Spool)>);

impl Spills {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a spool of sorted records of type `R`.
    pub(crate) fn push<R: Record>(&mut self, mut spool: Spool) -> Result<()> {
        spool.spill()?;
        self.0.push((0, spool));
        // Neighbours of equal level are merged, so that a record is written again only a few times in all.
        while let Some(&(level, _)) = self.0.last() {
            let equal = self.0.iter().rev().take_while(|(other, _)| *other == level).count();
            if equal < MOST {
                break;
            }
            let merged = merge_into_one::<R>(self.0.split_off(self.0.len() - equal))?;
            self.0.push((level + 1, merged));
        }
        Ok(())
    }

    /// Hands all records to `each` in their order, and is empty again.
    pub(crate) fn drain<R: Record>(&mut self, each: impl FnMut(&R) -> Result<()>) -> Result<()> {
        let mut spools = std::mem::take(&mut self.0);
        while spools.len() > MOST {
            // The last ones are the smallest.
            let merged = merge_into_one::<R>(spools.split_off(spools.len() - MOST))?;
            spools.push((0, merged));
        }
        merge(spools, each)
    }
}

fn merge_into_one<R: Record>(spools: Vec<(u32, Spool)>) -> Result<Spool> {
    let mut merged = spools[0].1.new_like();
    merge::<R>(spools, |record| record.write(&mut merged))?;
    merged.spill()?;
    Ok(merged)
}

fn merge<R: Record>(spools: Vec<(u32, Spool)>, mut each: impl FnMut(&R) -> Result<()>) -> Result<()> {
    let mut heads = Vec::with_capacity(spools.len());
    for (_, spool) in spools {
        let (mut record, mut reader) = (R::default(), spool.into_reader());
        if record.read(&mut reader)? {
            heads.push((record, reader));
        }
    }
    // The first of equal ones is the smallest: spools stand in the order in which they were written.
    while let Some(next) = (0..heads.len()).min_by(|&a, &b| heads[a].0.order(&heads[b].0)) {
        each(&heads[next].0)?;
        let (record, reader) = &mut heads[next];
        if !record.read(reader)? {
            heads.remove(next);
        }
    }
    Ok(())
}
