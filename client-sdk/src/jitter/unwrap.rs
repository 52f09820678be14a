//! Counters that wrap on the wire, counted on in 64 bits.

/// Follows one counter. A step of less than half its range, forward or back, is understood.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unwrapper<T> {
    highest: Option<u64>,
    wire: std::marker::PhantomData<T>,
}

impl Unwrapper<u16> {
    pub(crate) fn unwrap(&mut self, value: u16) -> u64 {
        self.step(value.into(), |highest| i64::from(value.wrapping_sub(highest as u16).cast_signed()))
    }
}

impl Unwrapper<u32> {
    pub(crate) fn unwrap(&mut self, value: u32) -> u64 {
        self.step(value.into(), |highest| i64::from(value.wrapping_sub(highest as u32).cast_signed()))
    }
}

impl<T> Unwrapper<T> {
    /// Takes an unwrapped value as the new highest, also a lower one.
    pub(crate) fn go_on_from(&mut self, value: u64) {
        self.highest = Some(value);
    }

    fn step(&mut self, first: u64, difference: impl Fn(u64) -> i64) -> u64 {
        let value = match self.highest {
            // One round of room, so that what came before the first can be counted too.
            None => first + (1 << 32),
            Some(highest) => highest.saturating_add_signed(difference(highest)),
        };
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_over_the_end_and_back_are_understood() {
        let mut numbers = Unwrapper::<u16>::default();
        let first = numbers.unwrap(65_535);
        assert_eq!(numbers.unwrap(1), first + 2);
        assert_eq!(numbers.unwrap(65_534), first - 1);
        assert_eq!(numbers.unwrap(30_000), first + 30_001);
        let mut times = Unwrapper::<u32>::default();
        let first = times.unwrap(u32::MAX);
        assert_eq!(times.unwrap(2_999), first + 3_000);
    }

    #[test]
    fn a_billion_steps_stay_exact() {
        let mut numbers = Unwrapper::<u16>::default();
        let first = numbers.unwrap(7);
        let mut expected = first;
        for step in (0..4_000_000_000_u64).step_by(30_000) {
            let value = ((7 + step) & 0xffff) as u16;
            expected = first + step;
            assert_eq!(numbers.unwrap(value), expected);
        }
        assert!(expected > first + 3_000_000_000);
    }
}
