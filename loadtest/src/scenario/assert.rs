//! What a scenario promises of its run: bounds on the figures of the whole run, judged one by one.

use serde::{Deserialize, Serialize};

use crate::measure::line::{Check, StepLine};

macro_rules! assertions {
    ($($(#[doc = $doc:literal])+ $name:ident: $bound:ident $(= $default:literal)?, |$line:ident| $measured:expr;)+) => {
        /// `[assert]`: each key is a bound; a key that is left out asks for nothing.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Assert {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<f64>,)+
        }

        impl Default for Assert {
            fn default() -> Self {
                Self { $($name: assertions!(@default $($default)?),)+ }
            }
        }

        impl Assert {
            /// Returns every assertion that the scenario makes, judged by the figures of `line`.
            #[must_use]
            pub fn judge(&self, line: &StepLine) -> Vec<Check> {
                let mut checks = Vec::new();
                $(if let Some(bound) = self.$name {
                    let measured = { let $line = line; $measured };
                    checks.push(Bound::$bound.check(stringify!($name), bound, measured));
                })+
                checks
            }

            /// The keys, each with what it bounds.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Returns the bounds that are set, for validation.
            pub(super) fn set(&self) -> Vec<(&'static str, f64)> {
                let all = [$((stringify!($name), self.$name)),+];
                all.into_iter().filter_map(|(name, bound)| Some((name, bound?))).collect()
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

assertions! {
    /// Packets that never came, at most, percent of those expected.
    loss_pct: AtMost, |line| line.loss_pct;
    /// Packets that did not come in their first transmission, at most, percent.
    first_loss_pct: AtMost, |line| line.first_loss_pct;
    /// Packets that came once more although they had come, at most, percent.
    repeated_pct: AtMost, |line| line.repeated_pct;
    /// Frames opened, at least, percent of those expected.
    opened_pct: AtLeast, |line| line.opened_pct;
    /// Complete frames that did not open, at most.
    not_opened: AtMost, |line| line.viewer.frames_refused as f64;
    /// Frames that a removed device opened, at most; 0 unless said otherwise.
    opened_by_removed: AtMost = 0.0, |line| line.viewer.opened_by_removed as f64;
    /// Camera to viewer, half of the frames, at most, milliseconds.
    p50_ms: AtMost, |line| line.frame_latency.p50_ms;
    /// Camera to viewer, 99 % of the frames, at most, milliseconds.
    p99_ms: AtMost, |line| line.frame_latency.p99_ms;
    /// Camera to viewer, 99.9 % of the frames, at most, milliseconds.
    p999_ms: AtMost, |line| line.frame_latency.p999_ms;
    /// Join to first opened frame, 95 % of the joins, at most, milliseconds.
    first_frame_p95_ms: AtMost, |line| line.first_frame.p95_ms;
    /// Join to first opened frame, 99 % of the joins, at most, milliseconds.
    first_frame_p99_ms: AtMost, |line| line.first_frame.p99_ms;
    /// Joins that failed, at most.
    joins_failed: AtMost, |line| line.joins.failed as f64;
    /// Viewers that saw a first frame, at least.
    joined: AtLeast, |line| line.joins.seen as f64;
    /// Intruders that were let in, at most; 0 unless said otherwise.
    let_in: AtMost = 0.0, |line| line.intruders.let_in as f64;
    /// Requests with a grant that must not open the door, at least, so that intruders are known to have tried.
    bad_grants: AtLeast, |line| line.intruders.bad_grants as f64;
    /// Share of the time in which the picture stood still at a player late by `viewers.player_delay`, at most, percent.
    frozen_pct: AtMost, |line| line.frozen_pct;
    /// Bytes of retransmissions, at most, percent of those of first transmissions.
    repair_pct: AtMost, |line| line.repair_pct;
    /// Viewers that watched at the end and opened at least 99 % of their frames, at least.
    viewers_ok: AtLeast, |line| line.viewers_ok as f64;
    /// From an admin's word to the camera's next epoch, 99 % of the removals, at most, milliseconds.
    removal_p99_ms: AtMost, |line| line.removal.p99_ms;
    /// Removals that took effect, at least.
    removed: AtLeast, |line| line.removal.count as f64;
    /// CPU of the server for each media packet it sent, at most, microseconds; does not hold where it cannot be watched.
    us_per_packet: AtMost, |line| line.server.as_ref().map_or(f64::NAN, |server| server.us_per_packet);
    /// Resident memory of the server for each viewer, at most, kilobytes; does not hold where it cannot be watched.
    kb_per_viewer: AtMost, |line| line.server.as_ref().map_or(f64::NAN, |server| server.kb_per_viewer);
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast,
    AtMost,
}

impl Bound {
    fn check(self, name: &str, bound: f64, measured: f64) -> Check {
        // What was not measured holds nothing: comparisons with NaN are false.
        let (sign, holds) = match self {
            Bound::AtLeast => (">=", measured >= bound),
            Bound::AtMost => ("<=", measured <= bound),
        };
        let measured = if measured.is_nan() { -1.0 } else { measured };
        Check { name: name.to_owned(), asked: format!("{sign} {bound}"), measured, holds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::LatencyFigures;

    #[test]
    fn bounds_hold_or_do_not() {
        let assert = Assert {
            loss_pct: Some(0.5),
            opened_pct: Some(99.0),
            p99_ms: Some(20.0),
            us_per_packet: Some(10.0),
            ..Assert::default()
        };
        let line = StepLine {
            loss_pct: 0.5,
            opened_pct: 98.0,
            frame_latency: LatencyFigures { p99_ms: 19.0, ..LatencyFigures::default() },
            ..StepLine::default()
        };
        let checks = assert.judge(&line);
        let held: Vec<(&str, &str, bool)> =
            checks.iter().map(|check| (check.name.as_str(), check.asked.as_str(), check.holds)).collect();
        assert_eq!(
            held,
            [
                ("loss_pct", "<= 0.5", true),
                ("opened_pct", ">= 99", false),
                ("opened_by_removed", "<= 0", true),
                ("p99_ms", "<= 20", true),
                ("let_in", "<= 0", true),
                ("us_per_packet", "<= 10", false),
            ]
        );
    }
}
