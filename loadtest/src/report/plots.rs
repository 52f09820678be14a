//! The figures of the page, each made of one or several runs; where there are several, each is a line.

mod by_viewers;
mod over_time;
mod ridges;

use crate::report::chart::Figure;
use crate::report::run::Run;

/// Letters of a name at most, where it stands in a figure.
const NAME: usize = 21;

/// Returns every figure, in the order of the page.
pub(crate) fn all(runs: &[Run<'_>]) -> Vec<Figure> {
    vec![
        ridges::frame_latency(runs),
        over_time::latency(runs),
        over_time::loss(runs),
        over_time::rates(runs),
        over_time::cpu(runs),
        by_viewers::cpu(runs),
        by_viewers::memory(runs),
        ridges::first_frame(runs),
    ]
}

/// Returns a name that is not too long for a figure.
fn clipped(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let head: String = name.chars().take(NAME - 1).collect();
    format!("{}…", head.trim_end())
}
