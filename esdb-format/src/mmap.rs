//! A file mapped into memory: the library's only `unsafe`.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::Mmap;

use crate::source::{PlainFile, Source, slice};

/// So many reads cost about as much as a map, which pays only for who goes on.
const READS_BEFORE_MAP: u32 = 24;

/// A file that is mapped once it is read more than a little.
///
/// The map is only ever copied from. If another process truncates the file, the system answers such a copy with
/// the signal SIGBUS; see [`Reader::open`](crate::Reader::open) for the contract.
pub(crate) struct MappedFile {
    file: PlainFile,
    reads: AtomicU32,
    map: OnceLock<Mmap>,
}

impl MappedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = PlainFile::open(path)?;
        Ok(Self { file, reads: AtomicU32::new(0), map: OnceLock::new() })
    }

    /// The map, if it is time for one.
    fn map(&self) -> io::Result<Option<&[u8]>> {
        if let Some(map) = self.map.get() {
            return Ok(Some(map));
        }
        if self.reads.fetch_add(1, Ordering::Relaxed) < READS_BEFORE_MAP {
            return Ok(None);
        }
        // SAFETY: a map may change under us when somebody else writes to the file. No reference into it outlives
        // a copy: `read_at` and `append` copy bytes out, and all checks and decoding work on the copy. Changed bytes
        // are then the same as damaged bytes. Truncation is the caller's contract, stated at `Reader::open`.
        #[expect(unsafe_code, reason = "mapping is the purpose of this module")]
        let map = unsafe { Mmap::map(self.file.file())? };
        Ok(Some(self.map.get_or_init(|| map)))
    }
}

impl Source for MappedFile {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.map()? {
            Some(map) => buffer.copy_from_slice(slice(map, offset, buffer.len())?),
            None => self.file.read_at(offset, buffer)?,
        }
        Ok(())
    }

    fn append(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self.map()? {
            Some(map) => buffer.extend_from_slice(slice(map, offset, len)?),
            None => self.file.append(offset, len, buffer)?,
        }
        Ok(())
    }
}
