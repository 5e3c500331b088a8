//! Records of whole lines out of a stream of bytes, without a copy and in bounded memory.
//!
//! The current record lies in one piece in the buffer. It is one line, unless [`Lines::extend`] adds the
//! next one, as a CSV cell with a line break in it needs. A record longer than the limit is not buffered:
//! it is an error, after which [`Lines::advance`] goes on behind its end. [`Lines::take_whole`] gives away what has
//! been read, so that others can look at it.

use std::io::{self, Read, Write};

use memchr::{memchr, memchr_iter, memrchr};

const CHUNK: usize = 256 * 1024;

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The record has more bytes than the limit.
    TooLong,
    /// The stream failed.
    Read(io::Error),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// The lines of `R`.
pub(crate) struct Lines<R> {
    /// Nothing if all is in the buffer.
    input: Option<R>,
    buffer: Vec<u8>,
    /// The record is `buffer[start..start + len]`; bytes up to `end` have been read.
    start: usize,
    len: usize,
    end: usize,
    limit: usize,
    /// Set when the record goes on behind its `len` bytes: it was too long to buffer.
    open: bool,
    number: u64,
    /// Lines in the current record.
    height: u64,
}

impl<R: Read> Lines<R> {
    /// Reads records of at most `limit` bytes, line ends included.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self {
            input: Some(input),
            buffer: vec![0; buffer_size(limit)],
            start: 0,
            len: 0,
            end: 0,
            limit,
            open: false,
            number: 1,
            height: 0,
        }
    }

    /// Moves to the next line. Returns false at the end of the stream.
    pub(crate) fn advance(&mut self) -> Result<bool, LineError> {
        self.leave()?;
        self.extend()
    }

    /// Leaves the record behind; the next one has no bytes yet.
    fn leave(&mut self) -> Result<(), LineError> {
        if self.open {
            self.copy_rest(&mut io::sink())?;
        }
        self.start += self.len;
        self.number += self.height;
        self.len = 0;
        self.height = 0;
        Ok(())
    }

    /// Takes away the next lines, as many as have been read and at least one; goes on behind them, in the memory of `spare`.
    ///
    /// Returns nothing where [`advance`](Self::advance) tells what is next: the end, or a line that does not fit the buffer as it is.
    pub(crate) fn take_whole(&mut self, spare: Vec<u8>) -> Result<Option<Self>, LineError> {
        self.leave()?;
        let size = buffer_size(self.limit);
        let mut read = 0;
        let whole = loop {
            if let Some(at) = memrchr(b'\n', self.buffered(read)) {
                break read + at + 1;
            }
            read = self.end - self.start;
            if read >= size {
                return Ok(None);
            }
            if self.fill()? == 0 {
                break read;
            }
        };
        if whole == 0 {
            return Ok(None);
        }
        let (lines, rest) = self.buffered(0).split_at(whole);
        let (height, rest_len) = (memchr_iter(b'\n', lines).count() as u64, rest.len());
        let mut buffer = spare;
        buffer.resize(size.max(rest_len), 0);
        buffer.shrink_to_fit();
        buffer[..rest_len].copy_from_slice(rest);
        let end = self.start + whole;
        let taken = Self { input: None, buffer: std::mem::replace(&mut self.buffer, buffer), end, ..*self };
        self.number += height;
        self.start = 0;
        self.end = rest_len;
        Ok(Some(taken))
    }

    /// The memory of the buffer, for [`take_whole`](Self::take_whole).
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Adds the next line to the record. Returns false, and adds nothing, at the end of the stream.
    pub(crate) fn extend(&mut self) -> Result<bool, LineError> {
        let mut searched = self.len;
        loop {
            let found = memchr(b'\n', self.buffered(searched));
            let len = found.map_or(self.end - self.start, |at| searched + at + 1);
            if len > self.limit {
                self.len = len;
                self.height += 1;
                self.open = found.is_none();
                return Err(LineError::TooLong);
            }
            if found.is_none() && self.fill()? > 0 {
                searched = len;
                continue;
            }
            let grew = len > self.len;
            self.len = len;
            self.height += u64::from(grew);
            return Ok(grew);
        }
    }

    /// The record with its line end.
    pub(crate) fn raw(&self) -> &[u8] {
        self.buffer.get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// The record without its line end, `\n` or `\r\n`.
    pub(crate) fn text(&self) -> &[u8] {
        let raw = self.raw();
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        text.strip_suffix(b"\r").unwrap_or(text)
    }

    /// The number of the record's first line, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The most bytes a record may have.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Copies the record with its line end to `sink`, and all of it when it was too long.
    pub(crate) fn copy_raw(&mut self, sink: &mut dyn Write) -> Result<(), CopyError> {
        sink.write_all(self.raw()).map_err(CopyError::Write)?;
        if self.open { self.copy_rest(sink) } else { Ok(()) }
    }

    /// Copies what follows the buffered part of a record that was too long, up to its line end.
    fn copy_rest(&mut self, sink: &mut dyn Write) -> Result<(), CopyError> {
        while self.open {
            self.start += self.len;
            self.len = 0;
            if self.start == self.end && self.fill().map_err(CopyError::Read)? == 0 {
                self.open = false;
                return Ok(());
            }
            let found = memchr(b'\n', self.buffered(0));
            self.len = found.map_or(self.end - self.start, |at| at + 1);
            self.open = found.is_none();
            sink.write_all(self.raw()).map_err(CopyError::Write)?;
        }
        Ok(())
    }

    /// What has been read behind the first `from` bytes of the record.
    fn buffered(&self, from: usize) -> &[u8] {
        self.buffer.get(self.start + from..self.end).unwrap_or_default()
    }

    /// Reads more bytes behind `end`. Returns how many, 0 at the end of the stream.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(input) = &mut self.input else { return Ok(0) };
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let size = self.buffer.len().saturating_mul(2).min(self.limit.saturating_add(1));
                self.buffer.try_reserve_exact(size - self.buffer.len()).map_err(io::Error::other)?;
                self.buffer.resize(size, 0);
            }
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = read_some(input, free)?;
        self.end += count;
        Ok(count)
    }
}

