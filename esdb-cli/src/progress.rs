//! How far a job is, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on standard error that tells how far a job is. Silent without a terminal.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of a job that reads `total` bytes, if that is known.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let template = match total {
            Some(_) => "{bar:40} {percent:>3} % of {total_bytes}, {binary_bytes_per_sec} {msg}",
            None => "{spinner} {bytes} read, {binary_bytes_per_sec} {msg}",
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        match ProgressStyle::with_template(template) {
            Ok(style) => Self(bar.with_style(style)),
            Err(_) => Self(bar),
        }
    }

    /// `bytes` have been read.
    pub(crate) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// All has been read.
    pub(crate) fn finishing(&self) {
        self.0.set_message(format!("{} read, writing", HumanBytes(self.0.position())));
    }

    /// Clears the line.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }

    /// Lets somebody else write to standard error.
    pub(crate) fn aside<T>(&self, talk: impl FnOnce() -> T) -> T {
        self.0.suspend(talk)
    }
}
