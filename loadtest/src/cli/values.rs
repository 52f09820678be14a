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

#[cfg(test)]
mod tests {
    use super::*;

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
