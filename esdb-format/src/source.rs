//! Where bytes come from: the small trait between format and storage, and its plain implementations.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, Section};
use crate::storage::{StoredFile, read_all_at};

/// Random access to the bytes of a file that does not change.
///
/// The library copies what it needs out of a source, checks the copy and decodes the copy.
pub trait Source: Send + Sync {
    /// The length in bytes.
    fn len(&self) -> u64;

    /// Whether there is not one byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a small read costs next to nothing, as in memory. Otherwise the tail of a file is read at once.
    fn is_memory(&self) -> bool {
        false
    }

    /// All bytes, if they are in memory and cannot change as long as this source lives. They are then used in place.
    ///
    /// A map does not qualify: its bytes change when somebody writes to the file.
    fn owned(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the source ends before; what the storage reports otherwise.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Makes `buffer` hold the `len` bytes from `offset` on, and nothing else.
    ///
    /// # Errors
    ///
    /// Those of [`read_at`](Self::read_at).
    fn read_into(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(len, 0);
        self.read_at(offset, buffer)
    }
}

/// Bytes in memory.
impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn owned(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = slice(self, offset, buffer.len())?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn read_into(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.extend_from_slice(slice(self, offset, len)?);
        Ok(())
    }
}

/// Copies `len` bytes out of a source. What lies beyond its end is damage: `rule` of `section` is broken.
pub(crate) fn read(
    source: &(impl Source + ?Sized),
    offset: u64,
    len: u64,
    section: Section,
    rule: &'static str,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    copy(source, offset, len, &mut bytes, section, rule)?;
    Ok(bytes)
}

/// The bytes that [`read`] copies: in place if nobody can change them, otherwise in `buffer`.
pub(crate) fn borrow<'a>(
    source: &'a (impl Source + ?Sized),
    offset: u64,
    len: u64,
    buffer: &'a mut Vec<u8>,
    section: Section,
    rule: &'static str,
) -> Result<&'a [u8]> {
    let owned = source.owned().and_then(|bytes| slice(bytes, offset, usize::try_from(len).ok()?).ok());
    match owned {
        Some(bytes) => Ok(bytes),
        None => {
            copy(source, offset, len, buffer, section, rule)?;
            Ok(buffer)
        }
    }
}

/// Gives `buffer` the bytes that [`read`] copies.
pub(crate) fn copy(
    source: &(impl Source + ?Sized),
    offset: u64,
    len: u64,
    buffer: &mut Vec<u8>,
    section: Section,
    rule: &'static str,
) -> Result<()> {
    let end = offset.checked_add(len);
    if end.is_none_or(|end| end > source.len()) {
        let reason = format!("{len} bytes needed, the file ends at {}", source.len());
        return Err(Error::corrupt(section, offset, rule, reason));
    }
    source
        .read_into(offset, len as usize, buffer)
        .map_err(|error| Error::io(format!("cannot read {len} bytes of {section} at byte {offset}"))(error))
}

/// The `len` bytes of `bytes` from `offset` on.
pub(crate) fn slice(bytes: &[u8], offset: u64, len: usize) -> io::Result<&[u8]> {
    let start = usize::try_from(offset).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(len)?));
    range.and_then(|range| bytes.get(range)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A file read by plain calls.
#[derive(Debug)]
pub(crate) struct PlainFile<F = File> {
    file: F,
    len: u64,
}

impl PlainFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (file, len) = open_regular(path)?;
        Ok(Self { file, len })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl<F> PlainFile<F> {
    /// The first `len` bytes of a file.
    pub(crate) fn new(file: F, len: u64) -> Self {
        Self { file, len }
    }
}

/// Opens a regular file that is read by plain calls. What has no length of its own is refused: folders, pipes, devices.
///
/// # Errors
///
/// I/O if the file cannot be opened.
pub fn open_plain(path: impl AsRef<Path>) -> Result<Box<dyn Source>> {
    let file = PlainFile::open(path.as_ref()).map_err(Error::io("cannot open"))?;
    Ok(Box::new(file))
}

/// Opens a file to read, and refuses what has no length of its own: folders, pipes, devices.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// Opens without waiting for the other end of a pipe.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

impl<F: StoredFile> Source for PlainFile<F> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_all_at(&self.file, offset, buffer)
    }
}
