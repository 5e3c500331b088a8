//! Records that wait their turn: in memory up to a limit, then in an anonymous file (spec: none; writer only).

use std::io::{self, BufReader, Cursor, Read};

use crate::codec::Encode;
use crate::error::{Error, Result};
use crate::storage::{SpillFile, SpillFolder};

/// How much of a spilled file is read at once, in bytes.
const READ_AHEAD: usize = 64 << 10;

/// Records of byte strings, written once and read once in the same order.
pub(crate) struct Spool {
    memory: Vec<u8>,
    limit: usize,
    file: Option<SpillFile>,
    folder: SpillFolder,
}

impl Spool {
    /// Keeps at most about `limit` bytes in memory; the rest goes to a file without a name in `folder`.
    pub(crate) fn new(folder: &SpillFolder, limit: usize) -> Self {
        Self { memory: Vec::new(), limit, file: None, folder: folder.clone() }
    }

    /// An empty one with the same folder and limit.
    pub(crate) fn new_like(&self) -> Self {
        Self::new(&self.folder, self.limit)
    }

    /// Appends a byte string.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        self.memory.put_bytes(bytes);
    }

    /// Appends a number.
    pub(crate) fn put_number(&mut self, number: u64) {
        self.memory.put_varint(number);
    }

    /// Appends a record of a key and a value.
    pub(crate) fn put_entry(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_bytes(key);
        self.put_bytes(value);
        self.end_record()
    }

    /// Ends a record: memory beyond the limit is written out.
    pub(crate) fn end_record(&mut self) -> Result<()> {
        if self.memory.len() < self.limit { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(self.folder.file()?),
        };
        file.append(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// Writes everything out, so that nothing stays in memory until it is read again.
    pub(crate) fn spill(&mut self) -> Result<()> {
        self.flush()?;
        self.memory = Vec::new();
        Ok(())
    }

    /// Everything from the first record on.
    pub(crate) fn into_reader(self) -> SpoolReader {
        let spilled: Box<dyn Read + Send> = match self.file {
            Some(file) => Box::new(BufReader::with_capacity(READ_AHEAD, file.into_reader())),
            None => Box::new(io::empty()),
        };
        SpoolReader { input: spilled.chain(Cursor::new(self.memory)), folder: self.folder }
    }
}

/// Reads records back.
pub(crate) struct SpoolReader {
    input: io::Chain<Box<dyn Read + Send>, Cursor<Vec<u8>>>,
    folder: SpillFolder,
}

impl SpoolReader {
    fn fail(&self, source: io::Error) -> Error {
        self.folder.failed(source)
    }

    /// The next number, or `None` at the end of all records.
    pub(crate) fn next_number(&mut self) -> Result<Option<u64>> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let mut byte = [0];
            let read = match self.input.read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| self.fail(error))?,
            };
            if read == 0 {
                return if shift == 0 {
                    Ok(None)
                } else {
                    Err(self.fail(io::ErrorKind::UnexpectedEof.into()))
                };
            }
            value |= u64::from(byte[0] & 0x7F) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(Some(value));
            }
            shift += 7;
        }
    }

    /// A number that must be there.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let number = self.next_number()?;
        number.ok_or_else(|| self.fail(io::ErrorKind::UnexpectedEof.into()))
    }

    /// The next byte string into `out`, or false at the end of all records.
    pub(crate) fn next_bytes(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let Some(len) = self.next_number()? else { return Ok(false) };
        out.resize(len as usize, 0);
        self.input.read_exact(out).map_err(|error| self.fail(error))?;
        Ok(true)
    }

    /// A byte string that must be there.
    pub(crate) fn bytes(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.next_bytes(out)? { Ok(()) } else { Err(self.fail(io::ErrorKind::UnexpectedEof.into())) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::storage::FileSystem;

    #[test]
    fn records_come_back_from_memory_and_from_the_file() {
        for limit in [0, 100, 1 << 20] {
            let mut spool = Spool::new(&SpillFolder::of_system(), limit);
            for i in 0..1000_u64 {
                spool.put_number(i << 20);
                spool.put_bytes(&vec![i as u8; i as usize % 40]);
                spool.end_record().unwrap();
            }
            let mut reader = spool.into_reader();
            let mut bytes = Vec::new();
            for i in 0..1000_u64 {
                assert_eq!(reader.next_number().unwrap(), Some(i << 20));
                assert!(reader.next_bytes(&mut bytes).unwrap());
                assert_eq!(bytes, vec![i as u8; i as usize % 40]);
            }
            assert_eq!(reader.next_number().unwrap(), None);
        }
    }

    #[test]
    fn an_end_inside_a_record_is_an_error() {
        for (bytes, whole) in [(&[][..], true), (&[0x80], false), (&[3, 1, 2], false), (&[2, 1, 2], true)] {
            let mut spool = Spool::new(&SpillFolder::of_system(), 1 << 20);
            spool.memory.extend_from_slice(bytes);
            let result = spool.into_reader().next_bytes(&mut Vec::new());
            assert_eq!(result.is_ok(), whole, "{bytes:?}");
        }
        let mut reader = Spool::new(&SpillFolder::of_system(), 1 << 20).into_reader();
        assert!(reader.number().is_err() && reader.bytes(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = SpillFolder::new(Arc::new(FileSystem), Path::new("/nowhere/at all"));
        let mut spool = Spool::new(&folder, 0);
        spool.put_number(1);
        assert!(spool.end_record().unwrap_err().to_string().contains("/nowhere/at all"));
    }
}
