//! Ours beside the floor, of one run: viewers that fit, CPU for each packet, and apart from these what is extrapolated.

use std::fmt::Write as _;

use crate::breakpoint::Search;
use crate::breakpoint::floor::{Measured, NAME};
use crate::measure::line::{StepLine, VerdictLine};
use crate::report::number::{count, rough, short};
use crate::run::stage::{Bounds, Done, Plan, Stage};

/// Two searches of one run beside each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// The server.
    pub ours: Side,
    /// The floor.
    pub floor: Side,
    /// CPU for each packet with the largest number of viewers that both were tried with and carried; where there is none, that
    /// both were tried with.
    pub cost: Option<Cost>,
}

/// What one of them carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// The largest number of viewers that it carried.
    pub last_good: u64,
    /// Whether it may carry more: the driver was the limit, or no more were asked for.
    pub is_bound: bool,
    /// The trial with the most viewers that it carried, by whose CPU more is extrapolated.
    pub most: Option<Most>,
}

/// A trial, as far as it says what a full processor would carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Most {
    /// Viewers.
    pub viewers: u64,
    /// CPU, percent of one processor.
    pub cpu_pct: f64,
    /// CPU microseconds for each packet.
    pub us_per_packet: f64,
}

/// What a packet costs both of them with the same number of viewers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Viewers.
    pub viewers: u64,
    /// Microseconds.
    pub ours_us: f64,
    /// Microseconds.
    pub floor_us: f64,
}

impl Side {
    fn of(name: &str, verdict: &VerdictLine, trials: &[StepLine]) -> Self {
        let last_good = verdict.last_good.unwrap_or(0);
        let carried = trials.iter().filter(|step| step.viewers <= last_good);
        let most = carried.max_by_key(|step| step.viewers).and_then(|step| {
            let server = step.server.as_ref().filter(|server| server.cpu_pct > 0.0)?;
            let (cpu_pct, us_per_packet) = (server.cpu_pct, server.us_per_packet);
            Some(Most { viewers: step.viewers, cpu_pct, us_per_packet })
        });
        Self { name: name.to_owned(), last_good, is_bound: verdict.first_bad.is_none(), most }
    }

    fn fits(&self) -> String {
        format!("{}{}", if self.is_bound { "≥ " } else { "" }, count(self.last_good))
    }

    /// Returns how many would fill one processor by the CPU of the largest trial that was carried.
    #[must_use]
    pub fn extrapolated(&self) -> Option<u64> {
        self.most.map(|most| rough(most.viewers as f64 * 100.0 / most.cpu_pct))
    }
}

impl Ratio {
    /// Puts the two beside each other.
    #[must_use]
    pub fn of(ours: &VerdictLine, trials: &[StepLine], floor: &Measured) -> Self {
        let name = trials.first().map_or("the server", |step| step.server_name.as_str());
        let ours = Side::of(name, ours, trials);
        let floor_side = Side::of(NAME, &floor.verdict, &floor.trials);
        let carried = ours.last_good.min(floor_side.last_good);
        let cost_at = |viewers: u64| {
            let of = |trials: &[StepLine]| {
                let step = trials.iter().rev().find(|step| step.viewers == viewers)?;
                step.server.as_ref().map(|server| server.us_per_packet).filter(|us| *us > 0.0)
            };
            Some(Cost { viewers, ours_us: of(trials)?, floor_us: of(&floor.trials)? })
        };
        let mut costs: Vec<Cost> = trials.iter().filter_map(|step| cost_at(step.viewers)).collect();
        costs.sort_by_key(|cost| (cost.viewers <= carried, cost.viewers));
        Self { ours, floor: floor_side, cost: costs.last().copied() }
    }

    /// Returns how many times the floor's viewers ours are, with `≥` or `≤` where one of the two is a bound; none where it
    /// cannot be told.
    #[must_use]
    pub fn viewers(&self) -> Option<(&'static str, f64)> {
        let sign = match (self.ours.is_bound, self.floor.is_bound) {
            (true, true) => return None,
            (true, false) => "≥ ",
            (false, true) => "≤ ",
            (false, false) => "",
        };
        let value = self.ours.last_good as f64 / self.floor.last_good as f64;
        (self.floor.last_good > 0).then_some((sign, value))
    }

