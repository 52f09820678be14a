//! What a browser has to load: sizes as they are and as a server sends them.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Prints the sizes of what was made.
///
/// Fails when the compressed module leaves no room for the app within its 500 KB of first load.
#[allow(clippy::print_stdout)]
pub(crate) fn tell(out: &Path) -> Result<()> {
    for name in ["latchkey_wasm_bg.wasm", "latchkey_wasm.js"] {
        let path = out.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("{} is missing", path.display()))?;
        let compressed = compressed_len(&bytes)?;
        println!("latchkey: {name}: {} KB, {} KB compressed", bytes.len() / 1000, compressed / 1000);
        if compressed > MOST {
            bail!("{name} has {compressed} bytes compressed, more than the {MOST} that the app's first load leaves it");
        }
    }
    Ok(())
}

fn compressed_len(bytes: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?.len())
}

/// 500 KB for everything, of which the page itself needs some.
const MOST: usize = 420_000;
