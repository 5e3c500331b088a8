//! The command as its users meet it: what it prints, what it refuses, how it ends.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocation;
mod binary;
#[cfg(target_os = "linux")]
mod changed;
mod convert;
mod count;
mod esdb;
#[cfg(target_os = "linux")]
mod faults;
mod import;
#[cfg(target_os = "linux")]
mod kill_points;
mod limits;
mod listings;
mod merge;
mod model;
#[path = "../../../esdb-legacy/tests/old/mod.rs"]
mod old;
mod pipes;
mod readme;
mod recover;
#[cfg(target_os = "linux")]
mod resources;
mod round_trip;
mod scan;
#[cfg(target_os = "linux")]
mod terminal;
mod verify;
