//! `make demo`: shows the product on this machine, in plain words.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use latchkey_loadtest::demo::{self, Options};
use latchkey_loadtest::stop;

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
    /// Folder of the built web app, for the link that opens it [default: web beside the folder of this program].
    #[arg(long, value_name = "FOLDER")]
    web_dir: Option<PathBuf>,
    /// Lets browsers on other devices of this network open the link: HTTPS with a CA of the household.
    #[arg(long)]
    lan: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let web = match arguments.web_dir {
        Some(folder) if folder.join("index.html").is_file() => Some(folder),
        Some(folder) => {
            eprintln!("latchkey-demo: {} holds no web app: build it with `make web`", folder.display());
            return ExitCode::from(2);
        }
        None => beside_this_program(),
    };
    let options = Options {
        duration: arguments.seconds.map(Duration::from_secs),
        clip: arguments.clip,
        web,
        lan: arguments.lan,
    };
    let verdict = stop::on_signal(ENDING)
        .context("cannot listen for Ctrl-C")
        .and_then(|stop| demo::run(&options, &stop))
        .and_then(|shown| shown.verdict());
    let (line, code) = match verdict {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(error) => (format!("demo failed: {error:#}"), ExitCode::FAILURE),
    };
    let _ = writeln!(std::io::stdout(), "{line}");
    code
}

const ENDING: &str = "latchkey-demo: ending in order; Ctrl-C once more ends it at once";

/// The web app where `make web` puts it: `<target>/web`, when this program is in `<target>/<profile>`.
fn beside_this_program() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.with_file_name("web");
    folder.join("index.html").is_file().then_some(folder)
}
