//! The bytes of a file, as they are handed to the system (spec: none).

use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::storage::{StoredFile, append_all, uninterrupted};
use crate::tree::PageSink;

/// How many bytes are handed to the system at once.
const BUFFER: usize = 256 << 10;

/// After so many bytes they are made durable where somebody else works meanwhile, so that little is left to wait for at the end.
const SYNCED: usize = 8 << 20;

/// Appends bytes, counts and digests them.
pub(crate) struct Output {
    file: Box<dyn StoredFile>,
    buffer: Vec<u8>,
    /// Whether bytes are made durable before the end, and how many of them are not yet.
    syncs: bool,
    unsynced: usize,
    offset: u64,
    hasher: Option<blake3::Hasher>,
    path: PathBuf,
}

impl Output {
    /// Writes to `file`, which is empty; `path` names it in errors.
    pub(crate) fn new(file: Box<dyn StoredFile>, path: PathBuf, digest: bool) -> Self {
        let hasher = digest.then(blake3::Hasher::new);
        let buffer = Vec::with_capacity(BUFFER);
        Self { file, buffer, syncs: false, unsynced: 0, offset: 0, hasher, path }
    }

    /// Makes bytes durable before the end. For a thread that waits for others anyway.
    pub(crate) fn sync_early(&mut self) {
        self.syncs = true;
    }

    /// Counts as if so many bytes stood before the next one.
    #[cfg(test)]
    pub(super) fn begin_at(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Where the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends bytes. The system gets them in whole buffers: they and their digest cost least between borders of pages.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.offset += bytes.len() as u64;
        while self.buffer.len() + bytes.len() >= BUFFER {
            let (head, rest) = bytes.split_at(BUFFER - self.buffer.len());
            if self.buffer.is_empty() {
                self.write_through(head)?;
            } else {
                self.buffer.extend_from_slice(head);
                self.flush()?;
            }
            bytes = rest;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
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
        let failed = |doing: &str, source| Error::Io {
            context: format!("cannot {doing} {}", self.path.display()),
            source,
        };
        append_all(&mut self.file, bytes).map_err(|source| failed("write", source))?;
        self.unsynced += bytes.len();
        if self.syncs && self.unsynced >= SYNCED {
            // The file is given up if this fails: the system may have dropped what it could not write, and says so once.
            uninterrupted(|| self.file.sync()).map_err(|source| failed("sync", source))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// The digest of everything written so far.
    pub(crate) fn digest(&mut self) -> Result<Digest> {
        self.flush()?;
        Ok(self.hasher.as_ref().map_or([0; 32], |hasher| hasher.finalize().into()))
    }

    /// The file, with everything written to it.
    pub(crate) fn into_file(mut self) -> Result<Box<dyn StoredFile>> {
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
