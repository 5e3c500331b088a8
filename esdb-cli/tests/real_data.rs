//! Sixteen real data sets, and the 2014 library's visits, imported and compared with what Python makes of the originals.
//!
//! The scripts in `real_data/` share no code with the project. The data lie beside the workspace, or where `ESDB_SHARED` says.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the data. Without it the test is skipped, but in CI it fails.
fn shared() -> Option<PathBuf> {
    let folder = match env::var_os("ESDB_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    if folder.join("data").is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{} has no data", folder.display());
    eprintln!("skipped: no data sets in {} (ESDB_SHARED names another folder)", folder.display());
    None
}

/// Runs a script; what it prints is shown if it fails.
fn run(script: &str, arguments: &[&str]) {
    let Some(shared) = shared() else { return };
    let work = tempfile::tempdir().unwrap();
    let python = env::var_os("ESDB_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_data").join(script))
        .arg("--shared")
        .arg(shared)
        .arg("--work")
        .arg(work.path())
        .arg("--esdb")
        .arg(env!("CARGO_BIN_EXE_esdb"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{script}: {said}");
    println!("{said}");
}

#[test]
fn every_real_set_comes_back_whole() {
    run("run.py", &["--queries", "10"]);
}

#[test]
fn ten_thousand_visits_give_what_was_stored_not_what_the_old_reader_lost() {
    run("visits.py", &[]);
}
