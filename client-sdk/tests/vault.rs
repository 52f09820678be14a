//! The vault as people and accidents meet it: killed at any moment, asked for at a terminal, kept in a real keyring.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they saw")]

#[path = "vault/command.rs"]
mod command;
#[path = "vault/crash.rs"]
mod crash;
mod house;
#[path = "vault/keyring.rs"]
mod keyring;
#[path = "cli/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod program;
#[path = "vault/terminal.rs"]
mod terminal;

use std::path::Path;

use latchkey::vault::{Choice, Cost, Method, Unlock, Vault};
use zeroize::Zeroizing;

/// Argon2id as cheap as it goes.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn by(method: Method) -> Unlock {
    Unlock::new(Choice::Only(method)).cost(CHEAP)
}

fn secret(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// Makes a vault with one record.
fn made(dir: &Path, unlock: &Unlock) {
    let mut vault = Vault::create_with(dir, unlock).unwrap();
    vault.put("identity", secret(b"a private key"));
    vault.save().unwrap();
}

/// This test binary, to run one of its tests that is only there for another one.
fn this_test(name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}
