//! A file under a temporary name until it is whole (spec: none; the promise of the writer).
//!
//! Whoever writes a temporary holds its advisory lock. A process that dies gives the lock back, so a temporary whose lock can be
//! taken is a leftover: the next writer of the same target removes it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::storage::{Kind, Storage, StoredFile, folder_of, uninterrupted};

/// What stands between the target's name and the numbers of process and temporary.
const MARK: &str = ".tmp-";

/// A file that has its final name only once it is published. Dropped before, it is removed.
pub(crate) struct Unpublished {
    storage: Arc<dyn Storage>,
    temporary: PathBuf,
    target: PathBuf,
    replace: bool,
    published: bool,
}

/// Tells temporaries of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The temporaries of this process.
static TEMPORARIES: Mutex<Temporaries> = Mutex::new(Temporaries { files: Vec::new(), abandoned: false });

struct Temporaries {
    files: Vec<(Arc<dyn Storage>, PathBuf)>,
    /// The process is about to end: there are no others to come.
    abandoned: bool,
}

fn temporaries() -> MutexGuard<'static, Temporaries> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all writers of this process, for a program that is about to end without dropping them, such as by
/// a signal.
///
/// The writers are of no use afterwards, and there can be no new ones: whatever they still do ends in an error, and publishes
/// nothing. A file that has its name already keeps it.
pub fn abandon_writers() {
    let mut temporaries = temporaries();
    temporaries.abandoned = true;
    for (storage, path) in temporaries.files.drain(..) {
        // Nothing can be done about a failure here: the next writer of the same target tries again.
        let _ = storage.remove(&path);
    }
}

impl Unpublished {
    /// Creates the temporary file beside `target`: `NAME.tmp-PROCESS-NUMBER`. Leftovers of processes that died are removed.
    ///
    /// # Errors
    ///
    /// Invalid if the target exists and must not be replaced, or is a folder; I/O if the file cannot be created.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        target: &Path,
        replace: bool,
    ) -> Result<(Self, Box<dyn StoredFile>)> {
        let kind = uninterrupted(|| storage.kind(target));
        match kind.map_err(Error::io(format!("cannot look at {}", target.display())))? {
            Some(Kind::Folder) => return Err(Error::Invalid(format!("{} is a folder", target.display()))),
            Some(_) if !replace => return Err(exists(target)),
            Some(Kind::Other) => {
                return Err(Error::Invalid(format!("{} is not a regular file", target.display())));
            }
            Some(Kind::File) | None => {}
        }
        remove_leftovers(&*storage, target);
        let (temporary, file) = create_temporary(&storage, target)?;
        Ok((Self { storage, temporary, target: target.to_owned(), replace, published: false }, file))
    }

    /// Begins again with an empty file. The old one stays readable for whoever has it open.
    pub(crate) fn renew(&mut self) -> Result<Box<dyn StoredFile>> {
        let (temporary, file) = create_temporary(&self.storage, &self.target)?;
        let old = std::mem::replace(&mut self.temporary, temporary);
        remove_temporary(&*self.storage, &old)
            .map_err(Error::io(format!("cannot remove {}", old.display())))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the finished file durable, then gives it its name, then makes the name durable.
    pub(crate) fn publish(mut self, file: &dyn StoredFile) -> Result<()> {
        let target = self.target.display().to_string();
        // Never a second time: the system may have dropped what it could not write.
        uninterrupted(|| file.sync())
            .map_err(Error::io(format!("cannot sync {}", self.temporary.display())))?;
        if self.replace {
            self.rename()?
        } else {
            self.publish_new()?
        }
        self.published = true;
        uninterrupted(|| self.storage.sync_folder(folder_of(&self.target)))
            .map_err(Error::io(format!("cannot sync the folder of {target}")))
    }

    fn rename(&self) -> Result<()> {
        uninterrupted(|| self.storage.rename(&self.temporary, &self.target))
            .map_err(Error::io(format!("cannot publish {}", self.target.display())))?;
        forget(&self.temporary);
        Ok(())
    }

    /// Gives the file its name unless another one took it meanwhile.
    fn publish_new(&self) -> Result<()> {
        if uninterrupted(|| self.storage.link(&self.temporary, &self.target)).is_ok() {
            // The name is what counts; a temporary that stays behind is only litter.
            let _ = remove_temporary(&*self.storage, &self.temporary);
            return Ok(());
        }
        // Taken, or a file system without links: there the check and the rename are two steps.
        let kind = uninterrupted(|| self.storage.kind(&self.target));
        match kind.map_err(Error::io(format!("cannot publish {}", self.target.display())))? {
            Some(_) => Err(exists(&self.target)),
            None => self.rename(),
        }
    }
}

