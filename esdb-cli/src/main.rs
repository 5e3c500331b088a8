//! The command `esdb`.

#![allow(dead_code, reason = "the verbs that use the inputs and outputs come with the format")]

mod args;
mod input;
mod json;
mod output;
mod text;
mod times;

fn main() {}
