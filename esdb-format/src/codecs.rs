//! Decompressing what is stored in a file: areas of strings and payload frames. All scans share the dictionary.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::checksum::check;
use crate::compression::{Codec, Prepared, unpack};
use crate::error::{Error, Result, Section};

/// Decompresses areas of strings and payload frames; counts the frames.
pub(crate) struct Codecs {
    codec: Codec,
    dictionary: OnceLock<Dictionary>,
    frames_unpacked: AtomicU64,
    /// Whether checksums of frames and label areas are compared.
    checks: bool,
}

enum Dictionary {
    Absent,
    Ready(Prepared),
    Refused,
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

impl Hash for FrameAt {
    /// Frames of one file differ in their places.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.offset);
    }
}

impl Codecs {
    pub(crate) fn new(codec: Codec, checks: bool) -> Self {
        Self { codec, dictionary: OnceLock::new(), frames_unpacked: AtomicU64::new(0), checks }
    }

    /// Whether checksums are compared that ride along with decompression.
    pub(crate) fn checks(&self) -> bool {
        self.checks
    }

    /// Whether [`set_dictionary`](Self::set_dictionary) was called.
    pub(crate) fn is_ready(&self) -> bool {
        self.dictionary.get().is_some()
    }

    /// Says which dictionary the frames need, empty for none. Later calls have no effect.
    pub(crate) fn set_dictionary(&self, dictionary: &[u8]) {
        self.dictionary.get_or_init(|| match (self.codec, dictionary) {
            (_, []) => Dictionary::Absent,
            (Codec::Zstd { .. }, bytes) => {
                Prepared::new(bytes).map_or(Dictionary::Refused, Dictionary::Ready)
            }
            _ => Dictionary::Absent,
        });
    }

    /// How many payload frames were decompressed so far.
    pub(crate) fn frames_unpacked(&self) -> u64 {
        self.frames_unpacked.load(Ordering::Relaxed)
    }

    /// The `len` bytes of an area of strings that is stored at `offset` of `section`.
    pub(crate) fn unpack_area(
        &self,
        stored: &[u8],
        len: usize,
        section: Section,
        offset: u64,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        unpack(self.codec, stored, len, None, &mut out, section, offset)?;
        Ok(out)
    }

    /// Checks a frame's stored bytes and gives `out` its data.
    pub(crate) fn unpack_frame(&self, stored: &[u8], frame: &FrameAt, out: &mut Vec<u8>) -> Result<()> {
        if self.checks {
            check(frame.checksum, stored, Section::Frame, frame.offset, "B11")?;
        }
        self.frames_unpacked.fetch_add(1, Ordering::Relaxed);
        let dictionary = match self.dictionary.get() {
            Some(Dictionary::Ready(dictionary)) => Some(dictionary),
            Some(Dictionary::Refused) => {
                return Err(Error::corrupt(Section::Dictionary, 0, "D2", "zstd refuses the dictionary"));
            }
            Some(Dictionary::Absent) | None => None,
        };
        unpack(self.codec, stored, frame.data_len, dictionary, out, Section::Frame, frame.offset)
    }
}
