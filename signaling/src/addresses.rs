//! Under which name a request reached the server: what devices sign, and where the relay's door is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName};
use latchkey_api::auth::audience_of;

use crate::config::ServerConfig;

/// What the operator said about names.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// Without a slash at its end; `None` when nothing was said.
    public_url: Option<String>,
    behind_proxy: bool,
}

impl Addresses {
    /// `name` is the URL that a certificate makes this server's own where the operator said none.
    pub(crate) fn new(config: &ServerConfig, name: Option<String>) -> Self {
        let said =
            if config.public_url.is_empty() { name.unwrap_or_default() } else { config.public_url.clone() };
        let url = said.trim_end_matches('/');
        Self { public_url: (!url.is_empty()).then(|| url.to_owned()), behind_proxy: config.behind_proxy }
    }

    /// The name that devices sign when they sign in.
    ///
    /// A server in the middle could pass a challenge of this one on to a device that dialled it. The device signs the
    /// name it dialled, so this server must not take just any name for its own: its public one, loopback, and without
    /// a public one those of private networks.
    pub(crate) fn audience(&self, headers: &HeaderMap) -> Result<String, NotOurName> {
        let host = host(headers).ok_or(NotOurName::Missing)?;
        let ours = match &self.public_url {
            Some(url) => audience_of(url) == self.without_own_port(&host, url) || is_loopback(&host),
            None => is_private(&host),
        };
        match (&self.public_url, ours) {
            (Some(url), true) if !is_loopback(&host) => Ok(audience_of(url)),
            (_, true) => Ok(host),
            (Some(_), false) => Err(NotOurName::Other),
            (None, false) => Err(NotOurName::NoPublicUrl),
        }
    }

    /// The URL in front of `/whip` and `/whep`, as the caller can reach it.
    /// `over_tls` says how it came to this server itself.
    pub(crate) fn door(&self, headers: &HeaderMap, over_tls: bool) -> Result<String, NotOurName> {
        let audience = self.audience(headers)?;
        match &self.public_url {
            Some(url) if audience_of(url) == audience => Ok(url.clone()),
            _ => {
                let forwarded =
                    || headers.get(FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes() == b"https");
                let https = over_tls || self.behind_proxy && forwarded();
                Ok(format!("{}://{audience}", if https { "https" } else { "http" }))
            }
        }
    }

    /// Whom to count requests against: the peer, or what the proxy says it is. Of IPv6 the /64 counts.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = || {
            let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        let said = if self.behind_proxy { forwarded() } else { None };
        match said.unwrap_or(peer.ip()).to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        }
    }

    fn without_own_port(&self, host: &str, url: &str) -> String {
        let scheme = url.split("://").next().unwrap_or_default();
        audience_of(&format!("{scheme}://{host}"))
    }
}

/// The request came under a name that is not this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurName {
    /// No usable `Host`.
    #[error("the request has no Host header")]
    Missing,
    /// Another name than the public URL.
    #[error("this server answers under its public URL only: dial that")]
    Other,
    /// A public name, but the operator named none.
    #[error("this server was not told its public name: start it with --public-url")]
    NoPublicUrl,
}

fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let sane = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    sane.then(|| host.to_ascii_lowercase())
}

