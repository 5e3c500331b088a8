//! What is printed on standard output: events, listings, tables, facts.
//!
//! Results are collected in a large buffer and written when it is full. On a terminal nothing from a file
//! reaches the screen unescaped.

pub(crate) mod listing;
pub(crate) mod ndjson;
pub(crate) mod object;
pub(crate) mod sections;
pub(crate) mod stdout;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod terminal;
