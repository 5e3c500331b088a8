//! A file being written: under a temporary name until it is whole (spec: none; the promise of the writer).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::tree::PageSink;

/// How many bytes are handed to the system at once.
const BUFFER: usize = 256 << 10;

/// Appends bytes, counts and digests them.
pub(crate) struct Output {
    file: File,
    buffer: Vec<u8>,
    offset: u64,
    hasher: Option<blake3::Hasher>,
    path: PathBuf,
}

impl Output {
    /// Writes to `file`, which is empty; `path` names it in errors.
    pub(crate) fn new(file: File, path: PathBuf, digest: bool) -> Self {
        let hasher = digest.then(blake3::Hasher::new);
        Self { file, buffer: Vec::with_capacity(BUFFER), offset: 0, hasher, path }
    }

    /// Where the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.offset += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            self.write_through(bytes)
        } else {
            self.buffer.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.write_through(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.file
            .write_all(bytes)
            .map_err(|source| Error::Io { context: format!("cannot write {}", self.path.display()), source })
    }

    /// The digest of everything written so far.
    pub(crate) fn digest(&mut self) -> Result<Digest> {
        self.flush()?;
        Ok(self.hasher.as_ref().map_or([0; 32], |hasher| hasher.finalize().into()))
    }

    /// The file, with everything written to it.
    pub(crate) fn into_file(mut self) -> Result<File> {
        self.flush()?;
        Ok(self.file)
    }
}

impl PageSink for Output {
    fn write_page(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.offset;
        self.write(bytes)?;
        Ok(offset)
    }
}

/// A file that has its final name only once it is published. Dropped before, it is removed.
pub(crate) struct Unpublished {
    temporary: PathBuf,
    target: PathBuf,
    replace: bool,
    published: bool,
}

/// Tells temporaries of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Unpublished {
    /// Creates the temporary file beside `target`: `NAME.tmp-PROCESS-NUMBER`.
    ///
    /// # Errors
    ///
    /// Invalid if the target exists and must not be replaced, or is a folder; I/O if the file cannot be created.
    pub(crate) fn create(target: &Path, replace: bool) -> Result<(Self, File)> {
        match fs::metadata(target) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::Invalid(format!("{} is a folder", target.display())));
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::Invalid(format!("{} is not a regular file", target.display())));
            }
            Ok(_) if !replace => return Err(exists(target)),
            _ => {}
        }
        let (temporary, file) = create_temporary(target)?;
        Ok((Self { temporary, target: target.to_owned(), replace, published: false }, file))
    }

    /// Begins again with an empty file. The old one stays readable for whoever has it open.
    pub(crate) fn renew(&mut self) -> Result<File> {
        let (temporary, file) = create_temporary(&self.target)?;
        let old = std::mem::replace(&mut self.temporary, temporary);
        fs::remove_file(&old).map_err(Error::io(format!("cannot remove {}", old.display())))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the finished file durable, then gives it its name, then makes the name durable.
    pub(crate) fn publish(mut self, file: &File) -> Result<()> {
        let target = self.target.display().to_string();
        file.sync_all().map_err(Error::io(format!("cannot sync {}", self.temporary.display())))?;
        if self.replace {
            fs::rename(&self.temporary, &self.target)
                .map_err(Error::io(format!("cannot publish {target}")))?;
        } else {
            self.publish_new()?;
        }
        self.published = true;
        sync_folder(&self.target).map_err(Error::io(format!("cannot sync the folder of {target}")))
    }

    /// Gives the file its name unless another one took it meanwhile.
    fn publish_new(&self) -> Result<()> {
        match fs::hard_link(&self.temporary, &self.target) {
            Ok(()) => {
                // The name is what counts; a temporary that stays behind is only litter.
                let _ = fs::remove_file(&self.temporary);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&self.target)),
            // File systems without links: the check and the rename are two steps.
            Err(_) if self.target.exists() => Err(exists(&self.target)),
            Err(_) => fs::rename(&self.temporary, &self.target)
                .map_err(Error::io(format!("cannot publish {}", self.target.display()))),
        }
    }
}

/// Creates a file beside `target` that nobody else has.
fn create_temporary(target: &Path) -> Result<(PathBuf, File)> {
    let Some(name) = target.file_name() else {
        return Err(Error::Invalid(format!("{} does not name a file", target.display())));
    };
    loop {
        let mut temporary = OsString::from(name);
        temporary.push(format!(".tmp-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = target.with_file_name(temporary);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // A leftover of another process with the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(format!("cannot create {}", temporary.display()))(error)),
        }
    }
}

fn exists(target: &Path) -> Error {
    Error::Invalid(format!("{} exists already", target.display()))
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure here, and the name says what it is.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
