//! Opening an input: a file or standard input, packed or not, and text or refused.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::errors::Fatal;
use super::lines::read_some;
use crate::text::escape;

/// How many bytes of an input are looked at to tell what it is.
const SNIFFED: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of text, unpacked.
pub(crate) type Stream = Box<dyn Read + Send>;

/// How far an input has been read, shared with whoever shows it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    read: Arc<AtomicU64>,
}

impl Progress {
    /// Of an input that does not come from [`open`].
    #[cfg(any(test, fuzzing))]
    pub(crate) fn none() -> Self {
        Self { read: Arc::default() }
    }

    /// Bytes read so far, before unpacking.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// The name of an input in messages.
pub(crate) fn name_of(path: &Path) -> String {
    if is_stdin(path) {
        "<stdin>".to_owned()
    } else {
        escape(path.as_os_str().as_encoded_bytes()).to_string()
    }
}

/// `-` is standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The bytes of the file at `path`, packed if it is; unknown for standard input and pipes.
pub(crate) fn len_of(path: &Path) -> Option<u64> {
    let file = path.metadata().ok().filter(|found| found.is_file() && !is_stdin(path));
    file.map(|file| file.len())
}

/// Opens `path` and unpacks gzip and zstd, told by content. Drops a byte order mark.
///
/// # Errors
///
/// The file can not be opened or read, or is not text.
pub(crate) fn open(path: &Path) -> Result<(Stream, Progress), Fatal> {
    let name = name_of(path);
    let failed = |error: io::Error| Fatal(format!("{name}: {error}"));
    let input: Stream = if is_stdin(path) {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Fatal(format!("{name}: is a directory")));
        }
        Box::new(file)
    };
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted { input, read: Arc::clone(&read) };
    Ok((unpack(counted, &name)?, Progress { read }))
}

/// Unpacks gzip and zstd and makes sure that what comes out is text.
pub(crate) fn unpack(mut input: impl Read + Send + 'static, name: &str) -> Result<Stream, Fatal> {
    let failed = |error: io::Error| Fatal(format!("{name}: {error}"));
    let head = read_head(&mut input).map_err(failed)?;
    let is_gzip = head.starts_with(b"\x1f\x8b");
    let is_zstd = head.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable_frame(&head);
    let whole = Cursor::new(head.clone()).chain(input);
    let (head, rest): (_, Stream) = if is_gzip {
        let mut text = Named { input: flate2::read::MultiGzDecoder::new(whole), packing: "gzip" };
        (read_head(&mut text).map_err(failed)?, Box::new(text))
    } else if is_zstd {
        let mut text = Named { input: zstd::Decoder::new(whole).map_err(failed)?, packing: "zstd" };
        (read_head(&mut text).map_err(failed)?, Box::new(text))
    } else {
        let head_len = head.len() as u64;
        let mut whole = whole;
        io::copy(&mut whole.by_ref().take(head_len), &mut io::sink()).map_err(failed)?;
        (head, Box::new(whole))
    };
    if let Some(found) = binary_kind(&head) {
        return Err(Fatal(format!("{name}:1:1: the input is {found}, not NDJSON or CSV text")));
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head).to_vec();
    Ok(Box::new(Cursor::new(text).chain(rest)))
}

/// Reads the first bytes, fewer than asked for only at the end.
fn read_head(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; SNIFFED];
    let mut len = 0;
    while let Some(free) = head.get_mut(len..).filter(|free| !free.is_empty()) {
        match read_some(input, free)? {
            0 => break,
            count => len += count,
        }
    }
    head.truncate(len);
    Ok(head)
}

