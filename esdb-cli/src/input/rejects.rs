//! What becomes of records that are not events: the first one ends the job, or each is told, kept and counted.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::Source;
use super::errors::{Fatal, Fault, Malformed, Reason};
use super::lines::CopyError;
use crate::files::is_same_file;
use crate::text::escape;

/// How many malformed records are told one by one.
const SHOWN: u64 = 20;

/// What to do with a malformed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum OnError {
    /// End with an error; nothing is written.
    #[default]
    Stop,
    /// Leave the record out and go on; exit code 3.
    Skip,
}

/// The malformed records of a job.
pub(crate) struct Rejects {
    on_error: OnError,
    keep: Option<Keep>,
    counts: BTreeMap<Reason, u64>,
    skipped: u64,
}

/// The file that keeps their bytes.
struct Keep {
    name: String,
    file: BufWriter<File>,
    /// Whether the last record kept had no line end, as the last of an input may.
    unfinished: bool,
}

impl Keep {
    fn failed(&self, error: &io::Error) -> Fatal {
        Fatal(format!("{}: {error}", self.name))
    }
}

impl Rejects {
    /// Keeps nothing.
    pub(crate) fn new(on_error: OnError) -> Self {
        Self { on_error, keep: None, counts: BTreeMap::new(), skipped: 0 }
    }

    /// Keeps the bytes of malformed records in a new file.
    ///
    /// `others` are the job's inputs and its output. An existing file is replaced only with `force`, and
    /// never if it is one of `others`.
    ///
    /// # Errors
    ///
    /// The file can not be created, exists, or is one of `others`.
    pub(crate) fn keep_in(self, path: &Path, force: bool, others: &[&Path]) -> Result<Self, Fatal> {
        let name = escape(path.as_os_str().as_encoded_bytes()).to_string();
        if let Some(other) = others.iter().find(|other| is_same_file(path, other)) {
            let other = escape(other.as_os_str().as_encoded_bytes());
            return Err(Fatal(format!("{name}: --rejects names the same file as {other}")));
        }
        let exists = path.metadata().is_ok_and(|metadata| metadata.is_file());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        if exists && !force {
            return Err(Fatal(format!("{name}: exists; --force replaces it")));
        }
        let file = options.open(path).map_err(|error| Fatal(format!("{name}: {error}")))?;
        let keep = Keep { name, file: BufWriter::new(file), unfinished: false };
        Ok(Self { keep: Some(keep), ..self })
    }

    /// Deals with the record that `source` just refused. Messages go to `talk`, which is standard error.
    ///
    /// # Errors
    ///
    /// The record itself when the first one ends the job; the failure of an input or of the file of rejects.
    pub(crate) fn take(
        &mut self,
        malformed: Malformed,
        source: &mut Source,
        talk: &mut dyn Write,
    ) -> Result<(), Fault> {
        if self.on_error == OnError::Stop {
            return Err(Fault::Malformed(malformed));
        }
        if let Some(keep) = &mut self.keep {
            let mut noting = LastByte { out: &mut keep.file, last: None };
            let separated = if keep.unfinished { noting.out.write_all(b"\n") } else { Ok(()) };
            let copied = separated.map_err(CopyError::Write).and_then(|()| source.copy_raw(&mut noting));
            keep.unfinished = noting.last.is_some_and(|last| last != b'\n');
            copied.map_err(|error| match error {
                CopyError::Read(error) => Fatal(format!("{}: {error}", source.name())),
                CopyError::Write(error) => keep.failed(&error),
            })?;
        }
        self.skipped += 1;
        *self.counts.entry(malformed.reason).or_default() += 1;
        // Whether the talk is heard does not change the job.
        if self.skipped <= SHOWN {
            let _ = writeln!(talk, "{malformed}");
        }
        if self.skipped == SHOWN + 1 {
            let _ = writeln!(talk, "esdb: more malformed records follow; they are counted at the end");
        }
        Ok(())
    }

    /// Writes out what is kept.
    ///
    /// # Errors
    ///
    /// The file can not be written.
    pub(crate) fn finish(&mut self) -> Result<(), Fatal> {
        let Some(keep) = &mut self.keep else { return Ok(()) };
        let written = keep.file.flush();
        written.map_err(|error| keep.failed(&error))
    }

    /// How many records were left out.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many records were left out for each reason.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Tells the counts: a line for all, a line for each reason. Silent if nothing was left out.
    pub(crate) fn report(&self, talk: &mut dyn Write) -> io::Result<()> {
        if self.skipped == 0 {
            return Ok(());
        }
        let kept = self.keep.as_ref().map_or(String::new(), |keep| format!(", kept in {}", keep.name));
        writeln!(talk, "esdb: {} malformed {} skipped{kept}", self.skipped, plural(self.skipped))?;
        for (reason, count) in self.counts() {
            writeln!(talk, "  {count:>10}  {reason}")?;
        }
        Ok(())
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "record" } else { "records" }
}

/// Remembers the last byte that passed.
struct LastByte<'k> {
    out: &'k mut BufWriter<File>,
    last: Option<u8>,
}

