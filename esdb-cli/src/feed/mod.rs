//! Events of the inputs, read and parsed on threads of their own.
//!
//! ```text
//! parser threads:  inputs -> records -> events -> batch ─┐ handed over in the order of the records, when this
//! this thread:     each(event) <- batch <────────────────┘ thread is ready for it
//!                      └─ empty batches go back and are filled again
//! ```
//!
//! A parser takes what it parses from the inputs while it alone looks at them. Only where records cannot be told apart without
//! parsing them, nobody else takes any meanwhile.

mod batch;
mod turns;

use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use esdb_format::{Event, EventBuf};

use self::batch::Batch;
use self::turns::Turns;
use crate::input::Source;
use crate::input::args::Input;
use crate::input::errors::{Fatal, Fault};
use crate::input::rejects::Rejects;
use crate::outcome::Failure;
use crate::progress::Progress;

/// Parsing takes twice as long as what is done with the events, and one waits to hand on what it has.
const PARSERS: usize = 3;

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
/// The first failure of an input, of the file of rejects, or of `each`. After a failure of `each` a thread
/// may still wait for its input; it ends with the process.
pub(crate) fn for_each(
    inputs: Vec<Input>,
    rejects: Rejects,
    progress: &Progress,
    mut each: impl FnMut(Event<'_>) -> Result<(), Failure>,
) -> Result<Fed, Failure> {
    // None waits in between: a batch can be as large as the largest event.
    let (handed, parsed) = sync_channel(0);
    let feed = Arc::new(Feed {
        inputs: Mutex::new(Inputs { rest: inputs.into_iter(), open: None, ended: 0, turns: 0 }),
        turns: Turns::new(rejects),
        spare: Mutex::default(),
        progress: progress.clone(),
    });
    let parser = |_| {
        let parser = Parser::new(Arc::clone(&feed), handed.clone());
        thread::Builder::new().spawn(|| parser.run())
    };
    let parsers: Result<Vec<_>, _> = (0..PARSERS).map(parser).collect();
    let parsers = parsers.map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
    drop(handed);
    for parsed in parsed {
        let mut batch = match parsed {
            Parsed::Events(batch) => batch,
            Parsed::End(result) => return result,
        };
        batch.events().try_for_each(&mut each)?;
        batch.clear();
        lock(&feed.spare).push(batch);
    }
    parsers.into_iter().for_each(|parser| parser.join().unwrap_or_else(|panic| resume_unwind(panic)));
    Err(Failure::Failed("the inputs were not read to their end".to_owned()))
}

/// What a parser hands over.
enum Parsed {
    Events(Batch),
    End(Result<Fed, Failure>),
}

/// What all threads share.
struct Feed {
    inputs: Mutex<Inputs>,
    /// Whose turn it is to hand on events and to deal with malformed records.
    turns: Turns<Rejects>,
    spare: Mutex<Vec<Batch>>,
    progress: Progress,
}

/// The inputs, and how far they have been read.
struct Inputs {
    rest: std::vec::IntoIter<Input>,
    open: Option<Source>,
    /// Bytes of inputs that have ended.
    ended: u64,
    /// How often records were taken.
    turns: u64,
}

impl Inputs {
    /// The input that is read. Nothing at the end of the last one.
    fn source(&mut self) -> Result<Option<&mut Source>, Fatal> {
        if self.open.is_none() {
            self.open = self.rest.next().map(|input| input.open()).transpose()?;
        }
        Ok(self.open.as_mut())
    }

    /// Leaves the input that has ended.
    fn close(&mut self) {
        self.ended = self.read();
        self.open = None;
    }

    /// Bytes read so far, before unpacking.
    fn read(&self) -> u64 {
        self.ended + self.open.as_ref().map_or(0, |source| source.progress().read())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a parser stops before the end.
enum Stop {
    Failed(Failure),
    /// Nobody takes what it has: somebody else has failed, which then is what the run ends with.
    Unheard,
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// One of the threads that parse.
struct Parser {
    feed: Arc<Feed>,
    handed: SyncSender<Parsed>,
    turn: u64,
    /// While it is this thread's turn.
    rejects: Option<Rejects>,
    batch: Batch,
    event: EventBuf,
    /// Memory for text.
    text: Vec<u8>,
}

impl Parser {
    fn new(feed: Arc<Feed>, handed: SyncSender<Parsed>) -> Self {
        let (batch, event, text) = (Batch::default(), EventBuf::default(), Vec::new());
        Self { feed, handed, turn: 0, rejects: None, batch, event, text }
    }

    /// Takes turns with the others until all inputs have ended, or somebody has failed.
    fn run(mut self) {
        let feed = Arc::clone(&self.feed);
        let _end = feed.turns.end_with();
        let result = loop {
            match self.take_turn() {
                Ok(None) => {}
                Ok(Some(bytes)) => break Ok(bytes),
                Err(Stop::Failed(failure)) => break Err(failure),
                Err(Stop::Unheard) => return,
            }
        };
        // What was taken before comes first, whether it is events or a failure.
        let _ = self.wait();
        let Some(mut rejects) = self.rejects else { return };
        let finish = |bytes| {
            rejects.finish()?;
            Ok(Fed { rejects, bytes })
        };
        let _ = self.handed.send(Parsed::End(result.and_then(finish)));
    }

    /// Takes records, parses them and hands on their events. Returns the bytes read when there are no more.
    fn take_turn(&mut self) -> Result<Option<u64>, Stop> {
        let feed = Arc::clone(&self.feed);
        let mut inputs = lock(&feed.inputs);
        self.turn = inputs.turns;
        inputs.turns += 1;
        let Some(source) = inputs.source()? else { return Ok(Some(inputs.read())) };
        match source.take_whole(std::mem::take(&mut self.text))? {
            Some(mut records) => {
                feed.progress.at(inputs.read());
                drop(inputs);
                while self.parse(&mut records)? {
                    self.hand_on()?;
                }
                self.text = records.into_buffer();
            }
            None => {
                if !self.parse(source)? {
                    inputs.close();
                }
                feed.progress.at(inputs.read());
                drop(inputs);
            }
        }
        self.hand_on()?;
        if let Some(rejects) = self.rejects.take() {
            feed.turns.pass(rejects);
        }
        Ok(None)
    }

    /// Fills the batch with events of `source`. Returns false at its end.
    fn parse(&mut self, source: &mut Source) -> Result<bool, Stop> {
        while !self.batch.is_full() {
            match source.next(&mut self.event) {
                Ok(true) => self.batch.push(&self.event),
                Ok(false) => return Ok(false),
                Err(Fault::Malformed(malformed)) => {
                    let (progress, mut talk) = (self.feed.progress.clone(), std::io::stderr());
                    let rejects = self.wait()?;
                    progress.aside(|| rejects.take(malformed, source, &mut talk))?;
                }
                Err(Fault::Fatal(fatal)) => return Err(fatal.into()),
            }
        }
        Ok(true)
    }

    /// Hands the batch on when it is this thread's turn.
    fn hand_on(&mut self) -> Result<(), Stop> {
        self.wait()?;
        let next = lock(&self.feed.spare).pop().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        self.handed.send(Parsed::Events(batch)).map_err(|_| Stop::Unheard)
    }

    /// Waits for this thread's turn.
    fn wait(&mut self) -> Result<&mut Rejects, Stop> {
        if self.rejects.is_none() {
            self.rejects = self.feed.turns.wait_for(self.turn);
        }
        self.rejects.as_mut().ok_or(Stop::Unheard)
    }
}
