//! How numbers are written: three digits that count, no more.

/// A narrow space that does not break, between groups of three digits.
const GROUP: char = '\u{202f}';

/// Returns a number with three digits that count, without zeros at its end; `–` for what is no number.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let decimals = match size {
        _ if size < 0.000_5 => return "0".into(),
        _ if size < 0.01 => 4,
        _ if size < 1.0 => 3,
        _ if size < 10.0 => 2,
        _ if size < 100.0 => 1,
        _ => return signed_count(value),
    };
    trimmed(&format!("{value:.decimals$}"))
}

/// Returns a share in percent: never rounded up to 100 nor down to 0, because what is missing is what counts.
pub(crate) fn percent(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "–".into(),
        _ if value > 99.0 && value < 100.0 => trimmed(&format!("{:.2}", (value * 100.0).floor() / 100.0)),
        _ if value > 0.0 && value < 0.001 => "< 0.001".into(),
        _ => short(value),
    }
}

/// Returns a whole number in groups of three digits.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push(GROUP);
        }
        text.push(digit);
    }
    text
}

/// Returns a number for an axis, with k, M or G.
pub(crate) fn tick(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".into(),
        _ if size >= 1e9 => format!("{}G", short(value / 1e9)),
        _ if size >= 1e6 => format!("{}M", short(value / 1e6)),
        _ if size >= 1e4 => format!("{}k", short(value / 1e3)),
        _ if size >= 1e-3 || size == 0.0 => short(value),
        _ => trimmed(&format!("{value:.6}")),
    }
}

/// Returns a number of viewers with two digits that count: what is extrapolated is not exact.
pub(crate) fn rough(value: f64) -> u64 {
    let value = value.clamp(0.0, 1e12);
    let step = 10f64.powi((value.max(1.0).log10().floor() as i32 - 1).max(0));
    ((value / step).round() * step) as u64
}

/// Returns a length of time: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn seconds(value: f64) -> String {
    let whole = value.max(0.0).round() as u64;
    match whole {
        _ if !value.is_finite() => "–".into(),
        _ if value > 0.0 && value < 1.0 => format!("{} ms", short(value * 1000.0)),
        0..120 => format!("{} s", if value < 10.0 { short(value) } else { whole.to_string() }),
        120..7200 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Returns a moment of the Unix epoch as `2026-11-22 23:05 UTC`.
pub(crate) fn moment(unix: u64) -> String {
    // Days to a civil date: Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days.
    let days = (unix / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", unix % 86_400 / 3600, unix % 3600 / 60)
}

fn signed_count(value: f64) -> String {
    let text = count(value.abs().round().min(1e18) as u64);
    if value < 0.0 { format!("−{text}") } else { text }
}

fn trimmed(text: &str) -> String {
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.strip_prefix('-').map_or_else(|| text.to_owned(), |rest| format!("−{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let told: Vec<String> =
            [0.0, 0.00012, 0.0456, 0.5, 4.531, 45.31, 453.1, 12_345.6, -3.0, 1e15].map(short).into();
        let expected = [
            "0",
            "0",
            "0.046",
            "0.5",
            "4.53",
            "45.3",
            "453",
            "12\u{202f}346",
            "−3",
            "1\u{202f}000\u{202f}000\u{202f}000\u{202f}000\u{202f}000",
        ];
        assert_eq!(told, expected);
        assert_eq!((short(f64::NAN), short(f64::INFINITY)), ("–".into(), "–".into()));
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        assert_eq!((percent(99.999), percent(100.0)), ("99.99".into(), "100".into()));
        assert_eq!((percent(0.0004), percent(0.0)), ("< 0.001".into(), "0".into()));
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(1_709_210_096), "2024-02-29 12:34 UTC");
        assert_eq!(moment(4_107_542_399), "2100-02-28 23:59 UTC");
    }

    #[test]
    fn what_is_extrapolated_is_round() {
        assert_eq!([0.0, 7.0, 97.4, 1234.0, 98_765.0].map(rough), [0, 7, 97, 1200, 99_000]);
    }

    #[test]
    fn lengths_of_time_have_their_unit() {
        let told = [0.25, 9.5, 60.0, 180.0, 200.0, 7500.0].map(seconds);
        assert_eq!(told, ["250 ms", "9.5 s", "60 s", "3 min", "3 min 20 s", "2 h 5 min"]);
        assert_eq!((tick(25_000.0), tick(0.0), tick(1.5e6)), ("25k".into(), "0".into(), "1.5M".into()));
    }
}
