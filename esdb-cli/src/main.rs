//! The command `esdb`.

fn main() -> std::process::ExitCode {
    esdb_cli::run()
}
