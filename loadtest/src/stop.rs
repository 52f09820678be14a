//! Ctrl-C and SIGTERM: a program ends in order, and at once where that is said twice. Either way it leaves nothing behind.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::process::end_all;
use crate::scratch::remove_all;

/// Returns a token that is cancelled by the first Ctrl-C or SIGTERM from now on, when `ending` is told; the second ends this
/// process at once, and with it the programs that it has started and its temporary folders.
///
/// # Errors
/// What the system said.
pub fn on_signal(ending: &'static str) -> std::io::Result<CancellationToken> {
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
            let _ = writeln!(std::io::stderr(), "{ending}");
            let code = tokio::select! {
                _ = interrupt.recv() => INTERRUPTED,
                _ = terminate.recv() => TERMINATED,
            };
            end_all();
            remove_all();
            std::process::exit(code);
        });
    })?;
    Ok(stop)
}

/// Exit codes of one that a signal ended: 128 and its number.
const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;
