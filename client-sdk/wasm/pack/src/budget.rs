//! What a browser has to load: sizes as they are and as a server sends them.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Prints the sizes of what was made. Fails when it takes more of the app's first load than its share.
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
    if all > SHARE {
        bail!("the module is {} KB by gzip and may be {} KB: find what grew", all / 1000, SHARE / 1000);
    }
    println!("latchkey: {} % of the module's share of the first load", all * 100 / SHARE);
    Ok(())
}

fn compressed_len(bytes: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?.len())
}

/// Bytes by gzip of the module and its JavaScript. Brotli, which is what counts, makes a fifth less of it: 460 KB of the
/// 500 KB that the whole app may load first (`npm run budget`).
const SHARE: usize = 575_000;
