//! Runs the command in a folder of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder for one test. The command runs inside, so messages name files without a path.
pub(crate) struct Folder(TempDir);

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A file of the folder `fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("write");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("read")
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Names of everything in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("entry"))).collect();
        names.sort();
        names
    }

    /// The command with arguments that are separated by blanks, without input.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_words(line.split_whitespace())
    }

    pub(crate) fn run_words(&self, words: impl IntoIterator<Item: AsRef<OsStr>>) -> Run {
        self.run_with(words, b"")
    }

    /// The command with bytes on standard input.
    pub(crate) fn run_with(&self, words: impl IntoIterator<Item: AsRef<OsStr>>, input: &[u8]) -> Run {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().expect("start");
        let mut stdin = child.stdin.take().expect("stdin");
        std::thread::scope(|scope| {
            // A command that refuses its arguments reads nothing.
            scope.spawn(move || stdin.write_all(input).ok());
            let output = child.wait_with_output().expect("end");
            Run {
                code: output.status.code().expect("no signal"),
                stdout: output.stdout,
                stderr: String::from_utf8(output.stderr).expect("UTF-8"),
            }
        })
    }

    pub(crate) fn command(&self, words: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esdb"));
        command.current_dir(self.0.path()).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Imports a fixture with flags.
    pub(crate) fn import(&self, name: &str, flags: &str) -> Run {
        let path = fixture(name).into_os_string();
        let words = ["import".into(), path].into_iter().chain(flags.split_whitespace().map(Into::into));
        self.run_words(words)
    }
}

impl Run {
    /// The same run, which must have ended well and without a word on standard error.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
        self
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    /// Asserts that the run failed with this line and printed nothing else.
    #[track_caller]
    pub(crate) fn failed_with(&self, message: &str) {
        assert_eq!((self.code, self.stderr.as_str(), self.text()), (1, format!("{message}\n").as_str(), ""));
    }

    /// Asserts that the arguments were refused with a message that contains `part`.
    #[track_caller]
    pub(crate) fn refused_with(&self, part: &str) {
        assert_eq!(self.code, 2, "{}", self.stderr);
        assert!(self.stderr.contains(part), "{}", self.stderr);
        assert_eq!(self.text(), "");
    }

    /// Asserts that the run failed with one line that begins so.
    #[track_caller]
    pub(crate) fn failed_with_prefix(&self, prefix: &str) {
        assert_eq!((self.code, self.text()), (1, ""), "{}", self.stderr);
        assert!(self.stderr.starts_with(prefix), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1);
    }
}
