//! Labels that stand beside the ends of lines and do not cover each other.

use maud::{Markup, html};

use crate::report::chart::at;

/// Height of a line of letters.
const LINE: f64 = 12.5;

/// A label and where its line ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// Height of the line's end.
    pub(crate) y: f64,
    /// What it says.
    pub(crate) text: String,
    /// Class of its series.
    pub(crate) class: &'static str,
}

/// Returns the labels at `x`, moved apart between `top` and `bottom`.
pub(crate) fn beside(x: f64, mut labels: Vec<Label>, top: f64, bottom: f64) -> Markup {
    spread(&mut labels, top, bottom);
    html! {
        @for label in &labels {
            text class={ "end t-" (label.class) } x=(at(x)) y=(at(label.y + 3.8)) { (label.text) }
        }
    }
}

/// Moves labels apart by at least a line's height, as little as may be, within the bounds where they fit there.
fn spread(labels: &mut [Label], top: f64, bottom: f64) {
    labels.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut least = top;
    for label in labels.iter_mut() {
        label.y = label.y.max(least);
        least = label.y + LINE;
    }
    let mut most = bottom;
    for label in labels.iter_mut().rev() {
        label.y = label.y.min(most);
        most = label.y - LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_out(ys: &[f64]) -> Vec<f64> {
        let mut labels: Vec<Label> =
            ys.iter().map(|y| Label { y: *y, text: String::new(), class: "s1" }).collect();
        spread(&mut labels, 0.0, 100.0);
        labels.iter().map(|label| label.y).collect()
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        for ys in [&[50.0, 50.0, 50.0][..], &[99.0, 100.0, 98.0], &[0.0, 0.0], &[10.0, 90.0]] {
            let placed = spread_out(ys);
            assert!(placed.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{ys:?} {placed:?}");
            assert!(placed.iter().all(|y| (0.0..=100.0).contains(y)), "{placed:?}");
        }
        assert_eq!(spread_out(&[10.0, 90.0]), [10.0, 90.0]);
    }
}
