//! A file mapped into memory: the library's only `unsafe`.

use std::io;
use std::path::Path;

use memmap2::Mmap;

use crate::source::{Source, open_regular, slice};

/// A mapped file.
///
/// The map is only ever copied from. If another process truncates the file, the system answers such a copy with
/// the signal SIGBUS; see [`Reader::open`](crate::Reader::open) for the contract.
pub(crate) struct MappedFile(Option<Mmap>);

impl MappedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (file, len) = open_regular(path)?;
        if len == 0 {
            return Ok(Self(None));
        }
        // SAFETY: a map may change under us when somebody else writes to the file. No reference into it outlives
        // a copy: `read_at` copies bytes out, and all checks and decoding work on the copy. Changed bytes are then
        // the same as damaged bytes. Truncation is the caller's contract, stated at `Reader::open`.
        #[expect(unsafe_code, reason = "mapping is the purpose of this module")]
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(Some(map)))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Source for MappedFile {
    fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(slice(self.bytes(), offset, buffer.len())?);
        Ok(())
    }
}
