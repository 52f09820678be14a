//! Which devices an address of this server works for, in words.

use std::net::IpAddr;

use latchkey_relay::machine_addresses;
use serde::{Deserialize, Serialize};

use crate::addresses::{host_of_url, is_home_address, is_home_name, is_loopback_host};
use crate::config::ServerConfig;

/// Who trusts what the server shows when it is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Plain HTTP: there is nothing to trust.
    Plain,
    /// A certificate of a CA that devices know from the factory.
    Public,
    /// A certificate that the operator gave; of whom, the server does not judge.
    Given,
    /// A certificate of the household's own CA.
    Household,
}

/// An address of the server, and whom it works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Base URL.
    pub url: String,
    /// One sentence: which devices can use it.
    pub devices: String,
}

/// Says which devices `url` works for, when the server shows them a certificate that `trust` tells of. `install` is the
/// address of the page that helps to trust a household CA.
#[must_use]
pub fn devices_for(url: &str, trust: Trust, install: Option<&str>) -> String {
    let host = host_of_url(url).unwrap_or_default();
    let place = match (is_loopback_host(host), is_of_a_home(host)) {
        (true, _) => Place::Here,
        (false, true) => Place::Home,
        (false, false) => Place::Public,
    };
    let plain = trust == Trust::Plain || url.starts_with("http://");
    match (plain, place, trust) {
        (_, Place::Here, Trust::Plain) => "this machine alone, browsers included".to_owned(),
        (true, Place::Here, _) => "this machine alone, browsers included, without a certificate".to_owned(),
        (true, Place::Home, _) => "cameras and viewers that run the latchkey program in this network; no browser on another device, as browsers want HTTPS (--tls local-ca)".to_owned(),
        (true, Place::Public, _) => "no device that it is safe for: everyone on the way can meddle. Set up HTTPS (--acme or --tls-cert)".to_owned(),
        (false, Place::Public, Trust::Public) => "every device with an internet connection, browsers included".to_owned(),
        (false, _, Trust::Household) => {
            let page = install.map_or_else(|| "its install page".to_owned(), str::to_owned);
            format!("phones and computers in this network, browsers included, once each has trusted the household CA at {page}")
        }
        (false, Place::Home | Place::Here, _) => "devices in this network that trust whoever issued the certificate, browsers included".to_owned(),
        (false, Place::Public, _) => "every device that trusts whoever issued the certificate, browsers included".to_owned(),
    }
}

/// The addresses that a server of this configuration can be dialled at, best first, each with whom it works for. `port` is
/// the one really taken, `main` the server's own base URL.
pub(crate) fn all(
    config: &ServerConfig,
    main: &str,
    port: u16,
    trust: Trust,
    install: Option<u16>,
) -> Vec<Reach> {
    let scheme = if trust == Trust::Plain { "http" } else { "https" };
    let at = |scheme: &str, host: &str| match (scheme, port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    };
    let mut urls: Vec<(String, Option<String>)> = Vec::new();
    if is_named(config, trust) {
        urls.push((main.to_owned(), None));
    } else {
        for address in addresses(config.listen.ip()) {
            let host = bracketed(address);
            let page = install.map(|port| format!("http://{host}:{port}"));
            urls.push((at(scheme, &host), page));
        }
    }
    if config.listen.ip().is_unspecified() || config.listen.ip().is_loopback() {
        urls.push((at("http", "127.0.0.1"), None));
    }
    urls.dedup_by(|a, b| a.0 == b.0);
    let reach = |(url, page): (String, Option<String>)| {
        let devices = devices_for(&url, trust, page.as_deref());
        Reach { url, devices }
    };
    urls.into_iter().map(reach).collect()
}

/// Whether the server has one name, under which everybody dials it.
fn is_named(config: &ServerConfig, trust: Trust) -> bool {
    !config.public_url.is_empty() || matches!(trust, Trust::Public | Trust::Given)
}

fn addresses(bound: IpAddr) -> Vec<IpAddr> {
    if bound.is_loopback() {
        return Vec::new();
    }
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let mut own = machine_addresses();
    own.retain(|address| is_home_address(*address) && (bound.is_ipv6() || address.is_ipv4()));
    own
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

fn is_of_a_home(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) => is_home_address(address),
        Err(_) => is_home_name(host),
    }
}

#[derive(Clone, Copy)]
enum Place {
    Here,
    Home,
    Public,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_says_whom_it_serves() {
        let page = Some("http://192.168.1.5:9603");
        for (url, trust, word) in [
            ("http://127.0.0.1:9601", Trust::Plain, "this machine alone"),
            ("http://127.0.0.1:9601", Trust::Household, "this machine alone"),
            ("http://192.168.1.5:9601", Trust::Plain, "no browser on another device"),
            ("http://nas:9601", Trust::Plain, "no browser on another device"),
            ("http://cam.example.org", Trust::Plain, "no device"),
            ("https://cam.example.org", Trust::Public, "every device with an internet connection"),
            ("https://cam.example.org", Trust::Given, "every device that trusts whoever issued"),
            (
                "https://192.168.1.5:9601",
                Trust::Household,
                "once each has trusted the household CA at http://192.168.1.5:9603",
            ),
            ("https://nas.home.arpa:9601", Trust::Given, "in this network"),
        ] {
            let said = devices_for(url, trust, page);
            assert!(said.contains(word), "{url} {trust:?}: {said}");
        }
    }

    #[test]
    fn a_server_on_loopback_names_itself_once() {
        let config = ServerConfig { listen: ([127, 0, 0, 1], 9601).into(), ..ServerConfig::default() };
        let all = all(&config, "http://127.0.0.1:9601", 9601, Trust::Plain, None);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].url, "http://127.0.0.1:9601");
    }

    #[test]
    fn a_server_with_a_domain_names_it_first() {
        let config = ServerConfig { acme: vec!["cam.example.org".to_owned()], ..ServerConfig::default() };
        let all = all(&config, "https://cam.example.org", 443, Trust::Public, None);
        assert_eq!(all[0].url, "https://cam.example.org");
        assert!(all[0].devices.starts_with("every device"));
    }
}
