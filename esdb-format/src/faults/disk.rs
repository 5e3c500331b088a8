//! A disk in memory whose calls fail when they are told to, and whose power can fail at any call.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Kind, Storage, StoredFile};

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails; an append may have done a part before.
    Fails(ErrorKind),
    /// It is interrupted before it does anything. From then on: every call once.
    Interrupted,
    /// It transfers a half.
    Short,
    Panics,
}

/// Which call meets it, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) at: usize,
    pub(crate) fault: Fault,
    pub(crate) from_then_on: bool,
}

/// What of the unsynced data, or of the unsynced names, is there after the power failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    Nothing,
    All,
    /// The second half of what was done.
    Later,
    /// Each write or change, or a part of it, as dice decide.
    Random(u64),
}

/// What may stand under a name after the power failed, at every instant of a run.
pub(crate) struct Watch {
    pub(crate) path: PathBuf,
    pub(crate) allowed: Vec<Option<Vec<u8>>>,
    pub(crate) patterns: Vec<(Kept, Kept)>,
    /// How many states were looked at.
    pub(crate) visited: usize,
    /// How many of them had each of the allowed contents.
    pub(crate) seen: Vec<usize>,
    pub(crate) violations: Vec<String>,
}

#[derive(Default)]
struct State {
    files: Vec<Stored>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable; those of one change come together.
    changes: Vec<Vec<(PathBuf, Option<usize>)>>,
    calls: Vec<&'static str>,
    plan: Option<Plan>,
    just_interrupted: bool,
    fired: Vec<&'static str>,
    watch: Option<Watch>,
}

#[derive(Default)]
struct Stored {
    bytes: Vec<u8>,
    durable_len: usize,
    unsynced: Vec<Range<usize>>,
    is_locked: bool,
}

/// Shared by all who use it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a durable file there.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let durable_len = bytes.len();
        state.files.push(Stored { bytes: bytes.to_vec(), durable_len, ..Stored::default() });
        let file = state.files.len() - 1;
        state.names.insert(path.to_owned(), file);
        state.durable_names.insert(path.to_owned(), file);
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).map(|&file| state.files[file].bytes.clone())
    }

    pub(crate) fn names(&self) -> BTreeSet<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    pub(crate) fn plan(&self, plan: Option<Plan>) {
        self.state().plan = plan;
    }

    /// The calls that were made.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// The calls that met a fault.
    pub(crate) fn fired(&self) -> Vec<&'static str> {
        self.state().fired.clone()
    }

    pub(crate) fn watch(&self, watch: Watch) {
        self.state().watch = Some(watch);
    }

    pub(crate) fn watched(&self) -> Option<Watch> {
        self.state().watch.take()
    }

    /// What stands under a name after the power failed now.
    pub(crate) fn after_crash(&self, path: &Path, data: Kept, names: Kept) -> Option<Vec<u8>> {
        self.state().after_crash(path, data, names)
    }

    /// Counts a call; true if it is to transfer a half.
    fn call(&self, name: &'static str) -> io::Result<bool> {
        let mut state = self.state();
        let at = state.calls.len();
        state.calls.push(name);
        let Some(plan) = state.plan else { return Ok(false) };
        if at != plan.at && !(plan.from_then_on && at > plan.at) {
            return Ok(false);
        }
        match plan.fault {
            Fault::Interrupted if std::mem::take(&mut state.just_interrupted) => return Ok(false),
            Fault::Short if !matches!(name, "append" | "read_at") => return Ok(false),
            _ => state.fired.push(name),
        }
        match plan.fault {
            Fault::Fails(kind) => Err(kind.into()),
            Fault::Interrupted => {
                state.just_interrupted = true;
                Err(ErrorKind::Interrupted.into())
            }
            Fault::Short => Ok(true),
            Fault::Panics => {
                drop(state);
                panic!("as the plan says");
            }
        }
    }

    fn create_file(state: &mut State) -> usize {
        state.files.push(Stored::default());
        state.files.len() - 1
    }

    fn handle(&self, file: usize) -> Box<dyn StoredFile> {
        Box::new(Handle { disk: self.clone(), file, locks: Mutex::new(false) })
    }
}

impl State {
    fn change(&mut self, change: Vec<(PathBuf, Option<usize>)>) {
        apply(&mut self.names, &change);
        self.changes.push(change);
        self.look();
    }