/// Zstd files may begin with a frame of user data.
fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What the input is if it is not text.
fn binary_kind(head: &[u8]) -> Option<String> {
    const MAGICS: [(&[u8], &str); 20] = [
        (b"\x89esdb", "an esdb file"),
        (b"PAR1\x15", "a Parquet file"),
        (b"\x7fELF", "a program (ELF)"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\xfd7zXZ\0", "packed with xz"),
        (b"\x04\x22\x4d\x18", "packed with lz4"),
        (b"\x1f\x8b", "packed with gzip twice"),
        (b"\x28\xb5\x2f\xfd", "packed with zstd twice"),
        (b"\xff\x06\0\0sNaPpY", "packed with snappy"),
        (b"Obj\x01", "an Avro file"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"\xd4\xc3\xb2\xa1", "a packet capture"),
        (b"\xa1\xb2\xc3\xd4", "a packet capture"),
        (b"\x4d\x3c\xb2\xa1", "a packet capture"),
        (b"\x0a\x0d\x0d\x0a", "a packet capture"),
        (b"%PDF-", "a PDF document"),
        (b"\xd0\xcf\x11\xe0", "an Office document"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    // The byte behind the first three is the block size.
    let is_bzip2 = head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY");
    let known = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| (*what).to_owned());
    let bzip2 = is_bzip2.then(|| "packed with bzip2".to_owned());
    let nul = memchr::memchr(0, head).map(|at| format!("binary data (a zero byte at offset {at})"));
    known.or(bzip2).or(nul)
}

/// Counts the bytes that pass.
struct Counted {
    input: Stream,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Says in its errors what was being unpacked.
struct Named<R> {
    input: R,
    packing: &'static str,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), format!("the {} stream is cut off", self.packing))
            }
            kind => io::Error::new(kind, format!("the {} stream is damaged: {error}", self.packing)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"{\"space\":\"1\"}\n{\"space\":\"2\"}\n";

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut stream = unpack(Cursor::new(bytes.to_vec()), "in").map_err(|fatal| fatal.to_string())?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("encoder");
        encoder.include_checksum(true).expect("encoder");
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn packed_and_plain_text_is_the_same() {
        let long = TEXT.repeat(10_000);
        for text in [TEXT, &long, b"", b"x"] {
            assert_eq!(read(text), Ok(text.to_vec()));
            assert_eq!(read(&gzip(text)), Ok(text.to_vec()));
            assert_eq!(read(&zstd(text)), Ok(text.to_vec()));
        }
        assert_eq!(read(&[gzip(TEXT), gzip(TEXT)].concat()), Ok(TEXT.repeat(2)));
        assert_eq!(read(&[zstd(TEXT), zstd(TEXT)].concat()), Ok(TEXT.repeat(2)));
        assert_eq!(read(&[b"\x50\x2a\x4d\x18\x01\0\0\0!".to_vec(), zstd(TEXT)].concat()), Ok(TEXT.to_vec()));
        let marked = [BYTE_ORDER_MARK, TEXT].concat();
        assert_eq!(read(&marked), Ok(TEXT.to_vec()));
        assert_eq!(read(&gzip(&marked)), Ok(TEXT.to_vec()));
    }

    #[test]
    fn cut_or_damaged_packing_is_never_an_end() {
        let text: Vec<u8> = (0..20_000_u32)
            .flat_map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        for packed in [gzip(&text), zstd(&text)] {
            for len in (4..packed.len()).step_by(997).chain(packed.len() - 20..packed.len()) {
                assert!(read(&packed[..len]).is_err(), "cut to {len} of {}", packed.len());
            }
            let mut damaged = packed.clone();
            let middle = packed.len() / 2;
            damaged[middle] ^= 0x10;
            assert!(read(&damaged).is_err());
            let trailing = [packed, b"more".to_vec()].concat();
            assert!(read(&trailing).is_err());
        }
    }

    #[test]
    fn binary_input_is_refused_by_name() {
        let cases: [(&[u8], &str); 12] = [
            (b"\x89esdb\r\n", "an esdb file"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (b"\x7fELF\x02", "a program (ELF)"),
            (b"SQLite format 3\0", "an SQLite database"),
            (b"PK\x03\x04", "a zip archive"),
            (b"BZh91AY&SY", "packed with bzip2"),
            (b"\xfd7zXZ\0", "packed with xz"),
            (b"\xd4\xc3\xb2\xa1", "a packet capture"),
            (b"\xff\xfe{\0", "UTF-16 text"),
            (b"{\"a\":\"\0\"}", "binary data (a zero byte at offset 6)"),
            (&gzip(&gzip(TEXT)), "packed with gzip twice"),
            (&zstd(&gzip(TEXT)), "packed with gzip twice"),
        ];
        for (bytes, what) in cases {
            assert_eq!(read(bytes), Err(format!("in:1:1: the input is {what}, not NDJSON or CSV text")));
        }
        assert_eq!(read(b"PAR1,ORCID,BZh\n"), Ok(b"PAR1,ORCID,BZh\n".to_vec()));
    }

    #[test]
    fn progress_counts_packed_bytes_of_a_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in.gz");
        let packed = gzip(&TEXT.repeat(1000));
        std::fs::write(&path, &packed).expect("write");
        let (mut stream, progress) = open(&path).expect("open");
        assert_eq!(len_of(&path), Some(packed.len() as u64));
        assert_eq!(len_of(Path::new("-")), None);
        io::copy(&mut stream, &mut io::sink()).expect("read");
        assert_eq!(progress.read(), packed.len() as u64);
    }

    #[test]
    fn what_can_not_be_opened_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let message = |path: &Path| open(path).err().expect("refused").to_string();
        assert!(message(folder.path()).ends_with(": is a directory"));
        assert!(message(&folder.path().join("no\nfile")).contains("no\\nfile: "));
    }
}
