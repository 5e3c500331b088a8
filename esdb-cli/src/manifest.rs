//! Manifests: which files belong to an archive, and their digests, kept apart from them.
//!
//! ```text
//! FILEDIGEST  CONTENTDIGEST  NAME
//! ```
//!
//! A line for each file, digests in hexadecimal digits, names relative to the manifest's folder, byte for byte.

use std::path::{Path, PathBuf};

use esdb_format::{Digest, Reader};

use crate::output::summary::hex;
use crate::text::quote;

/// What a manifest says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file: Digest,
    pub(crate) content: Digest,
    pub(crate) path: PathBuf,
}

impl Entry {
    pub(crate) fn of(file: &Reader, path: &Path) -> Self {
        Self { file: file.file_digest(), content: file.content_digest(), path: path.to_owned() }
    }

    /// Whether `file` has the digests that are stated here. The file must be verified, too: it states them itself.
    pub(crate) fn is(&self, file: &Reader) -> bool {
        (self.file, self.content) == (file.file_digest(), file.content_digest())
    }

    /// Appends the line of this entry.
    ///
    /// # Errors
    ///
    /// The name cannot stand in a line.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let name = self.path.as_os_str().as_encoded_bytes();
        if name.contains(&b'\n') || name.ends_with(b"\r") {
            return Err("a name with a line break cannot stand in a manifest");
        }
        out.extend_from_slice(format!("{}  {}  ", hex(&self.file), hex(&self.content)).as_bytes());
        out.extend_from_slice(name);
        out.push(b'\n');
        Ok(())
    }
}

/// Reads a manifest: an entry for each line. Empty lines and lines that begin with `#` say nothing.
///
/// # Errors
///
/// The number of the first line that is none, and why.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.map(|(number, line)| (number + 1, line.strip_suffix(b"\r").unwrap_or(line)));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(number, line)| {
            entry(line).ok_or_else(|| {
                format!("line {number}: FILEDIGEST  CONTENTDIGEST  NAME expected, {} found", quote(line))
            })
        })
        .collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (file, rest) = digest(line)?;
    let (content, name) = digest(rest)?;
    (!name.is_empty()).then(|| Entry { file, content, path: path(name) })
}

/// The digest and the two blanks that a line begins with, and what follows.
fn digest(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (digits, rest) = line.split_at_checked(64)?;
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let pair =
            std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some((digest, rest.strip_prefix(b"  ")?))
}

#[cfg(unix)]
fn path(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

#[cfg(not(unix))]
fn path(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip() {
        let one = Entry { file: [0xAB; 32], content: [7; 32], path: "a folder/b  c.esdb".into() };
        let other = Entry { path: "ü\\x.esdb".into(), ..one.clone() };
        let mut lines = b"# made by hand\n\n".to_vec();
        one.write_line(&mut lines).expect("line");
        other.write_line(&mut lines).expect("line");
        assert_eq!(parse(&lines), Ok(vec![one.clone(), other]));
        let text = String::from_utf8(lines).expect("UTF-8").replace('\n', "\r\n");
        assert_eq!(parse(text.as_bytes()).map(|entries| entries.len()), Ok(2));
        let broken = Entry { path: "a\nb".into(), ..one };
        assert!(broken.write_line(&mut Vec::new()).is_err());
    }

    #[test]
    fn what_is_no_line_is_named() {
        let digest = "ab".repeat(32);
        for line in [
            "text".to_owned(),
            format!("{digest}  {digest}"),
            format!("{digest}  {digest}  "),
            format!("{digest} {digest}  a"),
            format!("{digest}  {}  a", digest.replace('a', "g")),
            format!("{}  {digest}  a", digest.replace("ab", "+b")),
            format!("{digest}  {}é  a", &digest[1..]),
        ] {
            let error = parse(format!("# first\n{line}\n").as_bytes()).expect_err(&line);
            assert!(error.starts_with("line 2: FILEDIGEST"), "{error}");
        }
    }
}
