//! Where a running server can be reached, and how it tells that.

use std::fmt;
use std::net::SocketAddr;

use crate::tls::reach::Reach;

/// Where a running server can be reached, with the ports that were really taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrls {
    /// Base URL of signaling.
    pub signaling: String,
    /// Base URL of the relay's door; the same port.
    pub door: String,
    /// UDP address of the media socket.
    pub media: SocketAddr,
    /// Base URL of the private ops port.
    pub ops: String,
    /// The page that helps devices trust the household CA, where there is one.
    pub install: Option<Install>,
    /// Every address to dial, best first, and which devices each works for.
    pub reach: Vec<Reach>,
    /// What a browser gets there, or what to do to have it; none where the operator wants none.
    pub web: Option<String>,
}

/// Where devices learn to trust the household CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Address of the page, with the port that was really taken.
    pub address: SocketAddr,
    /// SHA-256 of the CA's certificate, to compare with what a device shows.
    pub fingerprint: String,
}

/// One line per door.
impl fmt::Display for ServerUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "signaling  {}  (clients dial this)", self.signaling)?;
        writeln!(f, "door       {}/whip and /whep  (publishers and viewers, with a grant)", self.door)?;
        writeln!(f, "media      {}  (UDP)", self.media)?;
        writeln!(f, "ops        {}/metrics  (private)", self.ops)?;
        for reach in &self.reach {
            writeln!(f, "open       {}  (for {})", reach.url, reach.devices)?;
        }
        if let Some(install) = &self.install {
            writeln!(f, "household CA, SHA-256  {}", install.fingerprint)?;
        }
        if let Some(web) = &self.web {
            writeln!(f, "web        {web}")?;
        }
        Ok(())
    }
}

/// An address that a client of this machine can dial: an unspecified one stands for loopback.
pub(super) fn dialable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
