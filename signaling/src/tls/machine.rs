//! Under which names and addresses this machine can be dialled at home.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use latchkey_relay::machine_addresses;

use crate::addresses::{is_home_address, is_home_name};

/// Names and addresses for one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) dns: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// Those of this machine now, and `more`.
    pub(super) fn now(more: &[String]) -> Self {
        let mut names = Self::default();
        names.dns.insert("localhost".to_owned());
        if let Some(host) = host_name() {
            // What mDNS calls a machine (RFC 6762 section 3).
            let short = host.split('.').next().unwrap_or_default();
            names.dns.insert(format!("{short}.local"));
            names.dns.insert(host);
        }
        names.addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        names.addresses.extend(machine_addresses());
        for name in more {
            if let Ok(address) = name.trim_matches(['[', ']']).parse() {
                names.addresses.insert(address);
            } else {
                names.dns.insert(name.to_ascii_lowercase());
            }
        }
        names.at_home()
    }

    /// Without what is no name or address of a home network: the household CA vouches for nothing else.
    fn at_home(mut self) -> Self {
        self.dns.retain(|name| is_home_name(name));
        self.addresses.retain(|address| is_home_address(*address));
        self
    }
}

/// The machine's own name, when it is one that can be dialled.
pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (!name.is_empty() && name.len() < 64 && name.bytes().all(sane)).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn loopback_is_always_among_them_and_what_is_public_never() {
        let more = ["cam.home.arpa", "192.168.7.7", "cam.example.org", "203.0.113.7"].map(str::to_owned);
        let names = Names::now(&more);
        assert!(names.dns.contains("localhost") && names.dns.contains("cam.home.arpa"));
        assert!(names.addresses.contains(&"127.0.0.1".parse().unwrap()));
        assert!(names.addresses.contains(&"192.168.7.7".parse().unwrap()));
        assert!(!names.dns.contains("cam.example.org"));
        assert!(!names.addresses.contains(&"203.0.113.7".parse().unwrap()));
    }
}
