//! A run: files are built, every answer is checked, and then the contenders are asked in turn.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use esdb_format::Reader;

use crate::events::Events;
use crate::figures::{Figure, LIMIT, Unit};
use crate::import;
use crate::limits::{CodecLimits, Limits, middle};
use crate::memory;
use crate::peers::{Answered, Build, Peer};
use crate::question::{Answer, Question, Visitor};
use crate::reference;
use crate::rows::{self, Per, Row};
use crate::workload::Workload;

/// What is measured, and how often.
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) scale: f64,
    pub(crate) rounds: usize,
    pub(crate) peers: Vec<Box<dyn Peer>>,
    /// The command `esdb`.
    pub(crate) command: PathBuf,
}

/// Builds, which take long, are repeated no more often than this.
const BUILD_ROUNDS: usize = 3;
/// No contender is asked a question again that took longer than this in all, in seconds.
const PATIENCE: f64 = 15.0;
/// So often the questions of a row are asked again in a session, the median of which counts.
const AGAIN: usize = 5;
/// Everything in memory: what is measured is building, not spilling.
const AMPLE: usize = 8 << 30;

/// Measures everything; shows the figures of each workload when it is done.
pub(crate) fn run(options: &Options, mut show: impl FnMut(&[Figure]) -> Result<()>) -> Result<()> {
    for &workload in &options.workloads {
        let (folder, mut figures) = (tempfile::tempdir()?, Vec::new());
        Run::new(options, workload, folder.path(), &mut figures)?.all()?;
        show(&figures)?;
    }
    Ok(())
}

/// A workload's run.
struct Run<'a> {
    options: &'a Options,
    workload: Workload,
    count: u64,
    arriving: Events,
    ordered: Events,
    folder: &'a Path,
    figures: &'a mut Vec<Figure>,
}

impl<'a> Run<'a> {
    fn new(
        options: &'a Options,
        workload: Workload,
        folder: &'a Path,
        figures: &'a mut Vec<Figure>,
    ) -> Result<Self> {
        let count = (workload.full_size() as f64 * options.scale) as u64;
        eprintln!("{}: {count} events", workload.name());
        ensure!(count > 0, "no events at this scale");
        let arriving = Events::collect(count, |i| workload.event(i, count));
        let ordered = arriving.in_order();
        Ok(Self { options, workload, count, arriving, ordered, folder, figures })
    }

    fn all(&mut self) -> Result<()> {
        self.builds()?;
        self.sizes()?;
        memory::measure(self.workload, self.count, &self.options.peers, self.figures)?;
        import::measure(self.workload, &self.arriving, &self.options.command, self.folder, self.figures)?;
        let files: Vec<(_, PathBuf)> =
            self.options.peers.iter().filter_map(|peer| Some((peer.codec()?, self.path(&**peer)))).collect();
        let files: Vec<_> = files.iter().map(|(codec, path)| (*codec, path.as_path())).collect();
        let mut codecs = CodecLimits::compress(&self.ordered, &files)?;
        let any = files.first().map_or(Path::new("/proc/self/exe"), |file| file.1);
        let limits = Limits::measure(&self.ordered, any, self.options.rounds)?;
        for row in rows::of(self.workload, &self.ordered) {
            self.ask(&row, &limits, &mut codecs)?;
            if row.per == Per::Rate {
                self.limits(&limits, &codecs);
                codecs.forget();
            }
        }
        Ok(())
    }

    fn path(&self, peer: &dyn Peer) -> PathBuf {
        self.folder.join(peer.name())
    }

    fn figure(&mut self, row: &str, contender: &str, unit: Unit, value: f64, limit: Option<f64>) {
        self.figures.push(Figure {
            workload: self.workload,
            row: row.into(),
            contender: contender.into(),
            unit,
            value,
            limit,
        });
    }