/// Name and address of a `Host`, without its port.
fn split(host: &str) -> (&str, Option<IpAddr>) {
    if let Some(rest) = host.strip_prefix('[') {
        let name = rest.split(']').next().unwrap_or_default();
        return (name, name.parse().ok());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    (name, name.parse().ok())
}

fn is_loopback(host: &str) -> bool {
    match split(host) {
        (_, Some(address)) => address.is_loopback(),
        (name, None) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn is_private(host: &str) -> bool {
    if is_loopback(host) {
        return true;
    }
    match split(host) {
        (_, Some(address)) => is_home_address(address),
        (name, None) => is_home_name(name),
    }
}

/// Whether a name, in small letters, is one that only networks like a home's know.
pub(crate) fn is_home_name(name: &str) -> bool {
    !name.contains('.')
        || [".local", ".localhost", ".lan", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end))
}

/// Whether an address is one of this machine or of a network like a home's.
pub(crate) fn is_home_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Whether the name or address in a URL or `Host`, with or without a port, is this machine's own.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    is_loopback(host)
}

/// Name or address of a URL, without its port; an IPv6 address in brackets.
pub(crate) fn host_of_url(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    (end > 0).then(|| &host[..end])
}

/// What a request dialled, without its port, when that is a name or address of a home network.
pub(crate) fn home_host(headers: &HeaderMap) -> Option<String> {
    let host = host(headers).filter(|host| is_private(host))?;
    Some(match split(&host) {
        (_, Some(IpAddr::V6(address))) => format!("[{address}]"),
        (name, _) => name.to_owned(),
    })
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses(public_url: &str, behind_proxy: bool) -> Addresses {
        let config = ServerConfig { public_url: public_url.into(), behind_proxy, ..ServerConfig::default() };
        Addresses::new(&config, None)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn without_a_public_url_private_names_are_ours() {
        let addresses = addresses("", false);
        for ours in
            ["127.0.0.1:9601", "LOCALHOST:9601", "[::1]:9601", "192.168.1.9:9601", "nas:9601", "cam.local"]
        {
            assert_eq!(addresses.audience(&headers(&[("host", ours)])), Ok(ours.to_ascii_lowercase()));
        }
        for public in ["cam.example.org", "203.0.113.7:9601", "[2001:db8::7]:9601"] {
            assert_eq!(addresses.audience(&headers(&[("host", public)])), Err(NotOurName::NoPublicUrl));
        }
        assert_eq!(addresses.audience(&headers(&[])), Err(NotOurName::Missing));
        assert_eq!(addresses.audience(&headers(&[("host", "a b")])), Err(NotOurName::Missing));
    }

    #[test]
    fn with_a_public_url_that_one_and_loopback_are_ours() {
        let addresses = addresses("https://Cam.example.org/", false);
        for host in ["cam.example.org", "Cam.Example.org:443"] {
            let headers = headers(&[("host", host)]);
            assert_eq!(addresses.audience(&headers), Ok("cam.example.org".to_owned()));
            assert_eq!(addresses.door(&headers, false), Ok("https://Cam.example.org".to_owned()));
        }
        let here = headers(&[("host", "127.0.0.1:9601")]);
        assert_eq!(addresses.door(&here, false), Ok("http://127.0.0.1:9601".to_owned()));
        for other in ["evil.example", "192.168.1.9:9601", "cam.example.org:8443"] {
            assert_eq!(addresses.audience(&headers(&[("host", other)])), Err(NotOurName::Other));
        }
    }

    #[test]
    fn a_proxy_is_believed_only_when_the_operator_says_so() {
        let forwarded =
            [("host", "nas"), ("x-forwarded-for", "1.2.3.4, 9.8.7.6"), ("x-forwarded-proto", "https")];
        let forwarded = headers(&forwarded);
        let peer = "[::ffff:10.0.0.1]:5".parse().unwrap();
        let trusting = addresses("", true);
        assert_eq!(trusting.client(peer, &forwarded), "9.8.7.6".parse::<IpAddr>().unwrap());
        assert_eq!(trusting.door(&forwarded, false), Ok("https://nas".to_owned()));
        let wary = addresses("", false);
        assert_eq!(wary.client(peer, &forwarded), "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(wary.door(&forwarded, false), Ok("http://nas".to_owned()));
    }

    #[test]
    fn what_came_over_tls_goes_on_over_tls() {
        let home = headers(&[("host", "192.168.1.9:9601")]);
        assert_eq!(addresses("", false).door(&home, true), Ok("https://192.168.1.9:9601".to_owned()));
    }

    #[test]
    fn the_host_of_a_url_has_no_port() {
        for (url, host) in [
            ("https://cam.example.org", "cam.example.org"),
            ("https://cam.example.org:8443/x", "cam.example.org"),
            ("http://[::1]:9601/", "[::1]"),
        ] {
            assert_eq!(host_of_url(url), Some(host));
        }
        assert_eq!(host_of_url(""), None);
    }

    #[test]
    fn of_ipv6_the_network_counts() {
        let client = |peer: &str| addresses("", false).client(peer.parse().unwrap(), &HeaderMap::new());
        assert_eq!(client("[2001:db8:1:2:aaaa::1]:1"), client("[2001:db8:1:2:bbbb::2]:2"));
        assert_ne!(client("[2001:db8:1:2::1]:1"), client("[2001:db8:1:3::1]:1"));
    }
}
