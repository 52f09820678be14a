//! Scales: from a value to a place, and the round numbers that stand at an axis.

/// From values to places, linear or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
    whole: bool,
}

impl Scale {
    /// Returns a scale from 0 to a round number at or above the largest value; at least `least` is shown.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>, least: f64) -> Self {
        let largest = values.into_iter().filter(|value| value.is_finite()).fold(least.max(1e-6), f64::max);
        let step = nice_step(largest, 4.0);
        Self::new(0.0, (largest / step - 1e-9).ceil() * step, false)
    }

    /// Returns a scale that ends exactly at its bounds.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        Self::new(low, if high > low { high } else { low + 1.0 }, false)
    }

    /// Returns a logarithmic scale that holds every value above 0, from and to a number of the row 1, 2, 5, 10; at least
    /// three of these apart.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            values.fold((f64::INFINITY, 0f64), |(low, high), value| (low.min(value), high.max(value)));
        if high == 0.0 {
            return Self::new(1.0, 10.0, true);
        }
        let (mut low, mut high) = (row_below(low), row_above(high));
        while high - low < 3 {
            (low, high) = if (high - low) % 2 == 0 { (low, high + 1) } else { (low - 1, high) };
        }
        Self::new(row(low), row(high), true)
    }

    /// Returns it with places from `from` to `to`.
    pub(crate) fn onto(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Returns it for what is counted: nothing stands between two whole numbers.
    pub(crate) fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// Returns the place of a value; what lies outside stands at the edge.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low).ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Returns round values for the axis, about `count` of them, ascending.
    pub(crate) fn ticks(&self, count: usize) -> Vec<f64> {
        let count = count.max(2) as f64;
        if self.logarithmic {
            let (low, high) = (row_below(self.low), row_above(self.high));
            let every = if f64::from(high - low) <= count { 1 } else { 3 };
            let wanted = |index: &i32| every == 1 || index.rem_euclid(3) == 0;
            let ticks: Vec<f64> = (low..=high).filter(wanted).map(row).collect();
            let thin = (ticks.len() as f64 / (count + 1.0)).ceil().max(1.0) as usize;
            return ticks.into_iter().step_by(thin).collect();
        }
        let step = nice_step(self.high - self.low, count);
        let step = if self.whole { step.max(1.0) } else { step };
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    /// Returns the largest value.
    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// Returns the smallest value.
    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    fn new(low: f64, high: f64, logarithmic: bool) -> Self {
        Self { low, high, from: 0.0, to: 1.0, logarithmic, whole: false }
    }
}

/// Returns a step of the row 1, 2, 5, 10 that parts a span into about `parts`.
fn nice_step(span: f64, parts: f64) -> f64 {
    let rough = span / parts;
    let power = 10f64.powf(rough.log10().floor());
    let lead = rough / power;
    let nice = [1.0, 2.0, 5.0].into_iter().find(|nice| lead <= *nice * 1.000_001).unwrap_or(10.0);
    nice * power
}

/// Returns the number of the row …, 1, 2, 5, 10, … with an index: 0 is 1, 1 is 2, 3 is 10.
fn row(index: i32) -> f64 {
    10f64.powi(index.div_euclid(3)) * [1.0, 2.0, 5.0][index.rem_euclid(3) as usize]
}

/// Returns the index of the largest number of the row that is not above a value.
fn row_below(value: f64) -> i32 {
    let value = value * (1.0 + 1e-9);
    let decade = value.log10().floor();
    let lead = value / 10f64.powf(decade);
    decade as i32 * 3 + [2.0, 5.0].into_iter().filter(|least| lead >= *least).count() as i32
}

/// Returns the index of the smallest number of the row that is not below a value.
fn row_above(value: f64) -> i32 {
    let below = row_below(value);
    if row(below) >= value * (1.0 - 1e-9) { below } else { below + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_from_zero_ends_at_a_round_number() {
        assert_eq!(Scale::from_zero([3.0, 97.0], 0.0).high(), 100.0);
        assert_eq!(Scale::from_zero([], 1.0).high(), 1.0);
        assert_eq!(Scale::from_zero([100.0, f64::NAN], 0.0).ticks(4), [0.0, 50.0, 100.0]);
        assert_eq!(Scale::from_zero([1e12], 0.0).high(), 1e12);
    }

    #[test]
    fn a_logarithmic_scale_holds_its_values() {
        for values in [vec![0.3, 45.0], vec![7.0], vec![1.0, 1e6], vec![1e-3], vec![5.0, 10.0]] {
            let scale = Scale::logarithmic(values.clone()).onto(0.0, 100.0);
            assert!(
                scale.low() <= values[0] && scale.high() >= *values.last().unwrap(),
                "{values:?} {scale:?}"
            );
            let ticks = scale.ticks(6);
            assert!((2..=8).contains(&ticks.len()), "{values:?} {ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
        }
        assert_eq!(Scale::logarithmic([]).low(), 1.0);
        assert_eq!(Scale::logarithmic([2.0, 20.0]).ticks(6), [2.0, 5.0, 10.0, 20.0]);
    }

    #[test]
    fn places_stay_within_the_axis() {
        let scale = Scale::between(10.0, 20.0).onto(100.0, 0.0);
        assert_eq!(
            [10.0, 15.0, 20.0, 25.0, 0.0].map(|value| scale.place(value)),
            [100.0, 50.0, 0.0, 0.0, 100.0]
        );
        assert_eq!(Scale::between(5.0, 5.0).onto(0.0, 1.0).place(5.0), 0.0);
        assert_eq!(Scale::between(0.0, 1.0).whole().ticks(6), [0.0, 1.0]);
    }
}
