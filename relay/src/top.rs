//! `latchkey-relay top`: what a running relay does, second by second, read from its ops port.

mod client;
mod screen;
mod view;

use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};
use std::time::{Duration, Instant};

use clap::Args;

use crate::ops::figures::{RoomsAnswer, ShardsAnswer};
use crate::top::client::OpsPort;
pub use crate::top::client::ReadError;
use crate::top::view::View;

/// Where to look, how often, and how to show it.
#[derive(Clone, Debug, Args)]
pub struct TopOptions {
    /// Ops port of the relay, or of the latchkey-server that it is in
    #[arg(long, env = "LATCHKEY_RELAY_OPS", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9600")]
    pub ops: String,
    /// Shows one table and ends
    #[arg(long)]
    pub once: bool,
    /// Writes one JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
}

/// Why nothing is shown any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopError {
    /// The ops port was not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The standard output cannot be written to.
    #[error("cannot write the figures: {0}")]
    Write(#[from] io::Error),
}

/// Shows figures until Ctrl-C; with [`TopOptions::once`] one time.
///
/// # Errors
/// See [`TopError`]. A relay that goes away in the meantime is waited for.
pub async fn run(options: &TopOptions) -> Result<(), TopError> {
    let port = OpsPort::parse(&options.ops)?;
    let mut before = look(&port).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(options.every));
    ticks.tick().await;
    let live = !options.once && !options.json && stdout().is_terminal();
    let _cursor = live.then(HiddenCursor::hide).transpose()?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let text = match look(&port).await {
            Ok(now) => {
                let view = View::between(&before, &now);
                before = now;
                if options.json {
                    serde_json::to_string(&view).map_err(io::Error::from)? + "\n"
                } else {
                    screen::table(&view, port.name(), live.then(screen::size).flatten())
                }
            }
            Err(error) if options.once => return Err(error.into()),
            Err(error) if live => format!("{error}; asking again\n"),
            Err(error) => {
                writeln!(stderr(), "latchkey-relay: {error}; asking again")?;
                continue;
            }
        };
        match show(&text, live) {
            // Whoever read this has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            shown => shown?,
        }
        if options.once {
            return Ok(());
        }
    }
}

/// Both answers of the ops port, and when they were there.
#[derive(Clone, Debug)]
struct Look {
    at: Instant,
    shards: ShardsAnswer,
    rooms: RoomsAnswer,
}

async fn look(port: &OpsPort) -> Result<Look, ReadError> {
    let shards = port.get("/shards").await?;
    let rooms = port.get("/rooms").await?;
    Ok(Look { at: Instant::now(), shards, rooms })
}

/// On a terminal over what was there, line by line so that nothing flickers; else one after the other.
fn show(text: &str, live: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    if live {
        write!(out, "{HOME}")?;
        text.lines().try_for_each(|line| writeln!(out, "{line}{TO_END_OF_LINE}"))?;
        write!(out, "{TO_END_OF_SCREEN}")?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// Brings the cursor back when the table ends.
struct HiddenCursor;

impl HiddenCursor {
    fn hide() -> io::Result<Self> {
        write!(stdout(), "{CLEAR}{HIDE_CURSOR}")?;
        Ok(Self)
    }
}

impl Drop for HiddenCursor {
    fn drop(&mut self) {
        let _ = write!(stdout(), "{SHOW_CURSOR}").and_then(|()| stdout().flush());
    }
}

const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END_OF_SCREEN: &str = "\x1b[J";
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