    fn builds(&mut self) -> Result<()> {
        let variants = [
            ("build in order, one thread", true, 1),
            ("build in order, two threads", true, 2),
            ("build as they arrive, one thread", false, 1),
            ("build as they arrive, two threads", false, 2),
        ];
        let mut times: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
        let mut digests = HashMap::new();
        for round in 0..self.options.rounds.min(BUILD_ROUNDS) {
            for (label, in_order, threads) in variants {
                for peer in &self.options.peers {
                    // What only writes again what another contender wrote is built once, after the others.
                    let last = (in_order, threads) == (false, 1);
                    if !peer.builds_from_memory() && (round > 0 || !last) {
                        continue;
                    }
                    let how = Build { workload: self.workload, in_order, threads, memory: AMPLE };
                    let path = self.path(&**peer);
                    let new = path.with_extension("new");
                    let events = if in_order { &self.ordered } else { &self.arriving };
                    let start = Instant::now();
                    if !peer.build(events, how, &new)? {
                        continue;
                    }
                    let seconds = start.elapsed().as_secs_f64();
                    remove(&path)?;
                    std::fs::rename(new, &path)?;
                    if peer.builds_from_memory() {
                        times.entry((label, peer.name())).or_default().push(seconds);
                    }
                    if peer.codec().is_some() {
                        let digest = Reader::open(&path)?.file_digest();
                        let same = *digests.entry(peer.name()).or_insert(digest) == digest;
                        ensure!(same, "{}: {label} gives other bytes", peer.name());
                    }
                }
            }
        }
        for (label, ..) in variants {
            for peer in &self.options.peers {
                if let Some(times) = times.get_mut(&(label, peer.name())) {
                    let rate = self.count as f64 / middle(times);
                    self.figure(label, peer.name(), Unit::EventsPerSecond, rate, None);
                }
            }
        }
        Ok(())
    }

    /// Bytes for each event, and what a file grows by through its indexes.
    fn sizes(&mut self) -> Result<()> {
        let stripped = self.ordered.without_indexes();
        let how = Build { workload: self.workload, in_order: true, threads: 1, memory: AMPLE };
        for peer in &self.options.peers {
            let size = peer.size(&self.path(&**peer))?;
            self.figure("file size", peer.name(), Unit::BytesPerEvent, size as f64 / self.count as f64, None);
            if peer.has_indexes() {
                let path = self.folder.join("without");
                peer.build(&stripped, how, &path)?;
                let grown = size.saturating_sub(peer.size(&path)?) as f64 / self.ordered.entries() as f64;
                remove(&path)?;
                self.figure("index entry", peer.name(), Unit::BytesPerEntry, grown, None);
            }
        }
        Ok(())
    }

    fn limits(&mut self, limits: &Limits, codecs: &CodecLimits) {
        self.figure("memcpy", LIMIT, Unit::BytesPerSecond, limits.memcpy, None);
        self.figure("sum over a mapped file", LIMIT, Unit::BytesPerSecond, limits.sum_of_map, None);
        self.figure("open + map + two page faults", LIMIT, Unit::Seconds, limits.open_and_two_faults, None);
        for (limit, bytes) in codecs.codecs() {
            let name = limit.codec.name();
            let each = bytes as f64 / self.count as f64;
            self.figure(&format!("{name}: payload frames"), LIMIT, Unit::BytesPerEvent, each, None);
            self.figure(&format!("{name}: compress"), LIMIT, Unit::BytesPerSecond, limit.compress, None);
            let rate = codecs.decompress(limit.codec).unwrap_or(f64::NAN);
            self.figure(&format!("{name}: decompress"), LIMIT, Unit::BytesPerSecond, rate, None);
        }
    }

