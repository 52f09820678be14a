//! `make demo`: shows the product on this machine, in plain words.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use latchkey_loadtest::demo::{self, Options};
use tokio_util::sync::CancellationToken;

/// Starts a server, a household, a camera and two viewers, and an outsider who gets every byte and opens none.
#[derive(Parser)]
#[command(name = "latchkey-demo", version)]
struct Arguments {
    /// End after so many seconds; without it the demo runs until Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// What the camera plays: MP4, Annex B or IVF.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/clips/doorbell.mp4"))]
    clip: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options { duration: arguments.seconds.map(Duration::from_secs), clip: arguments.clip };
    let stop = CancellationToken::new();
    demo::stop_on_ctrl_c(stop.clone());
    let verdict = demo::run(&options, &stop).and_then(|shown| shown.verdict());
    let (line, code) = match verdict {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(error) => (format!("demo failed: {error:#}"), ExitCode::FAILURE),
    };
    let _ = writeln!(std::io::stdout(), "{line}");
    code
}