    /// Looks at what would be there if the power failed now.
    fn look(&mut self) {
        let Some(mut watch) = self.watch.take() else { return };
        for &(data, names) in &watch.patterns {
            let found = self.after_crash(&watch.path, data, names);
            watch.visited += 1;
            match watch.allowed.iter().position(|allowed| *allowed == found) {
                Some(which) => watch.seen[which] += 1,
                None => {
                    let len = found.map_or(0, |bytes| bytes.len());
                    let call = (self.calls.len(), self.calls.last());
                    watch.violations.push(format!("call {call:?}, {data:?}, {names:?}: {len} bytes"));
                }
            }
        }
        self.watch = Some(watch);
    }

    fn after_crash(&self, path: &Path, data: Kept, names: Kept) -> Option<Vec<u8>> {
        let mut there = self.durable_names.clone();
        for (at, change) in self.changes.iter().enumerate() {
            if names.keeps(at, self.changes.len()) {
                apply(&mut there, change);
            }
        }
        let file = &self.files[*there.get(path)?];
        let mut bytes = file.bytes[..file.durable_len].to_vec();
        for (at, write) in file.unsynced.iter().enumerate() {
            if data.keeps(at, file.unsynced.len()) {
                // What was not kept before it reads as zeros, and only its first sectors may be there.
                bytes.resize(write.start, 0);
                let len =
                    if matches!(data, Kept::Random(_)) { write.len() / 1024 * 512 } else { write.len() };
                bytes.extend_from_slice(&file.bytes[write.start..write.start + len]);
            }
        }
        Some(bytes)
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &[(PathBuf, Option<usize>)]) {
    for (path, file) in change {
        match file {
            Some(file) => names.insert(path.clone(), *file),
            None => names.remove(path),
        };
    }
}

impl Kept {
    fn keeps(self, at: usize, count: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Later => at >= count / 2,
            Self::Random(seed) => dice(seed ^ at as u64) & 1 == 1,
        }
    }
}

/// splitmix64.
pub(crate) fn dice(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Storage for Disk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        self.call("kind")?;
        Ok(self.state().names.contains_key(path).then_some(Kind::File))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.call("create")?;
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let file = Self::create_file(&mut state);
        state.change(vec![(path.to_owned(), Some(file))]);
        Ok(self.handle(file))
    }

    fn spill(&self, _: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.call("spill")?;
        let file = Self::create_file(&mut self.state());
        Ok(self.handle(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.call("open")?;
        let file = *self.state().names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(self.handle(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename")?;
        let mut state = self.state();
        let file = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.change(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("link")?;
        let mut state = self.state();
        let file = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        if state.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.change(vec![(to.to_owned(), Some(file))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove")?;
        let mut state = self.state();
        if !state.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.call("sync_folder")?;
        let mut state = self.state();
        state.durable_names = state.names.clone();
        state.changes.clear();
        state.look();
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.call("list")?;
        let names = self.names();
        let here = names.iter().filter(|path| path.parent() == Some(folder));
        Ok(here.filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect())
    }
}

struct Handle {
    disk: Disk,
    file: usize,
    /// Whether the file's lock is this handle's.
    locks: Mutex<bool>,
}

impl StoredFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let called = self.disk.call("append");
        let len = if matches!(called, Ok(false)) { bytes.len() } else { bytes.len().div_ceil(2) };
        if called.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut state = self.disk.state();
        let file = &mut state.files[self.file];
        let start = file.bytes.len();
        file.bytes.extend_from_slice(&bytes[..len]);
        file.unsynced.push(start..start + len);
        state.look();
        called.map(|_| len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let halves = self.disk.call("read_at")?;
        let state = self.disk.state();
        let bytes = state.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let mut len = bytes.len().min(buffer.len());
        if halves {
            len = len.div_ceil(2);
        }
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call("sync")?;
        let mut state = self.disk.state();
        let file = &mut state.files[self.file];
        file.durable_len = file.bytes.len();
        file.unsynced.clear();
        state.look();
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.disk.call("try_lock")?;
        let mut state = self.disk.state();
        let free = !std::mem::replace(&mut state.files[self.file].is_locked, true);
        *self.locks.lock().unwrap_or_else(PoisonError::into_inner) |= free;
        Ok(free)
    }

    fn is_named(&self) -> io::Result<bool> {
        self.disk.call("is_named")?;
        Ok(self.disk.state().names.values().any(|&file| file == self.file))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if *self.locks.lock().unwrap_or_else(PoisonError::into_inner) {
            self.disk.state().files[self.file].is_locked = false;
        }
    }
}
