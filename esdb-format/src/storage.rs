//! Where the writer keeps its files: the few calls that it makes of a file system, and their plain form over `std::fs`.
//!
//! Every call may fail, may be interrupted, and may transfer less than was asked. Whoever makes it answers for that, so that tests
//! can put a storage here that does all of it. There is no clock beside it: the library asks for no time.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Other,
}

/// A file system.
pub(crate) trait Storage: Send + Sync {
    /// What stands under a name, behind links if they lead anywhere.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;

    /// Creates a file under a name that nobody has.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Creates a file without a name, which is gone with its handle.
    fn spill(&self, folder: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a regular file to read and to lock it. A link to one is refused.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Gives a file another name, and replaces what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name that nobody has.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;
}

/// A file that grows at its end and is read anywhere.
pub(crate) trait StoredFile: Send + Sync {
    /// Appends a beginning of `bytes`, and returns how long it is.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Fills a beginning of `buffer` with the bytes from `offset` on, and returns how long it is: 0 at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes the bytes durable, not the name.
    fn sync(&self) -> io::Result<()>;

    /// Takes the advisory lock; false if somebody else has it. It is given back with the handle.
    fn try_lock(&self) -> io::Result<bool>;

    /// Whether the file still has a name.
    fn is_named(&self) -> io::Result<bool>;
}

/// Makes a call again for as long as it is interrupted.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Appends all of `bytes`.
pub(crate) fn append_all(file: &mut (impl StoredFile + ?Sized), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match uninterrupted(|| file.append(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

/// Fills all of `buffer` with the bytes from `offset` on.
///
/// # Errors
///
/// [`ErrorKind::UnexpectedEof`] if the file ends before.
pub(crate) fn read_all_at(
    file: &(impl StoredFile + ?Sized),
    mut offset: u64,
    mut buffer: &mut [u8],
) -> io::Result<()> {
    while !buffer.is_empty() {
        match uninterrupted(|| file.read_at(offset, buffer))? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// The folder that a file's name stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The machine's own file systems.
pub(crate) struct FileSystem;

impl Storage for FileSystem {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        let found = fs::metadata(path).or_else(|error| match error.kind() {
            // A link that leads nowhere takes the name all the same.
            ErrorKind::NotFound => fs::symlink_metadata(path),
            _ => Err(error),
        });
        match found {
            Ok(found) if found.is_file() => Ok(Some(Kind::File)),
            Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
            Ok(_) => Ok(Some(Kind::Other)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        // A file that never changes is writable for nobody but its owner, whatever the mask.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        Ok(Box::new(options.open(path)?))
    }

    fn spill(&self, folder: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(tempfile::tempfile_in(folder)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        // Asked before opening: opening a pipe waits for its writer.
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        // Some systems lock only what may be written to.
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }
}

impl StoredFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match File::try_lock(self) {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    #[cfg(unix)]
    fn is_named(&self) -> io::Result<bool> {
        Ok(std::os::unix::fs::MetadataExt::nlink(&self.metadata()?) > 0)
    }

    /// A file that is open here keeps its name there.
    #[cfg(not(unix))]
    fn is_named(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl StoredFile for Box<dyn StoredFile> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (**self).append(bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        (**self).try_lock()
    }

    fn is_named(&self) -> io::Result<bool> {
        (**self).is_named()
    }
}

/// Where files without a name go while there is no room for their bytes in memory. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SpillFolder {
    storage: Arc<dyn Storage>,
    path: Arc<Path>,
}

impl SpillFolder {
    pub(crate) fn new(storage: Arc<dyn Storage>, path: &Path) -> Self {
        Self { storage, path: path.into() }
    }

    /// The system's folder for temporary files.
    pub(crate) fn of_system() -> Self {
        Self::new(Arc::new(FileSystem), &std::env::temp_dir())
    }

    /// An empty file.
    pub(crate) fn file(&self) -> Result<SpillFile> {
        let file = uninterrupted(|| self.storage.spill(&self.path)).map_err(|error| self.failed(error))?;
        Ok(SpillFile { file, folder: self.clone() })
    }

    /// An error of a file that has no name of its own.
    pub(crate) fn failed(&self, source: io::Error) -> Error {
        Error::Io { context: format!("cannot use a temporary file in {}", self.path.display()), source }
    }
}

/// A file without a name, that is first written and then read from its start.
pub(crate) struct SpillFile {
    file: Box<dyn StoredFile>,
    folder: SpillFolder,
}

impl SpillFile {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        append_all(&mut self.file, bytes).map_err(|error| self.folder.failed(error))
    }

    pub(crate) fn into_reader(self) -> SpillReader {
        SpillReader { file: self.file, offset: 0 }
    }
}

/// Reads such a file.
pub(crate) struct SpillReader {
    file: Box<dyn StoredFile>,
    offset: u64,
}

impl Read for SpillReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = uninterrupted(|| self.file.read_at(self.offset, buffer))?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for SpillReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        self.offset = offset.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}