/// The buffer's size while records of at most `limit` bytes are short, in bytes.
fn buffer_size(limit: usize) -> usize {
    CHUNK.min(limit.saturating_add(1)).max(16)
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl From<CopyError> for LineError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => Self::Read(error),
        }
    }
}

/// Reads once, again when a signal interrupts.
pub(crate) fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out `step` bytes at a time, so that every boundary falls everywhere.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (head, tail) = self.0.split_at(count);
            buffer[..count].copy_from_slice(head);
            self.0 = tail;
            Ok(count)
        }
    }

    type Line = (u64, Result<String, String>);

    fn next(lines: &mut Lines<Drip<'_>>) -> Option<Line> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = match lines.advance() {
            Ok(false) => return None,
            Ok(true) => Ok(text(lines.text())),
            Err(LineError::TooLong) => {
                let mut raw = Vec::new();
                // The even ones are skipped without a look at their rest.
                if lines.number() % 2 == 1 {
                    lines.copy_raw(&mut raw).expect("memory");
                }
                Err(text(&raw))
            }
            Err(LineError::Read(error)) => panic!("{error}"),
        };
        Some((lines.number(), line))
    }

    fn collect(input: &[u8], step: usize, limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(Drip(input, step), limit);
        std::iter::from_fn(|| next(&mut lines)).collect()
    }

    fn ok(number: u64, text: &str) -> Line {
        (number, Ok(text.to_owned()))
    }

    #[test]
    fn lines_are_the_same_for_every_read_size() {
        let input = b"one\ntwo\r\n\n\nfi\rve\r\nlast";
        let expected = vec![ok(1, "one"), ok(2, "two"), ok(3, ""), ok(4, ""), ok(5, "fi\rve"), ok(6, "last")];
        for step in 1..=input.len() {
            assert_eq!(collect(input, step, 100), expected, "step {step}");
        }
    }

    #[test]
    fn lines_that_are_taken_away_are_those_that_would_have_come() {
        let long = "x".repeat(40);
        let input = format!("one\ntwo\r\n\n{long}\nfive\n{long}{long}\nseven\nlast");
        for limit in [8, 50, 100] {
            let expected = collect(input.as_bytes(), input.len(), limit);
            for step in [1, 2, 3, 7, 16, 17, 64, 1000] {
                let mut lines = Lines::new(Drip(input.as_bytes(), step), limit);
                let (mut all, mut spare) = (Vec::new(), Vec::new());
                loop {
                    match lines.take_whole(spare).expect("memory") {
                        Some(mut taken) => {
                            all.extend(std::iter::from_fn(|| next(&mut taken)));
                            spare = taken.into_buffer();
                        }
                        None => {
                            spare = Vec::new();
                            let Some(line) = next(&mut lines) else { break };
                            all.push(line);
                        }
                    }
                }
                assert_eq!(all, expected, "step {step}, limit {limit}");
            }
        }
    }

    #[test]
    fn empty_input_has_no_lines_and_a_final_newline_adds_none() {
        assert_eq!(collect(b"", 1, 10), []);
        assert_eq!(collect(b"\n", 1, 10), [ok(1, "")]);
        assert_eq!(collect(b"a\n", 1, 10), [ok(1, "a")]);
    }

    #[test]
    fn limit_counts_the_line_end_and_reading_goes_on_behind_a_long_line() {
        let long = "x".repeat(70);
        let input = format!("{long}\n{long}\nabcd\nabcde\n{long}");
        for step in [1, 2, 3, 7, 16, 17, 64, 1000] {
            assert_eq!(
                collect(input.as_bytes(), step, 5),
                [
                    (1, Err(format!("{long}\n"))),
                    (2, Err(String::new())),
                    ok(3, "abcd"),
                    (4, Err(String::new())),
                    (5, Err(long.clone())),
                ],
                "step {step}"
            );
        }
    }

    #[test]
    fn buffer_never_grows_much_beyond_the_limit() {
        let mut lines = Lines::new(io::repeat(b'x').take(50_000_000), 1_000_000);
        assert!(matches!(lines.advance(), Err(LineError::TooLong)));
        assert!(!lines.advance().expect("memory"));
        assert!(lines.buffer.capacity() <= 1_000_001);
    }

    #[test]
    fn extend_joins_lines_and_keeps_the_first_number() {
        for step in 1..20 {
            let mut lines = Lines::new(Drip(b"a\nb\r\nc\nd", step), 100);
            assert!(lines.advance().expect("a"));
            assert!(lines.extend().expect("b"));
            assert_eq!((lines.number(), lines.raw(), lines.text()), (1, &b"a\nb\r\n"[..], &b"a\nb"[..]));
            assert!(lines.advance().expect("c"));
            assert_eq!((lines.number(), lines.text()), (3, &b"c"[..]));
            assert!(lines.extend().expect("d"));
            assert!(!lines.extend().expect("end"));
            assert_eq!(lines.raw(), b"c\nd");
            assert!(!lines.advance().expect("end"));
        }
    }

    #[test]
    fn a_failing_stream_is_not_an_end() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut lines = Lines::new(b"one\ntw".chain(Fails), 100);
        assert!(lines.advance().expect("one"));
        assert!(matches!(lines.advance(), Err(LineError::Read(error)) if error.to_string() == "gone"));
    }
}
