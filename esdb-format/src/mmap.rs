//! A file mapped into memory, and what a program says if it is cut under its map: the library's only `unsafe`.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use crate::source::{PlainFile, Source, slice};

/// A map costs a page fault wherever it is touched first: all of them as much as one read for so many bytes.
const BYTES_PER_READ: u64 = 16 << 10;

/// To make a map costs as much as the least of these reads; the most are enough for anybody to have gone on.
const READS_BEFORE_MAP: RangeInclusive<u64> = 24..=1 << 16;

/// A file that is mapped once it is read more than a little.
///
/// The map is only ever copied from. If another process truncates the file, the system answers such a copy with
/// the signal SIGBUS; see [`Reader::open`](crate::Reader::open) for the contract.
pub(crate) struct MappedFile {
    file: PlainFile,
    reads: AtomicU64,
    reads_before_map: u64,
    map: OnceLock<Mmap>,
}

impl MappedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = PlainFile::open(path)?;
        let (least, most) = READS_BEFORE_MAP.into_inner();
        let reads_before_map = (file.len() / BYTES_PER_READ).clamp(least, most);
        Ok(Self { file, reads: AtomicU64::new(0), reads_before_map, map: OnceLock::new() })
    }

    /// The map, if it is time for one.
    fn map(&self) -> io::Result<Option<&[u8]>> {
        if let Some(map) = self.map.get() {
            return Ok(Some(map));
        }
        if self.reads.fetch_add(1, Ordering::Relaxed) < self.reads_before_map {
            return Ok(None);
        }
        // SAFETY: a map may change under us when somebody else writes to the file. No reference into it outlives
        // a copy: `read_at` and `read_into` copy bytes out, and all checks and decoding work on the copy. Changed bytes
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

    fn read_into(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let Some(map) = self.map()? else { return self.file.read_into(offset, len, buffer) };
        buffer.clear();
        buffer.extend_from_slice(slice(map, offset, len)?);
        Ok(())
    }
}

/// What is said before the process ends.
#[cfg(unix)]
static MESSAGE: OnceLock<&'static str> = OnceLock::new();

/// Makes the signal SIGBUS end the process with `message` on standard error and exit code 1, instead of without a word.
///
/// The system sends it to whoever reads through a map that another process has truncated (see
/// [`Reader::open`](crate::Reader::open)), or whose disk fails. For programs, to be called first in `main`: it holds for the
/// whole process, whichever map the signal is about. The message is written as it is, so it ends with a newline; it cannot name the
/// file. The first call's message stays. On other systems than Unix nothing is done.
pub fn exit_on_bus_error(message: &'static str) {
    #[cfg(unix)]
    install(message);
    #[cfg(not(unix))]
    let _ = message;
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "a signal handler has no safe form")]
fn install(message: &'static str) {
    MESSAGE.get_or_init(|| message);
    let handler: extern "C" fn(libc::c_int) = say_and_exit;
    // SAFETY: all zeros is a valid `sigaction`, whose mask is then made empty. The handler is async-signal-safe, finds its
    // message in place, and never returns to the access that failed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "a signal handler has no safe form")]
extern "C" fn say_and_exit(_: libc::c_int) {
    // Reading what was set is one atomic load.
    let message = MESSAGE.get().copied().unwrap_or_default();
    // SAFETY: both functions are async-signal-safe, and the message is never freed.
    unsafe {
        libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(1);
    }
}
