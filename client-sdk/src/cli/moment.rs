//! Moments as people write and read them: `2026-12-24 18:00 UTC`, `3d`.

/// Returns a moment, in seconds since the Unix epoch, as `2026-12-24 18:00 UTC`.
pub(super) fn written(seconds: u64) -> String {
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

/// Reads an end: `never`, a time from now like `12h` or `3d`, or a UTC date like `2026-12-24` or `2026-12-24T18:00`.
/// A date alone means its last second. Returns seconds since the Unix epoch, `None` for never.
pub(super) fn end(text: &str, now: u64) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text == "never" {
        return Ok(None);
    }
    let wrong = || {
        format!("{text:?} is not an end: write it like 12h, 3d, 2026-12-24, 2026-12-24T18:00 (UTC), or never")
    };
    for (unit, seconds) in [("h", 3600), ("d", DAY), ("w", 7 * DAY)] {
        if let Some(count) = text.strip_suffix(unit) {
            let count: u64 = count.parse().map_err(|_| wrong())?;
            let after = count.checked_mul(seconds).and_then(|after| now.checked_add(after));
            return after.filter(|_| count > 0).map(Some).ok_or_else(wrong);
        }
    }
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time.trim_end_matches('Z'))),
        None => (text, None),
    };
    let day = day_of(date).ok_or_else(wrong)?;
    let second = match time {
        None => DAY - 1,
        Some(time) => {
            let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
            let (hour, minute) = (number(hour, 2).ok_or_else(wrong)?, number(minute, 2).ok_or_else(wrong)?);
            if hour > 23 || minute > 59 {
                return Err(wrong());
            }
            hour * 3600 + minute * 60
        }
    };
    Ok(Some(day * DAY + second))
}

/// Days from the Unix epoch to `2026-12-24`, `None` when there is no such day.
fn day_of(date: &str) -> Option<u64> {
    let mut parts = date.splitn(3, '-');
    let (year, month) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?);
    let day = number(parts.next()?, 2)?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Counted in years that begin in March, so that the leap day is the last (Howard Hinnant's days_from_civil).
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = days.checked_sub(EPOCH)?;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a day since the Unix epoch (Howard Hinnant's civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + EPOCH;
    let (era, of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

const DAY: u64 = 24 * 3600;
const DAYS_OF_ERA: u64 = 146_097;
/// Days from 1 March of the year 0 to the Unix epoch.
const EPOCH: u64 = 719_468;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_798_135_200, "2026-12-24 18:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(written(seconds), text);
        }
    }

    #[test]
    fn ends_are_read() {
        assert_eq!(end("never", 5), Ok(None));
        assert_eq!(end("12h", 5), Ok(Some(5 + 12 * 3600)));
        assert_eq!(end("3d", 5), Ok(Some(5 + 3 * DAY)));
        assert_eq!(end("2026-12-24", 5), Ok(Some(1_798_156_799)));
        assert_eq!(end("2026-12-24T18:00", 5), Ok(Some(1_798_135_200)));
        assert_eq!(end("2026-12-24 18:00Z", 5), Ok(Some(1_798_135_200)));
        for bad in [
            "",
            "0d",
            "d",
            "-1d",
            "soon",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-12-24T24:00",
            "99999999999999999999d",
        ] {
            let sentence = end(bad, 5).unwrap_err();
            assert!(sentence.contains("write it like"), "{sentence}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0_u64..200_000_000_000) {
            let minute = seconds - seconds % 60;
            let text = written(minute).trim_end_matches(" UTC").to_owned();
            prop_assert_eq!(end(&text, 0), Ok(Some(minute)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*", now: u64) {
            let _ = end(&text, now);
        }
    }
}
