//! `latchkey-wasm-pack OUT_DIR`: builds latchkey-wasm for browsers, makes its JavaScript and TypeScript, and says how large they are.
//!
//! Exit code 2 means that this machine lacks something, which the sentence names.

mod budget;
mod glue;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (features, out) = match arguments.as_slice() {
        [out] => (None, PathBuf::from(out)),
        [option, features, out] if option == "--features" => (Some(features.as_str()), PathBuf::from(out)),
        _ => {
            eprintln!("latchkey: write `latchkey-wasm-pack [--features NAMES] OUT_DIR`");
            return ExitCode::from(2);
        }
    };
    match pack(features, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchkey: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn pack(features: Option<&str>, out: &Path) -> anyhow::Result<()> {
    let wasm = toolchain::find()?.build(features)?;
    glue::make(&wasm, out)?;
    budget::tell(out)
}