/// Creates a file beside `target` that nobody else has, and locks it.
fn create_temporary(storage: &Arc<dyn Storage>, target: &Path) -> Result<(PathBuf, Box<dyn StoredFile>)> {
    let Some(name) = target.file_name() else {
        return Err(Error::Invalid(format!("{} does not name a file", target.display())));
    };
    loop {
        let mut temporary = name.to_owned();
        temporary.push(format!("{MARK}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = target.with_file_name(temporary);
        let mut temporaries = temporaries();
        if temporaries.abandoned {
            return Err(Error::Invalid("the writers of this process were abandoned".into()));
        }
        match uninterrupted(|| storage.create(&temporary)) {
            Ok(file) => {
                temporaries.files.push((Arc::clone(storage), temporary.clone()));
                drop(temporaries);
                if is_ours(&*file) {
                    return Ok((temporary, file));
                }
                forget(&temporary);
            }
            // A leftover of another process with the same number.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(format!("cannot create {}", temporary.display()))(error)),
        }
    }
}

/// Locks a new temporary. False if another writer took it for a leftover before that.
fn is_ours(file: &dyn StoredFile) -> bool {
    // Where there are no locks nobody removes leftovers.
    let locked = uninterrupted(|| file.try_lock()).unwrap_or(true);
    locked && uninterrupted(|| file.is_named()).unwrap_or(true)
}

fn remove_temporary(storage: &dyn Storage, path: &Path) -> std::io::Result<()> {
    let removed = uninterrupted(|| storage.remove(path));
    forget(path);
    removed
}

fn forget(path: &Path) {
    temporaries().files.retain(|(_, other)| other != path);
}

/// Removes the temporaries of `target` whose writers are gone. What cannot be looked at stays.
fn remove_leftovers(storage: &dyn Storage, target: &Path) {
    let Some(name) = target.file_name() else { return };
    for found in uninterrupted(|| storage.list(folder_of(target))).unwrap_or_default() {
        let numbers = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        if numbers.and_then(numbers_of).is_none_or(is_own) {
            continue;
        }
        let path = target.with_file_name(&found);
        let Ok(file) = uninterrupted(|| storage.open(&path)) else { continue };
        if uninterrupted(|| file.try_lock()).unwrap_or(false) {
            let _ = uninterrupted(|| storage.remove(&path));
        }
    }
}

/// Process and number of a temporary, from what stands behind the target's name.
fn numbers_of(rest: &[u8]) -> Option<(u32, u64)> {
    let rest = std::str::from_utf8(rest.strip_prefix(MARK.as_bytes())?).ok()?;
    let (process, number) = rest.split_once('-')?;
    Some((process.parse().ok()?, number.parse().ok()?))
}

/// Whether a temporary is this process's own: some systems grant a process a lock that it holds already.
fn is_own((process, number): (u32, u64)) -> bool {
    process == std::process::id() && number < NEXT.load(Ordering::Relaxed)
}

fn exists(target: &Path) -> Error {
    Error::Invalid(format!("{} exists already", target.display()))
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure here, and the name says what it is.
            let _ = remove_temporary(&*self.storage, &self.temporary);
        }
    }
}
