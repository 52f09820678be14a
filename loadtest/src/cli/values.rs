//! How the values of flags are read, and what is said of one that is none.

use url::Url;

use crate::scenario::units::Span;

/// Reads a number of viewers.
pub(super) fn viewers(given: &str) -> Result<u32, String> {
    given.trim().parse().map_err(|_| "write a whole number of viewers, such as 100".to_owned())
}

/// Reads the address of a server.
pub(super) fn server(given: &str) -> Result<Url, String> {
    let url = Url::parse(given).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .ok_or_else(|| "write it like http://host:9601".to_owned())
}

/// Reads the address of a private ops port.
pub(super) fn ops(given: &str) -> Result<Url, String> {
    server(given).map_err(|_| "write it like http://host:9600".to_owned())
}

/// Reads a time as a scenario's are written.
pub(super) fn time(given: &str) -> Result<Span, String> {
    given.parse().map_err(|_| "write it like 10, \"10 s\", 500ms or 2min".to_owned())
}

/// Reads a share.
pub(super) fn percent(given: &str) -> Result<f64, String> {
    let percent = given.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "write a share between 0 and 100 percent, such as 0.5".to_owned())
}

/// Reads a length of time in milliseconds.
pub(super) fn above_zero(given: &str) -> Result<f64, String> {
    let ms = given.trim().parse().ok().filter(|ms: &f64| *ms > 0.0 && ms.is_finite());
    ms.ok_or_else(|| "write milliseconds above 0, such as 100: no frame comes in no time".to_owned())
}

/// Reads a number of threads.
pub(super) fn threads(given: &str) -> Result<usize, String> {
    let threads = given.trim().parse().ok().filter(|threads| (1..=1024).contains(threads));
    threads.ok_or_else(|| "write a number of threads, at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_nothing_can_meet_or_break_are_none() {
        assert!(percent("0").is_ok() && percent("100").is_ok() && above_zero("0.5").is_ok());
        for given in ["101", "-1", "NaN", "much"] {
            assert!(percent(given).unwrap_err().contains("between 0 and 100"), "{given}");
        }
        for given in ["0", "-5", "inf", "NaN"] {
            assert!(above_zero(given).unwrap_err().contains("above 0"), "{given}");
        }
        assert!(threads("0").unwrap_err().contains("at least 1"));
        assert_eq!(threads("3"), Ok(3));
    }

    #[test]
    fn what_is_no_value_is_told_how_one_is_written() {
        assert_eq!(viewers("-5").unwrap_err(), "write a whole number of viewers, such as 100");
        for given in ["nohost.invalid", "localhost:9601", "ftp://host", "http://"] {
            assert_eq!(server(given).unwrap_err(), "write it like http://host:9601", "{given}");
        }
        assert!(server("https://cam.example.org").is_ok() && server("http://[::1]:9601").is_ok());
        for given in ["10", "10s", "10 s"] {
            assert_eq!(time(given).unwrap().0.as_secs(), 10);
        }
        assert!(time("10 parsecs").unwrap_err().starts_with("write it like 10"));
    }
}
