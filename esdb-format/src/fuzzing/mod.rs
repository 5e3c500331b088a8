//! Ways in for the fuzzer, behind the checksums. Built only with `--cfg fuzzing`.
//!
//! Whatever the bytes: no panic, no loop without end, no more memory than they justify. Where they make something that is whole, it is held
//! against a model.

mod block;
mod ends;
mod lists;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::checksum::IGNORED;
use crate::codecs::Codecs;
use crate::compression::Codec;
use crate::error::{Error, Result, Section};
use crate::handle::Handle;
use crate::limits;
use crate::page::Page;
use crate::source::slice;
use crate::storage::FileSystem;
use crate::tree::{PageSink, Pages};
use crate::writer::{Writer, WriterOptions};

pub use block::{build_columns, columns};
pub use ends::{ends, head};
pub use lists::{build_list, column, damaged_list, list, time_frame};
pub use tables::{build_runs, build_tree, damaged_tree, entry, page, tree};

/// From now on wrong checksums are taken for right ones, so that what lies behind them is reached.
pub fn ignore_checksums(ignore: bool) {
    IGNORED.store(ignore, Ordering::Relaxed);
}

/// Begins a file with options that are not checked, such as too little memory.
pub fn create(options: WriterOptions, path: &Path) -> Result<Writer> {
    options.create_in(Arc::new(FileSystem), path)
}

/// Choices out of the fuzzer's bytes: zeros behind their end.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A number of `len` bytes, at most eight.
    fn number(&mut self, len: usize) -> u64 {
        self.bytes(len).iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
    }

    fn small(&mut self) -> usize {
        self.number(1) as usize
    }

    /// A number of any size: small ones as often as large ones.
    fn sized(&mut self) -> u64 {
        let len = self.small() % 9;
        self.number(len)
    }

    /// The choices of a part that can be followed by another one.
    fn moves(&mut self) -> Self {
        let len = self.small();
        Self(self.bytes(len))
    }

    /// A short byte string.
    fn string(&mut self) -> &'a [u8] {
        let len = self.small() % 24;
        self.bytes(len)
    }
}

/// Pages in memory, at any place of it. Their checksums are not looked at.
#[derive(Default)]
struct Memory(Vec<u8>);

impl PageSink for Memory {
    fn write_page(&mut self, bytes: &[u8]) -> Result<u64> {
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        Ok(offset)
    }
}

impl Pages for Memory {
    fn page(&self, handle: &Handle, section: Section) -> Result<Arc<Page>> {
        let corrupt =
            |rule| Error::corrupt(section, handle.offset, rule, format!("page of {} bytes", handle.len));
        if handle.len > limits::PAGE as u64 {
            return Err(corrupt("L1"));
        }
        let bytes = slice(&self.0, handle.offset, handle.len as usize).map_err(|_| corrupt("P1"))?;
        let codecs = Codecs::new(Codec::Zstd { level: 1 }, true);
        Ok(Arc::new(Page::decode(bytes.to_vec(), handle.offset, section, &codecs)?))
    }
}
