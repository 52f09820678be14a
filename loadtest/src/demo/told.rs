//! What the demo tells: lines that stay, and figures that a terminal shows in one place, so that the link stays in sight.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// Rows of the terminal that the newest figures take, while nothing else was told after them.
static FIGURES: Mutex<usize> = Mutex::new(0);

/// Tells a line.
pub(super) fn say(who: &str, what: &str) {
    let mut rows = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    *rows = 0;
    put(&line(who, what));
}

/// Tells something of several lines, as it is.
pub(super) fn show(text: &str) {
    let mut rows = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    *rows = 0;
    put(text);
}

/// Tells figures, in place of the ones before where a terminal has them last.
pub(super) fn figures(all: &[(&str, String)]) {
    let mut rows = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<String> = all.iter().map(|(who, what)| line(who, what)).collect();
    let mut text = String::new();
    if let Some(columns) = columns() {
        if *rows > 0 {
            // To the first row of the ones before, and everything below it away.
            text = format!("\x1b[{rows}F\x1b[J");
        }
        let rows_of = |line: &String| line.trim_end().chars().count().div_ceil(columns).max(1);
        *rows = lines.iter().map(rows_of).sum();
    }
    text.extend(lines);
    put(&text);
}

/// Returns whether a person is likely to see colours.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// The width of the terminal; none where it is none, or says nothing.
fn columns() -> Option<usize> {
    let out = std::io::stdout();
    let size = is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn line(who: &str, what: &str) -> String {
    format!("  {who:<15} {what}\n")
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reading is no reason to stop.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
