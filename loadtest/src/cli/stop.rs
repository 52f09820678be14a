//! Ctrl-C and SIGTERM: the run ends in order, and at once where that is said twice.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that is cancelled by the first Ctrl-C or SIGTERM from now on; the second ends the process, and with it a server
/// that it has started.
pub(super) fn on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let token = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
            // There is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "{ENDING}");
            let code = tokio::select! {
                _ = interrupt.recv() => INTERRUPTED,
                _ = terminate.recv() => TERMINATED,
            };
            std::process::exit(code);
        });
    })?;
    Ok(stop)
}

const ENDING: &str =
    "latchkey-loadtest: ending in order, with what was measured so far; Ctrl-C once more ends it at once";
/// Exit codes of one that a signal ended: 128 and its number.
const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;
