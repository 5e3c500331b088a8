//! Every call of the writer and the reader to their storage fails, is interrupted or falls short; the power fails at every
//! instant. Never a false success, never a part of a file under its name, what was there before untouched.

mod disk;
mod power;
mod reading;
mod writing;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::compression::Codec;
use crate::error::{Error, Result};
use crate::event::EventBuf;
use crate::reader::{Reader, ReaderOptions};
use crate::source::PlainFile;
use crate::storage::{Storage, uninterrupted};
use crate::verify::VerifyLevel;
use crate::writer::{WriterOptions, merge};

use disk::{Disk, Fault};

const TARGET: &str = "/disk/events.esdb";
const INPUTS: [&str; 2] = ["/disk/a.esdb", "/disk/b.esdb"];
/// Of a process that is gone.
const LEFTOVER: &str = "/disk/events.esdb.tmp-4294967295-7";

/// What a call can meet.
const FAULTS: [Fault; 5] = [
    Fault::Fails(ErrorKind::StorageFull),
    Fault::Fails(ErrorKind::Other),
    Fault::Fails(ErrorKind::QuotaExceeded),
    Fault::Interrupted,
    Fault::Short,
];

/// A way through the writer.
struct Case {
    name: &'static str,
    /// Whether a file under the name is replaced.
    replaces: bool,
    work: fn(&Disk, WriterOptions) -> Result<()>,
}

const CASES: [Case; 5] = [
    Case { name: "in order", replaces: false, work: |disk, options| write(disk, options, &events(300, 40)) },
    Case { name: "in order, replacing", replaces: true, work: |disk, options| write(disk, options, &[]) },
    Case { name: "spills", replaces: true, work: spilling },
    Case { name: "late events", replaces: false, work: late },
    Case { name: "merge", replaces: true, work: merging },
];

/// Events in file order.
fn events(count: u32, data_len: usize) -> Vec<EventBuf> {
    let event = |i: u32| EventBuf {
        space: vec![b's', (i / 100) as u8],
        grouping: vec![(i / 30) as u8],
        timestamp: i64::from(i * 37 % 1000),
        indexes: vec![(b"type".to_vec(), format!("{}", i % 7).into_bytes())],
        data: (0..data_len)
            .map(|at| (disk::dice((u64::from(i) << 32) | (at as u64 / 16)) & 0x3F) as u8)
            .collect(),
    };
    let mut events: Vec<EventBuf> = (0..count).map(event).collect();
    events.sort_by(EventBuf::cmp_file_order);
    events
}

fn write(disk: &Disk, options: WriterOptions, events: &[EventBuf]) -> Result<()> {
    let mut writer = options.create_in(Arc::new(disk.clone()), Path::new(TARGET))?;
    for event in events {
        writer.add(event.as_event())?;
    }
    writer.finish().map(drop)
}

/// So little memory that every few events are a run, and runs are merged before the end.
fn spilling(disk: &Disk, options: WriterOptions) -> Result<()> {
    let mut events = events(20, 3_000);
    events.reverse();
    events[3].data = vec![b'x'; 2 << 20];
    write(disk, options.memory(64 << 10), &events)
}

/// Blocks are written before the first late event, and read again.
fn late(disk: &Disk, options: WriterOptions) -> Result<()> {
    let mut events = events(30, 500);
    events[20].data = vec![b'y'; 4 << 20];
    events.rotate_left(5);
    write(disk, options, &events)
}

/// Reads two files of the disk.
fn merging(disk: &Disk, options: WriterOptions) -> Result<()> {
    let inputs: Vec<Reader> = INPUTS.iter().map(|path| open(disk, Path::new(path))).collect::<Result<_>>()?;
    merge(&inputs, options.create_in(Arc::new(disk.clone()), Path::new(TARGET))?).map(drop)
}

fn open(disk: &Disk, path: &Path) -> Result<Reader> {
    let len = disk.get(path).map_or(0, |bytes| bytes.len() as u64);
    let file = uninterrupted(|| disk.open(path)).map_err(Error::io("cannot open"))?;
    ReaderOptions::new().open_source(Box::new(PlainFile::new(file, len)))
}

fn options() -> WriterOptions {
    WriterOptions::new().codec(Codec::Lz4).spill_folder("/spill").block_events_for_tests(10)
}

impl Case {
    /// A disk as the case finds it.
    fn disk(&self) -> Disk {
        let disk = Disk::default();
        disk.put(Path::new(LEFTOVER), b"left behind");
        if self.replaces {
            disk.put(Path::new(TARGET), b"what was there before");
        }
        for (path, step) in INPUTS.iter().zip([2, 3]) {
            let events: Vec<_> = events(120, 100).into_iter().step_by(step).collect();
            let other = Disk::default();
            write(&other, options().threads(1), &events).expect("input");
            disk.put(Path::new(path), &other.get(Path::new(TARGET)).expect("input"));
        }
        disk
    }

    fn run(&self, disk: &Disk, threads: usize) -> Result<()> {
        (self.work)(disk, options().threads(threads).replace(self.replaces))
    }

    /// The file that the case makes when nothing fails, and the calls for it.
    fn whole(&self) -> (Vec<u8>, Vec<&'static str>) {
        let disk = self.disk();
        self.run(&disk, 1).expect(self.name);
        let bytes = disk.get(Path::new(TARGET)).expect(self.name);
        let file = Reader::from_bytes(bytes.clone()).expect(self.name);
        assert!(file.verify(VerifyLevel::Deep).is_ok(), "{}", self.name);
        assert!(!disk.names().contains(Path::new(LEFTOVER)), "{}", self.name);
        (bytes, disk.calls())
    }
}
