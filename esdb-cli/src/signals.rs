//! What the command does when the system sends it a signal.

use crate::outcome::Failure;

/// What is said when a mapped file shrinks. The file is not named: a signal handler may not look for its name.
const TRUNCATED: &str = "esdb: a file was truncated, or failed, while it was read; --no-mmap tells where\n";

/// For every verb: a file that shrinks under its map, or grows beyond what the user may write, ends in a message.
///
/// # Errors
///
/// What the system says.
pub(crate) fn prepare() -> Result<(), Failure> {
    esdb_format::exit_on_bus_error(TRUNCATED);
    #[cfg(unix)]
    {
        // With a handler, whatever it does, the write fails instead of the process.
        let unread = std::sync::Arc::default();
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, unread).map_err(failed)?;
    }
    Ok(())
}

/// For verbs that write: SIGINT and SIGTERM remove the temporary before they end the process.
///
/// # Errors
///
/// What the system says.
pub(crate) fn remove_temporaries_at_end() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let wait = move || {
            if let Some(signal) = signals.forever().next() {
                esdb_format::abandon_writers();
                // Ends the process, so that whoever started it sees which signal it was.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(failed)?;
    }
    Ok(())
}

#[cfg(unix)]
fn failed(error: std::io::Error) -> Failure {
    Failure::Failed(format!("cannot prepare for signals: {error}"))
}
