//! `latchkey-loadtest`: how much a server carries, and whether what it promises holds under load.

use std::process::ExitCode;

use clap::Parser as _;
use latchkey_loadtest::cli;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
