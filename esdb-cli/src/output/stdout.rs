//! Standard output, written in large pieces.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use crate::outcome::Failure;

/// How much is collected before it is written, in bytes.
const FULL: usize = 256 << 10;

/// Collects results and writes them out.
#[derive(Default)]
pub(crate) struct Stdout {
    /// What is still to be written; append to it.
    pub(crate) bytes: Vec<u8>,
}

impl Stdout {
    pub(crate) fn is_terminal() -> bool {
        static IS_TERMINAL: OnceLock<bool> = OnceLock::new();
        *IS_TERMINAL.get_or_init(|| io::stdout().is_terminal())
    }

    /// Writes what was collected if that is much.
    ///
    /// # Errors
    ///
    /// [`Failure::Closed`] if nobody reads any more, else what the system says.
    pub(crate) fn flush_if_full(&mut self) -> Result<(), Failure> {
        if self.bytes.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Writes what was collected.
    ///
    /// # Errors
    ///
    /// Those of [`flush_if_full`](Self::flush_if_full).
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.bytes).and_then(|()| stdout.flush());
        self.bytes.clear();
        written.map_err(|error| Failure::of_stdout(&error))
    }
}
