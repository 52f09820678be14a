//! `a=candidate` lines (RFC 8839 section 5.1): UDP addresses in, host candidates out.

use std::net::{IpAddr, SocketAddr};

/// Returns the address of a candidate, or `None` when the relay cannot use it: not UDP, not component 1, or an mDNS name.
///
/// `value` is what stands behind `candidate:`:
/// `foundation component transport priority address port typ type …`
pub(crate) fn parse(value: &str) -> Option<SocketAddr> {
    let mut fields = value.split_ascii_whitespace();
    let _foundation = fields.next()?;
    let component = fields.next()?;
    let transport = fields.next()?;
    let _priority = fields.next()?.parse::<u32>().ok()?;
    let address = fields.next()?.parse::<IpAddr>().ok()?;
    let port = fields.next()?.parse::<u16>().ok()?;
    let usable = component == "1" && transport.eq_ignore_ascii_case("udp") && port != 0;
    (usable && fields.next() == Some("typ") && fields.next().is_some())
        .then(|| SocketAddr::new(address, port))
}

/// Writes the `rank`-th host candidate, best first, as the value of an `a=candidate` line.
pub(crate) fn host(rank: usize, address: SocketAddr) -> String {
    let preference = 65_535 - u32::try_from(rank.min(65_535)).unwrap_or(65_535);
    // RFC 8445 section 5.1.2.1 with type preference 126 (host) and component 1.
    let priority = (126 << 24) + (preference << 8) + 255;
    format!("{} 1 udp {priority} {} {} typ host", rank + 1, address.ip(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_browsers_and_libraries_write() {
        let chromium =
            "842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0";
        assert_eq!(parse(chromium), Some("203.0.113.7:46154".parse().unwrap()));
        let firefox = "0 1 UDP 2122252543 2001:db8::7 52999 typ host";
        assert_eq!(parse(firefox), Some("[2001:db8::7]:52999".parse().unwrap()));
    }

    #[test]
    fn passes_over_what_it_cannot_use() {
        for useless in [
            "1 1 udp 2122252543 4f1b3c5e-0000-4000-8000-000000000000.local 52999 typ host",
            "1 1 tcp 1518280447 203.0.113.7 9 typ host tcptype active",
            "1 2 udp 2122252543 203.0.113.7 4000 typ host",
            "1 1 udp 2122252543 203.0.113.7 0 typ host",
            "1 1 udp 99999999999 203.0.113.7 4000 typ host",
            "1 1 udp 2122252543 203.0.113.7",
            "",
        ] {
            assert_eq!(parse(useless), None, "{useless}");
        }
    }

    #[test]
    fn what_it_writes_it_reads_again() {
        for address in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
            let address = address.parse().unwrap();
            assert_eq!(parse(&host(3, address)), Some(address));
        }
        assert!(host(0, "192.0.2.1:5000".parse().unwrap()).contains(" 2130706431 "));
    }
}
