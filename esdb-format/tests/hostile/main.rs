//! Hostile and damaged files: what lies in them, resealed and not, is refused in bounded time and memory, and no answer is wrong.
//!
//! The names of the tests begin with the case of the project's list of faults that they stand for.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod cases;
mod damage;
mod layout;

mod mutants;
mod mutate;
mod reseal;
mod samples;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
