//! Blocks on their way to a file: encoded by one thread or several, written in order.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::block::{BlockDraft, EncodedBlock, Head};
use crate::compression::{Codec, Compressor};
use crate::error::{Error, Result};
use crate::header::Layout;
use crate::output::Output;

/// Drafts larger than this are encoded alone, so that several giant events are never in flight, in bytes.
const LARGE: usize = 8 << 20;

/// Encodes drafts and writes blocks.
pub(crate) struct Pipeline {
    layout: Layout,
    encoder: Encoder,
    pool: Option<Pool>,
    /// The number of the next draft, and of the next block to be written.
    next_draft: u64,
    next_block: u64,
    done: BTreeMap<u64, EncodedBlock>,
}

struct Encoder {
    frame_size: u32,
    areas: Compressor,
    frames: Compressor,
}

impl Encoder {
    fn new(codec: Codec, frame_size: u32, dictionary: &[u8]) -> Result<Self> {
        let areas = Compressor::new(codec, &[])?;
        Ok(Self { frame_size, areas, frames: Compressor::new(codec, dictionary)? })
    }

    fn encode(&mut self, draft: &BlockDraft) -> Result<EncodedBlock> {
        draft.encode(self.frame_size, &mut self.areas, &mut self.frames)
    }
}

struct Pool {
    jobs: Option<Sender<(u64, BlockDraft)>>,
    results: Receiver<(u64, Result<EncodedBlock>)>,
    workers: Vec<JoinHandle<()>>,
    most_in_flight: u64,
}

impl Pipeline {
    /// With one thread blocks are encoded by the caller; with more, that many threads do it.
    pub(crate) fn new(layout: Layout, dictionary: &[u8], threads: usize) -> Result<Self> {
        let encoder = || Encoder::new(layout.codec, layout.frame_size, dictionary);
        let pool = match threads {
            1 => None,
            _ => Some(Pool::start((0..threads).map(|_| encoder()).collect::<Result<_>>()?)),
        };
        Ok(Self { layout, encoder: encoder()?, pool, next_draft: 0, next_block: 0, done: BTreeMap::new() })
    }

    /// Hands a draft over. Blocks that are ready are written, and given to `written`.
    pub(crate) fn add(
        &mut self,
        draft: BlockDraft,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        match &self.pool {
            Some(Pool { jobs: Some(jobs), most_in_flight, .. }) if draft.memory() <= LARGE => {
                let most = *most_in_flight;
                jobs.send((self.next_draft, draft)).map_err(|_| lost_worker())?;
                self.next_draft += 1;
                self.collect(most, output, written)
            }
            _ => {
                // Nothing may be in flight; this draft, which no worker has, must not count as such.
                self.collect(1, output, written)?;
                let block = self.encoder.encode(&draft)?;
                drop(draft);
                self.done.insert(self.next_draft, block);
                self.next_draft += 1;
                self.write_done(output, written)
            }
        }
    }

    /// Waits until fewer than `most` drafts are in flight.
    fn collect(
        &mut self,
        most: u64,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        while let Some(pool) = &self.pool {
            let waiting = self.next_draft - self.next_block - self.done.len() as u64;
            let result = if waiting >= most {
                pool.results.recv().map_err(|_| lost_worker())?
            } else if let Ok(result) = pool.results.try_recv() {
                result
            } else {
                break;
            };
            self.done.insert(result.0, result.1?);
            self.write_done(output, written)?;
        }
        Ok(())
    }

    fn write_done(
        &mut self,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        while let Some(block) = self.done.remove(&self.next_block) {
            self.next_block += 1;
            let mut head = Head {
                offset: output.offset(),
                first_ordinal: block.first_ordinal,
                count: block.count,
                columns_len: block.columns.len() as u32,
                payload_len: block.frames.len() as u64,
                columns_checksum: block.columns_checksum,
                checksum: 0,
            };
            output.write(&head.encode(&self.layout))?;
            output.write(&block.columns)?;
            output.write(&block.frames)?;
            written(&head, &block)?;
        }
        Ok(())
    }

    /// Writes all that is in flight.
    pub(crate) fn finish(
        mut self,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        self.collect(1, output, written)
    }
}

fn lost_worker() -> Error {
    Error::Invalid("a thread that encodes blocks ended early".into())
}

impl Pool {
    fn start(encoders: Vec<Encoder>) -> Self {
        let (jobs, queue) = channel::<(u64, BlockDraft)>();
        let queue = Arc::new(Mutex::new(queue));
        let (sender, results) = channel();
        let most_in_flight = 2 * encoders.len() as u64 + 1;
        let workers = encoders
            .into_iter()
            .map(|mut encoder| {
                let (queue, sender) = (Arc::clone(&queue), sender.clone());
                std::thread::spawn(move || {
                    loop {
                        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((number, draft)) = job else { return };
                        if sender.send((number, encoder.encode(&draft))).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        Self { jobs: Some(jobs), results, workers, most_in_flight }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Without jobs to come the workers end.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
