//! Blocks on their way to a file: encoded by one thread or several, written in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::output::Output;
use crate::block::{BlockDraft, EncodedBlock, FrameCuts, Head};
use crate::compression::{Codec, Compressor};
use crate::error::{Error, Result};
use crate::header::Layout;

/// Drafts larger than this are encoded alone, so that several giant events are never in flight, in bytes.
const LARGE: usize = 8 << 20;

/// How much memory the drafts take that wait for a thread, or are with one, in bytes.
const IN_FLIGHT: usize = 24 << 20;

/// Encodes drafts and writes blocks.
pub(crate) struct Pipeline {
    layout: Layout,
    encoder: Encoder,
    pool: Option<Pool>,
    /// The number of the next draft, and of the next block to be written.
    next_draft: u64,
    next_block: u64,
    done: BTreeMap<u64, EncodedBlock>,
    /// Drafts whose memory can be used again.
    spare: Vec<BlockDraft>,
}

struct Encoder {
    cuts: FrameCuts,
    areas: Compressor,
    frames: Compressor,
}

impl Encoder {
    fn new(codec: Codec, cuts: FrameCuts, dictionary: &[u8]) -> Result<Self> {
        let areas = Compressor::new(codec, &[])?;
        Ok(Self { cuts, areas, frames: Compressor::new(codec, dictionary)? })
    }

    fn encode(&mut self, draft: &BlockDraft, data: &[u8]) -> Result<EncodedBlock> {
        #[cfg(test)]
        assert!(!data.starts_with(tests::PANICS), "as the data says");
        draft.encode(data, self.cuts, &mut self.areas, &mut self.frames)
    }
}

struct Pool {
    jobs: Option<Sender<(u64, BlockDraft)>>,
    results: Receiver<Done>,
    workers: Vec<JoinHandle<()>>,
    /// Memory of the drafts that were handed over and have not come back as blocks.
    in_flight: usize,
}

/// What a thread gives back.
struct Done {
    number: u64,
    draft: BlockDraft,
    block: Result<EncodedBlock>,
}

impl Pipeline {
    /// With one thread blocks are encoded by the caller; with more, that many threads do it.
    pub(crate) fn new(layout: Layout, cuts: FrameCuts, dictionary: &[u8], threads: usize) -> Result<Self> {
        let encoder = || Encoder::new(layout.codec, cuts, dictionary);
        let pool = match threads {
            1 => None,
            _ => Some(Pool::start((0..threads).map(|_| encoder()).collect::<Result<_>>()?)?),
        };
        Ok(Self {
            layout,
            encoder: encoder()?,
            pool,
            next_draft: 0,
            next_block: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
        })
    }

    /// An empty draft.
    pub(crate) fn draft(&mut self) -> BlockDraft {
        self.spare.pop().unwrap_or_default()
    }

    fn take_back(&mut self, mut draft: BlockDraft) {
        if draft.memory() <= LARGE {
            draft.clear();
            self.spare.push(draft);
        }
    }

    /// Hands a draft over. Blocks that are ready are written, and given to `written`.
    pub(crate) fn add(
        &mut self,
        draft: BlockDraft,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        let memory = draft.memory();
        match &mut self.pool {
            Some(Pool { jobs: Some(jobs), in_flight, .. }) if memory <= LARGE => {
                *in_flight += memory;
                jobs.send((self.next_draft, draft)).map_err(|_| lost_worker())?;
                self.next_draft += 1;
                self.collect(IN_FLIGHT, output, written)
            }
            _ => {
                self.encode_here(&draft, draft.payload(), output, written)?;
                self.take_back(draft);
                Ok(())
            }
        }
    }

    /// Encodes a draft here and now, with `data` of all its events, and writes it.
    pub(crate) fn encode_here(
        &mut self,
        draft: &BlockDraft,
        data: &[u8],
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        self.collect(0, output, written)?;
        let block = self.encoder.encode(draft, data)?;
        self.done.insert(self.next_draft, block);
        self.next_draft += 1;
        self.write_done(output, written)
    }

    /// Waits until at most `most` bytes of drafts are in flight, and writes what has come back.
    fn collect(
        &mut self,
        most: usize,
        output: &mut Output,
        written: &mut impl FnMut(&Head, &EncodedBlock) -> Result<()>,
    ) -> Result<()> {
        while let Some(pool) = &mut self.pool {
            let done = if pool.in_flight > most {
                pool.results.recv().map_err(|_| lost_worker())?
            } else if let Ok(done) = pool.results.try_recv() {
                done
            } else {
                break;
            };
            pool.in_flight -= done.draft.memory();
            self.done.insert(done.number, done.block?);
            self.take_back(done.draft);
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
        self.collect(0, output, written)
    }
}

fn lost_worker() -> Error {
    Error::Invalid("a thread that encodes blocks ended early".into())
}

impl Pool {
    fn start(encoders: Vec<Encoder>) -> Result<Self> {
        let (jobs, queue) = channel::<(u64, BlockDraft)>();
        let queue = Arc::new(Mutex::new(queue));
        let (sender, results) = channel();
        let mut pool = Self { jobs: Some(jobs), results, workers: Vec::new(), in_flight: 0 };
        for mut encoder in encoders {
            let (queue, sender) = (Arc::clone(&queue), sender.clone());
            let work = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, draft)) = job else { return };
                    // A panic is an answer, too: the others would wait for the block for ever.
                    let encode = || encoder.encode(&draft, draft.payload());
                    let block = catch_unwind(AssertUnwindSafe(encode));
                    let block = block.unwrap_or_else(|_| Err(lost_worker()));
                    let done = Done { number, draft, block };
                    if sender.send(done).is_err() {
                        return;
                    }
                }
            };
            let worker = std::thread::Builder::new().spawn(work);
            pool.workers.push(worker.map_err(Error::io("cannot start a thread"))?);
        }
        Ok(pool)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use crate::event::Event;
    use crate::writer::WriterOptions;

    /// A block whose data begins so cannot be encoded.
    pub(super) const PANICS: &[u8] = b"\0panic\0";

    #[test]
    fn a_panic_in_a_thread_ends_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let write = || -> crate::Result<()> {
                let mut writer = WriterOptions::new().threads(3).create(path)?;
                for i in 0..100 {
                    let data = if i == 10 { PANICS } else { b"data" };
                    let data = [data, &vec![i as u8; 600_000]].concat();
                    writer.add(Event::new("s", i, &data))?;
                }
                writer.finish().map(drop)
            };
            let _ = sender.send(write());
        });
        let result = ended.recv_timeout(Duration::from_secs(60)).expect("it waits for ever");
        assert_eq!(result.unwrap_err().to_string(), "a thread that encodes blocks ended early");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
