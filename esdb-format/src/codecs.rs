//! The decompression contexts that all scans of a file share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::checksum::check;
use crate::compression::{Codec, Decompressor};
use crate::error::{Result, Section};

/// Decompresses areas of strings and payload frames; counts the frames.
pub(crate) struct Codecs {
    codec: Codec,
    /// Empty for a file without one.
    dictionary: OnceLock<Arc<[u8]>>,
    areas: Mutex<Vec<Decompressor>>,
    frames: Mutex<Vec<Decompressor>>,
    frames_unpacked: AtomicU64,
    /// Whether checksums of frames are compared.
    checks: bool,
}

/// A stored payload frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameAt {
    /// Where it stands in the file.
    pub(crate) offset: u64,
    /// Its stored length.
    pub(crate) len: usize,
    pub(crate) checksum: u32,
    /// Its uncompressed length.
    pub(crate) data_len: usize,
}

impl Codecs {
    pub(crate) fn new(codec: Codec, checks: bool) -> Self {
        Self {
            codec,
            dictionary: OnceLock::new(),
            areas: Mutex::default(),
            frames: Mutex::default(),
            frames_unpacked: AtomicU64::new(0),
            checks,
        }
    }

    /// Whether [`set_dictionary`](Self::set_dictionary) was called.
    pub(crate) fn is_ready(&self) -> bool {
        self.dictionary.get().is_some()
    }

    /// Says which dictionary the frames need, empty for none. Later calls have no effect.
    pub(crate) fn set_dictionary(&self, dictionary: Arc<[u8]>) {
        let _ = self.dictionary.set(dictionary);
    }

    /// How many payload frames were decompressed so far.
    pub(crate) fn frames_unpacked(&self) -> u64 {
        self.frames_unpacked.load(Ordering::Relaxed)
    }

    /// The `len` bytes of an area of strings that is stored at `offset`.
    pub(crate) fn unpack_area(&self, stored: &[u8], len: usize, offset: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut codec = pop(&self.areas).unwrap_or_else(|| Decompressor::new(self.codec, Arc::default()));
        let result = codec.unpack(stored, len, &mut out, Section::Block, offset);
        push(&self.areas, codec);
        result.map(|()| out)
    }

    /// Checks a frame's stored bytes and gives `out` its data.
    pub(crate) fn unpack_frame(&self, stored: &[u8], frame: &FrameAt, out: &mut Vec<u8>) -> Result<()> {
        if self.checks {
            check(frame.checksum, stored, Section::Frame, frame.offset, "B11")?;
        }
        self.frames_unpacked.fetch_add(1, Ordering::Relaxed);
        let mut codec = pop(&self.frames).unwrap_or_else(|| {
            Decompressor::new(self.codec, self.dictionary.get().cloned().unwrap_or_default())
        });
        let result = codec.unpack(stored, frame.data_len, out, Section::Frame, frame.offset);
        push(&self.frames, codec);
        result
    }
}

fn pop(pool: &Mutex<Vec<Decompressor>>) -> Option<Decompressor> {
    pool.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn push(pool: &Mutex<Vec<Decompressor>>, codec: Decompressor) {
    pool.lock().unwrap_or_else(PoisonError::into_inner).push(codec);
}
