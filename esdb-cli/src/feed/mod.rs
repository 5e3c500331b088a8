//! Events of the inputs, read and parsed on a thread of their own.
//!
//! ```text
//! reader thread:  input -> line -> event -> batch ─┐ handed over when this thread is ready for it
//! this thread:    each(event) <- batch <───────────┘
//!                     └─ empty batches go back and are filled again
//! ```

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use esdb_format::{Event, EventBuf};

use crate::input::args::Input;
use crate::input::errors::Fault;
use crate::input::rejects::Rejects;
use crate::outcome::Failure;
use crate::progress::Progress;

/// A batch is handed on when it takes so many bytes.
const BATCH: usize = 1 << 20;

/// What was read when all inputs ended.
pub(crate) struct Fed {
    pub(crate) rejects: Rejects,
    /// Bytes of the inputs, before unpacking.
    pub(crate) bytes: u64,
}

/// Hands every event of `inputs` to `each`, in order.
///
/// # Errors
///
/// The first failure of an input, of the file of rejects, or of `each`. After a failure of `each` the thread
/// may still wait for its input; it ends with the process.
pub(crate) fn for_each(
    inputs: Vec<Input>,
    rejects: Rejects,
    progress: &Progress,
    mut each: impl FnMut(Event<'_>) -> Result<(), Failure>,
) -> Result<Fed, Failure> {
    // None waits in between: a batch can be as large as the largest event.
    let (full, batches) = sync_channel::<Batch>(0);
    let (empty, spare) = channel();
    let reading = Reading { rejects, progress: progress.clone(), batch: Batch::default(), full, spare };
    let reader = thread::Builder::new().spawn(move || reading.run(&inputs));
    let reader = reader.map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
    for mut batch in batches {
        batch.events().try_for_each(&mut each)?;
        batch.clear();
        // The reader may have ended already.
        let _ = empty.send(batch);
    }
    reader.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The reader thread's side.
struct Reading {
    rejects: Rejects,
    progress: Progress,
    batch: Batch,
    full: SyncSender<Batch>,
    spare: Receiver<Batch>,
}

impl Reading {
    fn run(mut self, inputs: &[Input]) -> Result<Fed, Failure> {
        let mut bytes = 0;
        let mut event = EventBuf::default();
        for input in inputs {
            let mut source = input.open()?;
            loop {
                match source.next(&mut event) {
                    Ok(true) => self.batch.push(&event),
                    Ok(false) => break,
                    Err(Fault::Malformed(malformed)) => {
                        let rejects = &mut self.rejects;
                        let mut talk = std::io::stderr();
                        self.progress.aside(|| rejects.take(malformed, &mut source, &mut talk))?;
                    }
                    Err(Fault::Fatal(fatal)) => return Err(fatal.into()),
                }
                if self.batch.is_full() {
                    self.progress.at(bytes + source.progress().read());
                    self.hand_on();
                }
            }
            bytes += source.progress().read();
            self.progress.at(bytes);
        }
        self.hand_on();
        self.rejects.finish()?;
        Ok(Fed { rejects: self.rejects, bytes })
    }

    fn hand_on(&mut self) {
        let next = self.spare.try_recv().unwrap_or_default();
        // Nobody takes it only after the other side has failed, which then is what the run ends with.
        let _ = self.full.send(std::mem::replace(&mut self.batch, next));
    }
}

/// Events one behind the other in a few large pieces of memory.
#[derive(Default)]
struct Batch {
    /// Space, grouping, data, then names and values, of each event.
    bytes: Vec<u8>,
    /// Where each of those parts ends.
    ends: Vec<usize>,
    /// Timestamp and number of index pairs of each event.
    heads: Vec<(i64, usize)>,
}

impl Batch {
    fn push(&mut self, event: &EventBuf) {
        let pairs = event.indexes.iter().flat_map(|(name, value)| [name, value]);
        for part in [&event.space, &event.grouping, &event.data].into_iter().chain(pairs) {
            self.bytes.extend_from_slice(part);
            self.ends.push(self.bytes.len());
        }
        self.heads.push((event.timestamp, event.indexes.len()));
    }

    fn is_full(&self) -> bool {
        self.bytes.len() + size_of_val(&self.ends[..]) + size_of_val(&self.heads[..]) >= BATCH
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let part = |(start, &end)| self.bytes.get(start..end).unwrap_or_default();
        let mut parts = starts.zip(&self.ends).map(part);
        self.heads.iter().map(move |&(timestamp, pairs)| {
            let mut next = || parts.next().unwrap_or_default();
            let (space, grouping, data) = (next(), next(), next());
            let indexes = (0..pairs).map(|_| (next(), next())).collect();
            Event { space, grouping, timestamp, indexes, data }
        })
    }

    /// Forgets the events. Memory that a large event took is given back.
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(2 * BATCH);
        self.ends.clear();
        self.heads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut event = EventBuf::default();
        let mut other = EventBuf { timestamp: -5, data: b"data".to_vec(), ..EventBuf::default() };
        other.indexes = vec![(b"n".to_vec(), b"".to_vec()), (b"".to_vec(), b"v".to_vec())];
        event.space = b"space".to_vec();
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.push(&event);
            batch.push(&other);
            batch.push(&EventBuf::default());
            let events: Vec<EventBuf> = batch.events().map(EventBuf::from).collect();
            assert_eq!(events, [event.clone(), other.clone(), EventBuf::default()]);
            batch.clear();
        }
    }
}