    /// Returns it as a part of the verdict's sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = format!("the {NAME} carries {} in the same run", self.floor.fits());
        match self.viewers() {
            Some((sign, value)) => {
                let _ = write!(text, ": ours / floor {sign}{value:.2}");
            }
            None => text.push_str(", so the ratio of the two is not known"),
        }
        if let Some(cost) = self.cost {
            let _ = write!(
                text,
                ", CPU for each packet {:.2} with {} viewers",
                cost.ours_us / cost.floor_us,
                count(cost.viewers)
            );
        }
        text
    }

    /// Returns it as a table for a terminal; what is extrapolated stands below, apart.
    #[must_use]
    pub fn table(&self) -> String {
        let ratio = self.viewers().map_or("–".to_owned(), |(sign, value)| format!("{sign}{value:.2}"));
        let mut rows = vec![
            [String::new(), self.ours.name.clone(), NAME.to_owned(), "ours / floor".to_owned()],
            ["viewers that fit".to_owned(), self.ours.fits(), self.floor.fits(), ratio],
        ];
        if let Some(Cost { viewers, ours_us, floor_us }) = self.cost {
            let ratio = format!("{:.2}", ours_us / floor_us);
            let head = format!("CPU per packet with {}, µs", count(viewers));
            rows.push([head, short(ours_us), short(floor_us), ratio]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [w0, w1, w2, w3] = [width(0), width(1), width(2), width(3)];
        let mut text = String::new();
        for [head, ours, floor, ratio] in &rows {
            let line = format!("{head:<w0$}   {ours:>w1$}   {floor:>w2$}   {ratio:>w3$}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for side in [&self.ours, &self.floor].into_iter().filter(|side| side.is_bound) {
            if let Some((most, would)) = side.most.zip(side.extrapolated()) {
                let _ = writeln!(
                    text,
                    "\n{}: more could not be tried. With {} viewers it used {} % of its processor, {} µs for each\n\
                     packet; by that about {} would fill it (extrapolated, not measured).",
                    side.name,
                    count(most.viewers),
                    short(most.cpu_pct),
                    short(most.us_per_packet),
                    count(would),
                );
            }
        }
        text
    }
}

/// A server's search that tells of the floor's beside it.
#[derive(Debug)]
pub struct Beside<'a> {
    search: Search,
    floor: &'a Measured,
    trials: Vec<StepLine>,
}

impl<'a> Beside<'a> {
    /// Searches as `search` does.
    #[must_use]
    pub fn new(search: Search, floor: &'a Measured) -> Self {
        Self { search, floor, trials: Vec::new() }
    }

    /// Returns the two beside each other, given the server's verdict.
    #[must_use]
    pub fn ratio(&self, ours: &VerdictLine) -> Ratio {
        Ratio::of(ours, &self.trials, self.floor)
    }
}

impl Plan for Beside<'_> {
    fn next(&mut self, done: Option<Done<'_>>) -> Option<Stage> {
        self.trials.extend(done.iter().map(|done| done.line.clone()));
        self.search.next(done)
    }

    fn stages(&self) -> Option<u64> {
        self.search.stages()
    }

    fn left_after(&self, after: u64) -> Option<std::time::Duration> {
        self.search.left_after(after)
    }

    fn adds_up(&self) -> bool {
        self.search.adds_up()
    }

    fn bounds(&self) -> Option<Bounds> {
        self.search.bounds()
    }

    fn judge(&self, verdict: VerdictLine) -> VerdictLine {
        let verdict = self.search.judge(verdict);
        if verdict.interrupted || verdict.last_good.is_none() {
            return verdict;
        }
        let limit = format!("{}; {}", verdict.limit, self.ratio(&verdict).sentence());
        VerdictLine { limit, ..verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::line::{ServerFigures, Verdict};

    fn trial(viewers: u64, cpu_pct: f64, us_per_packet: f64) -> StepLine {
        let server = ServerFigures { cpu_pct, us_per_packet, ..ServerFigures::default() };
        StepLine { viewers, server_name: "ours 1".into(), server: Some(server), ..StepLine::default() }
    }

    fn verdict(last_good: u64, first_bad: Option<u64>) -> VerdictLine {
        VerdictLine { last_good: Some(last_good), first_bad, ..VerdictLine::on_nothing(Verdict::Pass) }
    }

    #[test]
    fn where_both_broke_both_ratios_are_told_and_nothing_is_extrapolated() {
        let floor = Measured {
            trials: vec![trial(100, 10.0, 0.5), trial(200, 20.0, 0.4), trial(500, 100.0, 0.4)],
            verdict: verdict(480, Some(500)),
        };
        let ours = [trial(100, 20.0, 1.0), trial(200, 40.0, 0.6), trial(500, 100.0, 0.1)];
        let ratio = Ratio::of(&verdict(288, Some(300)), &ours, &floor);
        assert_eq!(ratio.viewers(), Some(("", 0.6)));
        assert_eq!(ratio.cost, Some(Cost { viewers: 200, ours_us: 0.6, floor_us: 0.4 }));
        assert_eq!(
            ratio.sentence(),
            "the kernel floor carries 480 in the same run: ours / floor 0.60, CPU for each packet 1.50 with 200 viewers"
        );
        let table = ratio.table();
        assert!(table.contains("ours 1") && table.contains("0.60") && table.contains("1.50"), "{table}");
        assert!(!table.contains("extrapolated"), "{table}");
    }

    #[test]
    fn what_the_driver_could_not_drive_is_a_bound_and_extrapolated_apart() {
        let floor = Measured { trials: vec![trial(100, 10.0, 0.5)], verdict: verdict(100, None) };
        let ours = [trial(50, 25.0, 1.0)];
        let both = Ratio::of(&verdict(50, None), &ours, &floor);
        assert_eq!((both.viewers(), both.cost), (None, None));
        assert!(both.sentence().contains("is not known"), "{}", both.sentence());
        assert_eq!((both.ours.extrapolated(), both.floor.extrapolated()), (Some(200), Some(1000)));
        assert_eq!(both.table().matches("extrapolated, not measured").count(), 2);
        assert_eq!(
            Ratio::of(&verdict(50, Some(60)), &ours, &floor).viewers(),
            Some(("≤ ", 0.5)),
            "the floor may carry more"
        );
    }
}
