//! Blocks on their way to a file: encoded by one thread or several, written in order by another.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::scribe::Scribe;
use crate::block::{BlockDraft, EncodedBlock, FrameCuts};
use crate::compression::{Codec, Compressor};
use crate::error::{Error, Result};

/// Drafts larger than this are encoded alone, so that several giant events are never in flight, in bytes.
const LARGE: usize = 8 << 20;

/// How much memory the drafts take whose blocks are not written yet, in bytes.
const IN_FLIGHT: usize = 24 << 20;

/// Encodes drafts and writes blocks.
pub(crate) struct Pipeline {
    encoder: Encoder,
    scribe: Arc<Mutex<Scribe>>,
    pool: Option<Pool>,
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

/// Threads that encode, and one that writes.
struct Pool {
    jobs: Option<Sender<BlockDraft>>,
    /// Drafts whose blocks are written, emptied; or why one could not be.
    written: Receiver<Result<BlockDraft>>,
    threads: Vec<JoinHandle<()>>,
    /// Memory of the drafts that were handed over and have not come back.
    in_flight: usize,
}

/// What a thread that encodes hands to the one that writes.
type Encoded = (BlockDraft, Result<EncodedBlock>);

impl Pipeline {
    /// With one thread blocks are encoded and written by the caller; with more, that many threads encode and another one writes.
    pub(crate) fn new(
        scribe: Scribe,
        codec: Codec,
        cuts: FrameCuts,
        dictionary: &[u8],
        threads: usize,
    ) -> Result<Self> {
        let encoder = || Encoder::new(codec, cuts, dictionary);
        let scribe = Arc::new(Mutex::new(scribe));
        let pool = match threads {
            1 => None,
            _ => Some(Pool::start((0..threads).map(|_| encoder()).collect::<Result<_>>()?, &scribe)?),
        };
        Ok(Self { encoder: encoder()?, scribe, pool, spare: Vec::new() })
    }

    /// An empty draft.
    pub(crate) fn draft(&mut self) -> BlockDraft {
        self.spare.pop().unwrap_or_default()
    }

    /// Hands a draft over. Waits until there is room for it.
    pub(crate) fn add(&mut self, mut draft: BlockDraft) -> Result<()> {
        let memory = draft.memory();
        match &mut self.pool {
            Some(pool) if memory <= LARGE => {
                pool.in_flight += memory;
                pool.send(draft)?;
                self.collect(IN_FLIGHT)
            }
            _ => {
                self.encode_here(&draft, draft.payload())?;
                if memory <= LARGE {
                    draft.clear();
                    self.spare.push(draft);
                }
                Ok(())
            }
        }
    }

    /// Encodes a draft here and now, with `data` of all its events, and writes it.
    pub(crate) fn encode_here(&mut self, draft: &BlockDraft, data: &[u8]) -> Result<()> {
        self.collect(0)?;
        let block = self.encoder.encode(draft, data)?;
        lock(&self.scribe).write(draft, data, &block)
    }

    /// Waits until at most `most` bytes of drafts are in flight, and takes back those that can be used again.
    fn collect(&mut self, most: usize) -> Result<()> {
        while let Some(pool) = &mut self.pool {
            let draft = if pool.in_flight > most {
                pool.written.recv().map_err(|_| lost_worker())??
            } else if let Ok(written) = pool.written.try_recv() {
                written?
            } else {
                break;
            };
            pool.in_flight -= draft.memory();
            self.spare.push(draft);
        }
        Ok(())
    }

    /// Writes all that is in flight.
    pub(crate) fn finish(mut self) -> Result<Scribe> {
        self.collect(0)?;
        // The thread that writes ends, and with it the other one who knows the scribe.
        self.pool = None;
        let scribe = Arc::into_inner(self.scribe).ok_or_else(lost_worker)?;
        Ok(scribe.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

fn lock(scribe: &Mutex<Scribe>) -> MutexGuard<'_, Scribe> {
    scribe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost_worker() -> Error {
    Error::Invalid("a thread that encodes or writes blocks ended early".into())
}

impl Pool {
    fn start(encoders: Vec<Encoder>, scribe: &Arc<Mutex<Scribe>>) -> Result<Self> {
        let (jobs, queue) = channel::<BlockDraft>();
        let queue = Arc::new(Mutex::new(queue));
        let (encoded, blocks) = channel::<Encoded>();
        let (sender, written) = channel();
        let mut pool = Self { jobs: Some(jobs), written, threads: Vec::new(), in_flight: 0 };
        for mut encoder in encoders {
            let (queue, encoded) = (Arc::clone(&queue), encoded.clone());
            pool.spawn(move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(draft) = job else { return };
                    // A panic is an answer, too: the others would wait for the block for ever.
                    let encode = || encoder.encode(&draft, draft.payload());
                    let block = catch_unwind(AssertUnwindSafe(encode));
                    let block = block.unwrap_or_else(|_| Err(lost_worker()));
                    if encoded.send((draft, block)).is_err() {
                        return;
                    }
                }
            })?;
        }
        let scribe = Arc::clone(scribe);
        pool.spawn(move || write_in_order(blocks, &scribe, &sender))?;
        Ok(pool)
    }

    fn spawn(&mut self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().spawn(work);
        self.threads.push(thread.map_err(Error::io("cannot start a thread"))?);
        Ok(())
    }

    fn send(&mut self, draft: BlockDraft) -> Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(draft).is_ok());
        if sent {
            return Ok(());
        }
        // Nobody takes drafts any more, and why was said before.
        let failure = self.written.try_iter().find_map(Result::err);
        Err(failure.unwrap_or_else(lost_worker))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Without jobs to come the threads that encode end, and with them the one that writes.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Writes blocks in the order of their events until no more come, or one cannot be written.
fn write_in_order(blocks: Receiver<Encoded>, scribe: &Mutex<Scribe>, written: &Sender<Result<BlockDraft>>) {
    let mut waiting = BTreeMap::new();
    for (draft, block) in blocks {
        waiting.insert(draft.first_ordinal, (draft, block));
        let mut scribe = lock(scribe);
        while let Some((mut draft, block)) = waiting.remove(&scribe.next_ordinal()) {
            let result = block.and_then(|block| scribe.write(&draft, draft.payload(), &block));
            draft.clear();
            let failed = result.is_err();
            if written.send(result.map(|()| draft)).is_err() || failed {
                return;
            }
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
        assert_eq!(result.unwrap_err().to_string(), "a thread that encodes or writes blocks ended early");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
