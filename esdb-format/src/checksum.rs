//! The checksum of everything stored (spec §1): CRC-32 as in gzip.

use crate::error::{Error, Result, Section};

/// Set by fuzz targets that want to reach what lies behind the checksums.
#[cfg(fuzzing)]
pub(crate) static IGNORED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether wrong checksums and file digests are taken for right ones.
pub(crate) fn are_ignored() -> bool {
    #[cfg(fuzzing)]
    return IGNORED.load(std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(fuzzing))]
    false
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The checksum of two pieces one after another.
pub(crate) fn checksum_of_both(first: &[u8], second: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(first);
    hasher.update(second);
    hasher.finalize()
}

/// The same, and the checksum of the second piece alone, which is read once.
pub(crate) fn checksum_of_both_and_second(first: &[u8], second: &[u8]) -> (u32, u32) {
    let (mut both, mut alone) = (crc32fast::Hasher::new(), crc32fast::Hasher::new());
    both.update(first);
    alone.update(second);
    both.combine(&alone);
    (both.finalize(), alone.finalize())
}

/// Compares a checksum with that of `bytes`, which stand at `offset`.
pub(crate) fn check(
    expected: u32,
    bytes: &[u8],
    section: Section,
    offset: u64,
    rule: &'static str,
) -> Result<()> {
    compare(expected, checksum(bytes), section, offset, rule)
}

pub(crate) fn compare(
    expected: u32,
    found: u32,
    section: Section,
    offset: u64,
    rule: &'static str,
) -> Result<()> {
    if expected == found || are_ignored() {
        return Ok(());
    }
    Err(Error::corrupt(
        section,
        offset,
        rule,
        format!("checksum is {expected:#010x}, bytes give {found:#010x}"),
    ))
}
