//! Values with a unit, as people write them: `10 s`, `2.64 Mbit/s`, `5 %`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A time, written `10 s`, `500 ms`, `2 min`, `1.5 h`; a bare number is seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A bit rate, written `2.64 Mbit/s`, `500 kbit/s`; a bare number is bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(pub u64);

/// A share, written `5 %`; a bare number is percent, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

/// A text that is no such value. The caller's fault; the sentence shows how one is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {what}: write it like {example}")]
#[non_exhaustive]
pub struct UnitError {
    /// As given.
    pub given: String,
    /// What was wanted.
    pub what: &'static str,
    /// How one is written.
    pub example: &'static str,
}

/// What a kind of value is called and which units it knows.
trait Unit: Sized {
    const WHAT: &'static str;
    const EXAMPLE: &'static str;
    /// Each unit and how many of the base unit it is; the empty one is that of a bare number.
    const UNITS: &'static [(&'static str, f64)];

    fn of(base: f64) -> Option<Self>;
}

impl Unit for Span {
    const WHAT: &'static str = "time";
    const EXAMPLE: &'static str = "\"10 s\", \"500 ms\" or \"2 min\"";
    const UNITS: &'static [(&'static str, f64)] =
        &[("", 1.0), ("ms", 0.001), ("s", 1.0), ("min", 60.0), ("h", 3600.0)];

    fn of(base: f64) -> Option<Self> {
        Duration::try_from_secs_f64(base).ok().filter(|time| *time <= LONGEST).map(Self)
    }
}

impl Unit for BitRate {
    const WHAT: &'static str = "bit rate";
    const EXAMPLE: &'static str = "\"2.64 Mbit/s\" or \"500 kbit/s\"";
    const UNITS: &'static [(&'static str, f64)] =
        &[("", 1.0), ("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9)];

    fn of(base: f64) -> Option<Self> {
        (0.0..=1e12).contains(&base).then(|| Self(base.round() as u64))
    }
}

impl Unit for Percent {
    const WHAT: &'static str = "share";
    const EXAMPLE: &'static str = "\"5 %\"";
    const UNITS: &'static [(&'static str, f64)] = &[("", 1.0), ("%", 1.0)];

    fn of(base: f64) -> Option<Self> {
        (0.0..=100.0).contains(&base).then_some(Self(base))
    }
}

fn parse<U: Unit>(text: &str) -> Result<U, UnitError> {
    let refused = || UnitError { given: text.to_owned(), what: U::WHAT, example: U::EXAMPLE };
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let number: f64 = number.parse().map_err(|_| refused())?;
    let (_, factor) = U::UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(refused)?;
    U::of(number * factor).ok_or_else(refused)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_secs_f64() * 1000.0;
        if milliseconds < 1000.0 && milliseconds > 0.0 {
            write!(f, "{milliseconds} ms")
        } else {
            write!(f, "{} s", milliseconds / 1000.0)
        }
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} bit/s", self.0),
            1_000..1_000_000 => write!(f, "{} kbit/s", self.0 as f64 / 1e3),
            _ => write!(f, "{} Mbit/s", self.0 as f64 / 1e6),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// Reads a number or a text.
struct Reader<U>(std::marker::PhantomData<U>);

impl<U: Unit> Visitor<'_> for Reader<U> {
    type Value = U;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} like {}", U::WHAT, U::EXAMPLE)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<U, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<U, E> {
        let refused = || UnitError { given: number.to_string(), what: U::WHAT, example: U::EXAMPLE };
        U::of(number).ok_or_else(|| E::custom(refused()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<U, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<U, E> {
        self.visit_f64(number as f64)
    }
}

macro_rules! reads_and_writes {
    ($($unit:ident),+) => {$(
        impl FromStr for $unit {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader(std::marker::PhantomData))
            }
        }

        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

reads_and_writes!(Span, BitRate, Percent);

/// Longer than any run; a larger number is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads whole numbers, of which a single one needs no list around it.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<u32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("whole numbers such as 25,50,100")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            let refused = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
            Ok(vec![u32::try_from(number).map_err(refused)?])
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            let refused = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
            Ok(vec![u32::try_from(number).map_err(refused)?])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut numbers = Vec::new();
            while let Some(number) = list.next_element()? {
                numbers.push(number);
            }
            Ok(numbers)
        }
    }

    deserializer.deserialize_any(OneOrMore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!("10 s".parse::<Span>().unwrap().0, Duration::from_secs(10));
        assert_eq!("500ms".parse::<Span>().unwrap().0, Duration::from_millis(500));
        assert_eq!("2 min".parse::<Span>().unwrap().0, Duration::from_secs(120));
        assert_eq!("3".parse::<Span>().unwrap().0, Duration::from_secs(3));
        assert_eq!("2.64 Mbit/s".parse::<BitRate>().unwrap(), BitRate(2_640_000));
        assert_eq!("5 %".parse::<Percent>().unwrap(), Percent(5.0));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for span in ["10 s", "500 ms", "1.5 s", "0 s"] {
            assert_eq!(span.parse::<Span>().unwrap().to_string(), span);
        }
        for rate in ["2.64 Mbit/s", "500 kbit/s", "7 bit/s"] {
            assert_eq!(rate.parse::<BitRate>().unwrap().to_string(), rate);
        }
        assert_eq!("12.5 %".parse::<Percent>().unwrap().to_string(), "12.5 %");
    }

    #[test]
    fn slips_of_the_pen_are_refused_with_an_example() {
        let sentence = "10 parsecs".parse::<Span>().unwrap_err().to_string();
        assert_eq!(sentence, "\"10 parsecs\" is no time: write it like \"10 s\", \"500 ms\" or \"2 min\"");
        assert!("-1 s".parse::<Span>().is_err());
        assert!("2.64 MB/s".parse::<BitRate>().is_err());
        assert!("101 %".parse::<Percent>().is_err());
        assert!("".parse::<Span>().is_err());
        assert!("1e99 h".parse::<Span>().is_err());
    }
}
