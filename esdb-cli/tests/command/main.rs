//! The command as its users meet it: what it prints, what it refuses, how it ends.

mod binary;
#[cfg(target_os = "linux")]
mod changed;
mod convert;
mod count;
mod esdb;
#[cfg(target_os = "linux")]
mod faults;
mod import;
mod listings;
mod merge;
mod model;
#[path = "../../../esdb-legacy/tests/old/mod.rs"]
mod old;
mod pipes;
mod readme;
mod recover;
mod round_trip;
mod scan;
mod verify;
