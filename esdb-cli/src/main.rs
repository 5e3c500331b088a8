//! The command `esdb`.
fn main() {}
