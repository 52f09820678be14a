//! The page: one self-contained HTML file.

use maud::{DOCTYPE, html};

use crate::measure::line::Line;

/// Returns the page of one run, or of several side by side; each element is a file's lines, and a file may hold several
/// runs. It needs no network, no font and no script.
#[must_use]
pub fn html(files: &[Vec<Line>]) -> String {
    html! { (DOCTYPE) html lang="en" { head { title { "Load test" } } body { p { (files.len()) " files" } } } }
        .into_string()
}
