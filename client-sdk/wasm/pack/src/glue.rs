//! The JavaScript that loads the module, and its TypeScript declarations.

use std::path::Path;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

/// Writes `latchkey_wasm.js`, `latchkey_wasm.d.ts` and `latchkey_wasm_bg.wasm` into `out`.
///
/// Fails when the module was made by another wasm-bindgen than this program, or `out` cannot be written.
pub(crate) fn make(wasm: &Path, out: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).web(true)?.typescript(true).remove_name_section(true);
    bindgen.remove_producers_section(true);
    // The worker begins anew on fresh memory after a panic.
    bindgen.reset_state_function(true);
    bindgen.generate(out).context("the JavaScript of latchkey-wasm could not be made")
}

#[cfg(test)]
mod tests {
    /// The program that makes the JavaScript and the crate that it is made for know each other only in one version.
    #[test]
    fn both_halves_of_wasm_bindgen_are_of_one_version() {
        let lock = include_str!("../../../../Cargo.lock");
        let version_of = |name: &str| {
            let place =
                lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")));
            place.and_then(|package| package.lines().find(|line| line.starts_with("version = ")))
        };
        assert!(version_of("wasm-bindgen").is_some());
        assert_eq!(version_of("wasm-bindgen"), version_of("wasm-bindgen-cli-support"));
    }
}