    /// Checks the answers of all contenders, and then asks them in turn.
    fn ask(&mut self, row: &Row, limits: &Limits, codecs: &mut CodecLimits) -> Result<()> {
        let right: Vec<Answer> =
            row.questions.iter().map(|question| reference::answer(&self.ordered, question)).collect();
        let events = right.iter().map(|answer| answer.events).sum::<u64>() as f64;
        let bytes = right.iter().map(|answer| answer.bytes).sum::<u64>() as f64;
        let mut able: Vec<(&dyn Peer, PathBuf, Times)> = Vec::new();
        for peer in &self.options.peers {
            let path = self.path(&**peer);
            if check(&**peer, &path, row, &right)
                .with_context(|| format!("{}: {}", peer.name(), row.label))?
            {
                able.push((&**peer, path, Times::default()));
            }
        }
        for _ in 0..self.options.rounds.max(1) {
            for (peer, path, times) in &mut able {
                if times.first.iter().sum::<f64>() < PATIENCE {
                    times.ask(*peer, path, row, (events as u64, bytes as u64))?;
                }
            }
            if row.per == Per::Rate {
                codecs.round()?;
            }
        }
        let questions = row.questions.len() as f64;
        let again = format!("{}, again", row.label);
        for (peer, _, mut times) in able {
            let seconds = middle(&mut times.first);
            let rate = peer.codec().and_then(|codec| codecs.decompress(codec));
            match row.per {
                Per::Rate => {
                    let limit = rate.map(|rate| rate * events / bytes);
                    self.figure(row.label, peer.name(), Unit::BytesPerSecond, bytes / seconds, rate);
                    self.figure(row.label, peer.name(), Unit::EventsPerSecond, events / seconds, limit);
                }
                Per::Event => {
                    self.figure(row.label, peer.name(), Unit::SecondsPerEvent, seconds / events, None)
                }
                Per::Question => {
                    let limit = match &row.questions[0] {
                        _ if row.opens => Some(limits.open_and_two_faults),
                        Question::Grouping { .. } => rate.map(|rate| bytes / questions / rate),
                        _ => None,
                    };
                    self.figure(row.label, peer.name(), Unit::Seconds, seconds / questions, limit);
                }
            }
            if !times.again.is_empty() {
                let seconds = middle(&mut times.again);
                let (unit, one) = if row.per == Per::Event {
                    (Unit::SecondsPerEvent, events)
                } else {
                    (Unit::Seconds, questions)
                };
                self.figure(&again, peer.name(), unit, seconds / one, None);
            }
        }
        Ok(())
    }
}

/// Whether the contender can answer; an error if it answers wrongly.
pub(crate) fn check(peer: &dyn Peer, path: &Path, row: &Row, right: &[Answer]) -> Result<bool> {
    let mut session = peer.open(path)?;
    for (question, right) in row.questions.iter().zip(right) {
        let mut visitor = Visitor::checking();
        if session.ask(question, &mut visitor)? == Answered::No {
            return Ok(false);
        }
        let found = visitor.answer(question);
        ensure!(found == *right, "{question:?} is answered with {found:?}, right is {right:?}");
    }
    Ok(true)
}

/// How long all questions of a row together took.
#[derive(Default)]
pub(crate) struct Times {
    /// In a new session, or one for each question if opening is a part of it.
    pub(crate) first: Vec<f64>,
    /// In the same session, of whose answers its caches may hold what they have room for.
    pub(crate) again: Vec<f64>,
}

impl Times {
    /// Asks a row's questions, whose answers have so many events and bytes together.
    pub(crate) fn ask(&mut self, peer: &dyn Peer, path: &Path, row: &Row, right: (u64, u64)) -> Result<()> {
        if row.opens {
            let mut visitor = Visitor::default();
            let start = Instant::now();
            for question in &row.questions {
                peer.open(path)?.ask(question, &mut visitor)?;
            }
            self.first.push(start.elapsed().as_secs_f64());
            return seen(peer, row, &visitor, right);
        }
        let mut session = peer.open(path)?;
        let mut pass = || {
            let (mut visitor, mut within) = (Visitor::default(), 0.0);
            let start = Instant::now();
            for question in &row.questions {
                if let Answered::Within(time) = session.ask(question, &mut visitor)? {
                    within += time.as_secs_f64();
                }
            }
            let seconds = if within > 0.0 { within } else { start.elapsed().as_secs_f64() };
            seen(peer, row, &visitor, right).map(|()| seconds)
        };
        self.first.push(pass()?);
        if row.per != Per::Rate {
            let mut again = (0..AGAIN).map(|_| pass()).collect::<Result<Vec<_>>>()?;
            self.again.push(middle(&mut again));
        }
        Ok(())
    }
}

fn seen(peer: &dyn Peer, row: &Row, visitor: &Visitor, right: (u64, u64)) -> Result<()> {
    ensure!(visitor.seen() == right, "{} answers {} otherwise than before", peer.name(), row.label);
    Ok(())
}

/// Removes a file or folder that may not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?;
    } else if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
