//! Small charts as SVG: a figure holds panels, a panel has two axes, and lines are labelled where they end.
//!
//! Colours are classes (`s1` to `s4`) that the page's style sheet fills in, so that one drawing serves light and dark. A
//! figure is drawn 400 units wide and scales with the page; its letters stay readable at the width of a phone.

pub(crate) mod labels;
pub(crate) mod panel;
pub(crate) mod scale;

use maud::{Markup, html};

/// Width of every figure.
pub(crate) const WIDTH: f64 = 400.0;
/// Height of a figure with one panel.
pub(crate) const HEIGHT: f64 = 214.0;
/// Width of a letter of the charts, at most.
pub(crate) const LETTER: f64 = 7.2;

/// One figure of the page.
pub(crate) struct Figure {
    /// Stands in the page's addresses; unique.
    pub(crate) id: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    /// Units, and how to read it.
    pub(crate) how: String,
    /// What it says, in words, for who cannot see it.
    pub(crate) says: String,
    /// Height.
    pub(crate) height: f64,
    /// The drawing; where there is too little to draw, a sentence instead.
    pub(crate) drawing: Result<Markup, String>,
}

impl Figure {
    /// Returns the figure.
    pub(crate) fn draw(&self) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        html! {
            figure id=(self.id) {
                figcaption { h3 { (self.title) } p { (self.how) } }
                @match &self.drawing {
                    Ok(drawing) => {
                        svg viewBox=(format!("0 0 {WIDTH} {}", self.height)) role="img"
                            aria-labelledby=(format!("{title} {desc}")) {
                            title id=(title) { (self.title) }
                            desc id=(desc) { (self.says) }
                            (drawing)
                        }
                    }
                    Err(why) => { p.empty { (why) } }
                }
            }
        }
    }
}

/// Returns the class of the series of a number, from 0; there are four, and after these they come again.
pub(crate) fn series(number: usize) -> &'static str {
    ["s1", "s2", "s3", "s4"][number % 4]
}

/// Returns a coordinate as SVG writes it.
pub(crate) fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), ToOwned::to_owned)
}
