//! Proving a file whole: checksums, the ownership of every byte, and whether everything derived is true.
//!
//! One walk from the first byte to the last: [`blocks`], then the [`pages`] of all trees, then what the events say is
//! held against what is stored ([`derived`]).

mod blocks;
mod derived;
mod pages;

use std::sync::Arc;

use crate::checksum::{are_ignored, check};
use crate::dictionary::stated_section_len;
use crate::error::{Error, Result, Section};
use crate::facts::Statistics;
use crate::file::OpenFile;
use crate::footer::Footer;
use crate::handle::Handle;
use crate::header::Header;
use crate::reader::Reader;
use crate::source::read;

use derived::Derived;

/// How many damaged places are named.
const MOST_PROBLEMS: usize = 100;

/// How much is read at once for the digest, in bytes.
const PIECE: u64 = 1 << 20;

/// How much [`Reader::verify`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyLevel {
    /// Header, tail and all pages of the tables and lists. No event is read.
    Quick,
    /// Every checksum, the file digest, and that every byte belongs to exactly one part of the file.
    Checksums,
    /// Also every column and frame decoded, and order, counts, time ranges, posting lists, time order, tables, statistics and the content digest
    /// worked out again from the events.
    Deep,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// The first 100 problems, in the order in which the file was walked through.
    pub problems: Vec<Error>,
    /// How many there are in all.
    pub problem_count: u64,
    /// Sections of a later release: their checksum is right, their content was not understood.
    pub unknown_sections: u64,
    /// Bytes of the file that were walked over.
    pub bytes_checked: u64,
}

impl Verified {
    /// Whether nothing was found.
    pub fn is_ok(&self) -> bool {
        self.problem_count == 0
    }

    fn note(&mut self, error: Error) {
        self.problem_count = self.problem_count.saturating_add(1);
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(error);
        }
    }

    /// The value, or `None` after noting the error.
    fn ok<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(error);
                None
            }
        }
    }
}

impl Reader {
    /// Checks the file, and goes on after damage to name every damaged place.
    ///
    /// Cost: [`VerifyLevel::Checksums`] reads blocks once and pages twice, the second time for the digest; [`VerifyLevel::Deep`] also
    /// decodes everything and sorts what it derives, in at most about 64 MiB of memory beside the system's temporary folder.
    pub fn verify(&self, level: VerifyLevel) -> Verified {
        let mut walk = Walk {
            file: &self.file,
            level,
            found: Verified::default(),
            at: 0,
            seen: Statistics::default(),
            derived: None,
            hasher: blake3::Hasher::new(),
            digested: 0,
            bytes: Vec::new(),
        };
        walk.run();
        walk.found
    }
}

/// A walk through the file from its first byte to its last: every part must begin where the one before it ended.
struct Walk<'a> {
    file: &'a Arc<OpenFile>,
    level: VerifyLevel,
    found: Verified,
    /// The end of the part before.
    at: u64,
    seen: Statistics,
    /// What all events say, if all blocks were whole.
    derived: Option<Derived>,
    /// Of the file's bytes before `digested`.
    hasher: blake3::Hasher,
    digested: u64,
    /// The bytes of a block.
    bytes: Vec<u8>,
}

impl Walk<'_> {
    fn run(&mut self) {
        self.header();
        self.dictionary();
        if self.level == VerifyLevel::Quick {
            self.skip_blocks();
        } else {
            self.blocks();
        }
        self.dictionary();
        self.trees();
        self.extra_sections();
        self.facts();
        let footer_at = self.footer_offset();
        self.own(Section::Footer, footer_at, Footer::SIZE as u64);
        if self.level > VerifyLevel::Quick {
            self.file_digest();
        }
        if let Some(derived) = self.derived.take() {
            let result = self.compare(derived);
            self.found.ok(result);
        }
    }

    /// Notes that a part stands at `offset`; it must begin where the last one ended.
    fn own(&mut self, section: Section, offset: u64, len: u64) {
        if offset != self.at {
            let reason = format!("it should begin at byte {}", self.at);
            self.found.note(Error::corrupt(section, offset, "F1", reason));
        }
        self.at = offset.saturating_add(len);
        self.found.bytes_checked = self.found.bytes_checked.saturating_add(len);
    }

    fn header(&mut self) {
        let header = || -> Result<()> {
            let bytes = read(self.file.source(), 0, Header::SIZE as u64, Section::Header, "H1")?;
            let header = Header::decode(&bytes).map_err(|error| match error {
                Error::Foreign(_) => Error::corrupt(Section::Header, 0, "H1", "magic is missing"),
                error => error,
            })?;
            let footer = &self.file.footer;
            if (header.layout, header.checksum) != (footer.layout, footer.header_checksum) {
                return Err(Error::corrupt(
                    Section::Header,
                    0,
                    "F4",
                    "it is not the header that the footer states",
                ));
            }
            Ok(())
        };
        let result = header();
        self.found.ok(result);
        self.own(Section::Header, 0, Header::SIZE as u64);
    }

    fn dictionary(&mut self) {
        if self.file.footer.layout.dictionary_len == 0 {
            return;
        }
        let at = self.at;
        let dictionary = self.file.read_dictionary(at);
        match self.found.ok(dictionary) {
            Some((_, len)) => self.own(Section::Dictionary, at, len),
            // Where the next part begins can still be learnt from the head, if that is whole.
            None => self.at = self.at.saturating_add(stated_section_len(self.file.source(), at).unwrap_or(0)),
        }
    }

    fn footer_offset(&self) -> u64 {
        self.file.footer.file_len.saturating_sub(Footer::SIZE as u64)
    }

    fn extra_sections(&mut self) {
        for section in self.file.facts.extra.clone() {
            let Handle { offset, len, checksum } = section.handle;
            let result = read(self.file.source(), offset, len, Section::Extra, "X4")
                .and_then(|bytes| check(checksum, &bytes, Section::Extra, offset, "X4"));
            self.found.ok(result);
            self.found.unknown_sections = self.found.unknown_sections.saturating_add(1);
            self.own(Section::Extra, offset, len);
        }
    }

    fn facts(&mut self) {
        let facts = self.file.footer.facts;
        self.own(Section::Facts, facts.offset, facts.len);
    }

    /// Digests what stands before `end` and was not digested yet.
    fn digest_up_to(&mut self, end: u64) -> Result<()> {
        while self.digested < end {
            let len = end.saturating_sub(self.digested).min(PIECE);
            self.hasher.update(&read(self.file.source(), self.digested, len, Section::File, "G1")?);
            self.digested = self.digested.saturating_add(len);
        }
        Ok(())
    }

    fn file_digest(&mut self) {
        let result = self.digest_up_to(self.footer_offset().saturating_add(Footer::DIGESTED as u64));
        let is_read = self.found.ok(result).is_some() && !are_ignored();
        if is_read && self.hasher.finalize() != self.file.footer.file_digest {
            self.found.note(Error::corrupt(
                Section::File,
                0,
                "G1",
                "the file digest is not that of the bytes",
            ));
        }
    }
}
