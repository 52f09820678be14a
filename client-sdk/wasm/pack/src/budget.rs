//! What a browser has to load: sizes as they are and as a server sends them.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Prints the sizes of what was made, and how much of the budget of the app's first load that is.
#[allow(clippy::print_stdout)]
pub(crate) fn tell(out: &Path) -> Result<()> {
    let mut all = 0;
    for name in ["latchkey_wasm_bg.wasm", "latchkey_wasm.js"] {
        let path = out.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("{} is missing", path.display()))?;
        let compressed = compressed_len(&bytes)?;
        all += compressed;
        println!("latchkey: {name}: {} KB, {} KB by gzip", bytes.len() / 1000, compressed / 1000);
    }
    println!(
        "latchkey: {} % of the {} KB that the app may load first",
        all * 100 / FIRST_LOAD,
        FIRST_LOAD / 1000
    );
    Ok(())
}

fn compressed_len(bytes: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?.len())
}

/// Bytes, compressed, of everything that a page needs before it shows something.
const FIRST_LOAD: usize = 500_000;
