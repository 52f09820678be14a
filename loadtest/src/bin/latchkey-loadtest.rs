//! `latchkey-loadtest`: how much a server carries, and whether what it promises holds under load.

use std::process::ExitCode;

use latchkey_loadtest::cli;

fn main() -> ExitCode {
    cli::read().map_or_else(|code| code, cli::run)
}
