//! The command as its users meet it: what it prints, what it refuses, how it ends.

mod binary;
mod count;
mod esdb;
mod import;
mod listings;
mod merge;
mod model;
mod pipes;
mod readme;
mod recover;
mod round_trip;
mod scan;
mod verify;