impl Write for LastByte<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.last = bytes.get(..count).and_then(|written| written.last().copied()).or(self.last);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::source;
    use super::super::{Fault, Layout};
    use super::*;
    use esdb_format::{EventBuf, Unit};

    const GOOD: &str = r#"{"space":"1","timestamp":1,"data":1}"#;

    /// Reads everything; returns the count of events and what was said.
    fn run(text: &[u8], rejects: &mut Rejects) -> (u64, String) {
        let mut source = source(text, &Layout::Native(Unit::Seconds));
        let (mut count, mut talk, mut event) = (0, Vec::new(), EventBuf::default());
        loop {
            match source.next(&mut event) {
                Ok(true) => count += 1,
                Ok(false) => break,
                Err(Fault::Malformed(malformed)) => {
                    rejects.take(malformed, &mut source, &mut talk).expect("skip");
                }
                Err(Fault::Fatal(fatal)) => panic!("{fatal}"),
            }
        }
        rejects.finish().expect("flush");
        rejects.report(&mut talk).expect("memory");
        (count, String::from_utf8(talk).expect("UTF-8"))
    }

    #[test]
    fn three_bad_lines_of_a_thousand_are_kept_byte_for_byte() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("rejects");
        let mut rejects = Rejects::new(OnError::Skip).keep_in(&path, false, &[]).expect("new file");
        let mut lines: Vec<&[u8]> = vec![GOOD.as_bytes(); 1000];
        let bad: [&[u8]; 3] = [b"not json\r", b"{\"space\":\"\xff\"}", b"{\"cut"];
        (lines[6], lines[500], lines[999]) = (bad[0], bad[1], bad[2]);
        let (count, talk) = run(&lines.join(&b'\n'), &mut rejects);
        assert_eq!((count, rejects.skipped()), (997, 3));
        assert_eq!(fs::read(&path).expect("rejects"), bad.join(&b'\n'));
        assert!(talk.starts_with("in:7:2: invalid JSON: expected ident\nin:501:11: "), "{talk}");
        let reasons: Vec<_> = rejects.counts().collect();
        assert_eq!(reasons, [(Reason::InvalidJson, 2), (Reason::InvalidUtf8, 1)]);
        let kept = format!("esdb: 3 malformed records skipped, kept in {}\n", path.display());
        assert!(
            talk.ends_with(&format!("{kept}           2  invalid JSON\n           1  invalid UTF-8\n")),
            "{talk}"
        );
    }

    #[test]
    fn a_million_bad_lines_are_told_twenty_times() {
        let mut rejects = Rejects::new(OnError::Skip);
        let (count, talk) = run(&b"x\n".repeat(1_000_000), &mut rejects);
        assert_eq!((count, rejects.skipped()), (0, 1_000_000));
        assert_eq!(talk.lines().filter(|line| line.starts_with("in:")).count(), 20);
        assert_eq!(talk.lines().count(), 23);
    }

    #[test]
    fn a_last_line_without_end_does_not_run_into_the_next_input() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("rejects");
        let mut rejects = Rejects::new(OnError::Skip).keep_in(&path, false, &[]).expect("new file");
        run(b"one\n\ntwo", &mut rejects);
        run(b"three\r\nfour", &mut rejects);
        assert_eq!(fs::read(&path).expect("rejects"), b"one\ntwo\nthree\r\nfour");
    }

    #[test]
    fn the_file_of_rejects_must_be_a_new_file_of_its_own() {
        let folder = tempfile::tempdir().expect("folder");
        let (input, twin, output) =
            (folder.path().join("in"), folder.path().join("twin"), folder.path().join("out"));
        fs::write(&input, "precious").expect("write");
        fs::hard_link(&input, &twin).expect("link");
        let others = [input.as_path(), output.as_path()];
        let refused = |path: &Path| {
            Rejects::new(OnError::Skip).keep_in(path, true, &others).err().expect("refused").to_string()
        };
        for path in [&input, &twin, &output, &folder.path().join(".").join("out")] {
            assert!(refused(path).contains("--rejects names the same file as"), "{}", path.display());
        }
        assert!(refused(&folder.path().join("none").join("r")).contains("none/r: "));
        assert_eq!(fs::read(&input).expect("input"), b"precious");

        let old = folder.path().join("old");
        fs::write(&old, "old").expect("write");
        assert!(Rejects::new(OnError::Skip).keep_in(&old, false, &others).is_err());
        assert_eq!(fs::read(&old).expect("old"), b"old");
        assert!(Rejects::new(OnError::Skip).keep_in(&old, true, &others).is_ok());
    }

    #[test]
    fn stop_returns_the_first_record_unchanged() {
        let mut source = source(b"\n\nx", &Layout::Native(Unit::Seconds));
        let Err(Fault::Malformed(malformed)) = source.next(&mut EventBuf::default()) else {
            panic!("malformed")
        };
        let fault = Rejects::new(OnError::Stop).take(malformed.clone(), &mut source, &mut Vec::new());
        assert_eq!(fault, Err(Fault::Malformed(malformed)));
    }
}
