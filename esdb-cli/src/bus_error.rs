//! A file that is truncated under its map: the system answers with a signal, the command with one line.
//!
//! The command's only `unsafe`.

/// What is said. The file is not named: a signal handler may not look for its name.
#[cfg(unix)]
const MESSAGE: &[u8] = b"esdb: a file was truncated, or failed, while it was read; --no-mmap tells where\n";

/// Ends the process with [`MESSAGE`] and exit code 1 instead of by the signal SIGBUS.
#[cfg(unix)]
#[expect(unsafe_code, reason = "a signal handler has no safe form")]
pub(crate) fn explain() {
    let handler: extern "C" fn(libc::c_int) = say_and_exit;
    // SAFETY: all zeros is a valid `sigaction`, whose mask is then made empty. The handler is async-signal-safe.
    // It is installed once, before there are other threads, and it never returns to the access that failed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "a signal handler has no safe form")]
extern "C" fn say_and_exit(_: libc::c_int) {
    // SAFETY: both functions are async-signal-safe, and the message is a constant.
    unsafe {
        libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::_exit(1);
    }
}

/// Other systems report such an access in another way.
#[cfg(not(unix))]
pub(crate) fn explain() {}
