//! Sorting events into file order in bounded memory: a buffer, written out as a run when it is full.

use std::thread::JoinHandle;

use super::buffer::EventBuffer;
use super::merge::{Merge, Run};
use super::runs::{RUN_MEMORY, RunReader, RunWriter};
use crate::error::{Error, Result};
use crate::storage::SpillFolder;

/// How many files or runs are merged at once.
const MOST_RUNS: usize = 64;

/// So many times the memory may be written out before runs are compressed: the system's cache holds that much, and neither time nor
/// room is short yet.
const UNCOMPRESSED: usize = 8;

/// Collects events, and sorts and spills them.
pub(crate) struct Sorter {
    pub(crate) buffer: EventBuffer,
    folder: SpillFolder,
    /// Bytes for all events in memory.
    memory: usize,
    /// Full buffers are written out while others are filled.
    in_background: bool,
    spilling: Option<JoinHandle<Result<(RunReader, EventBuffer)>>>,
    /// What was written out, in bytes of memory.
    spilled: usize,
    /// In the order of arrival, with how often their events were merged.
    runs: Vec<(u32, Run)>,
}

impl Sorter {
    /// Spills to `folder`, with several threads in the background.
    pub(crate) fn new(folder: SpillFolder, memory: usize, threads: usize) -> Self {
        let buffer = EventBuffer::default();
        let in_background = threads > 1;
        Self { buffer, folder, memory, in_background, spilling: None, spilled: 0, runs: Vec::new() }
    }

    pub(crate) fn folder(&self) -> &SpillFolder {
        &self.folder
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.len() == 0 && self.runs.is_empty() && self.spilling.is_none()
    }

    /// Whether the buffer must be spilled.
    pub(crate) fn is_full(&self) -> bool {
        let parts = if self.in_background { 2 } else { 1 };
        self.buffer.memory() >= self.memory / parts
    }

    /// Events that arrived before all others, in file order. They are merged only at the end.
    pub(crate) fn begin_with(&mut self, run: Run) {
        self.runs.push((u32::MAX, run));
    }

    /// Writes the buffer out as a run.
    pub(crate) fn spill(&mut self) -> Result<()> {
        let spare = self.wait()?;
        let full = std::mem::replace(&mut self.buffer, spare);
        let folder = self.folder.clone();
        self.spilled = self.spilled.saturating_add(full.memory());
        let compress = self.spilled > self.memory.saturating_mul(UNCOMPRESSED);
        if self.in_background {
            let thread = std::thread::Builder::new().spawn(move || write_out(full, &folder, compress));
            self.spilling = Some(thread.map_err(Error::io("cannot start a thread"))?);
            return Ok(());
        }
        let (run, spare) = write_out(full, &folder, compress)?;
        self.buffer = spare;
        self.add_run(run)
    }

    /// Waits for the buffer that is being written out, which can be filled again.
    fn wait(&mut self) -> Result<EventBuffer> {
        let Some(thread) = self.spilling.take() else { return Ok(EventBuffer::default()) };
        let lost = |_| Error::Invalid("a thread that sorts events ended early".into());
        let (run, spare) = thread.join().map_err(lost)??;
        self.add_run(run)?;
        Ok(spare)
    }

    fn add_run(&mut self, run: RunReader) -> Result<()> {
        self.runs.push((0, Run::Spilled(Box::new(run))));
        // Neighbours of equal level are merged, so that an event is written again only a few times in all.
        while let Some(&(level, _)) = self.runs.last() {
            let equal = self.runs.iter().rev().take_while(|(other, _)| *other == level).count();
            if equal < self.most_runs() {
                break;
            }
            let runs = self.runs.split_off(self.runs.len() - equal).into_iter().map(|(_, run)| run).collect();
            let merged = self.merge_into_one(runs)?;
            self.runs.push((level + 1, merged));
        }
        Ok(())
    }

    /// All events as sorted runs, an earlier one's first among equals, and about how much memory these take.
    pub(crate) fn finish(&mut self) -> Result<(Vec<Run>, usize)> {
        drop(self.wait()?);
        let mut runs: Vec<Run> = std::mem::take(&mut self.runs).into_iter().map(|(_, run)| run).collect();
        let buffer = std::mem::take(&mut self.buffer);
        let memory = buffer.memory() + runs.len() * RUN_MEMORY;
        runs.push(Run::of_buffer(buffer));
        Ok((runs, memory))
    }

    /// Merges neighbours until there are few enough runs to be merged at once.
    pub(crate) fn reduce(&self, mut runs: Vec<Run>) -> Result<Vec<Run>> {
        while runs.len() > self.most_runs() {
            let mut merged = Vec::new();
            while !runs.is_empty() {
                let rest = runs.split_off(runs.len().min(self.most_runs()));
                merged.push(self.merge_into_one(std::mem::replace(&mut runs, rest))?);
            }
            runs = merged;
        }
        Ok(runs)
    }

    fn merge_into_one(&self, runs: Vec<Run>) -> Result<Run> {
        let mut merged = RunWriter::new(&self.folder, true)?;
        Merge::new(runs)?.for_each(|event| merged.add(event))?;
        Ok(Run::Spilled(Box::new(merged.finish()?)))
    }

    /// How many runs are merged at once.
    fn most_runs(&self) -> usize {
        (self.memory / 6 / RUN_MEMORY).clamp(8, MOST_RUNS)
    }
}

impl Drop for Sorter {
    fn drop(&mut self) {
        if let Some(thread) = self.spilling.take() {
            let _ = thread.join();
        }
    }
}

/// Sorts a buffer and writes it out; returns the run and the buffer, emptied.
fn write_out(
    mut buffer: EventBuffer,
    folder: &SpillFolder,
    compress: bool,
) -> Result<(RunReader, EventBuffer)> {
    buffer.sort();
    let mut run = RunWriter::new(folder, compress)?;
    for at in 0..buffer.len() {
        run.add(&buffer.event(at))?;
        buffer.forget(at);
    }
    buffer.clear();
    Ok((run.finish()?, buffer))
}
