//! An address as the browser reads it (WHATWG URL, the same standard that the `url` crate follows).

use std::fmt;

/// An absolute address, with the names of the `url` crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    href: String,
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// The browser does not take it for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no address")]
pub struct ParseError;

impl Url {
    /// Reads an absolute address.
    pub fn parse(address: &str) -> Result<Self, ParseError> {
        web_sys::Url::new(address).map(|url| Self::of(&url)).map_err(|_| ParseError)
    }

    /// Reads an address as seen from this one.
    pub fn join(&self, address: &str) -> Result<Self, ParseError> {
        web_sys::Url::new_with_base(address, &self.href).map(|url| Self::of(&url)).map_err(|_| ParseError)
    }

    /// Returns the whole address.
    pub fn as_str(&self) -> &str {
        &self.href
    }

    /// Returns the scheme without its colon.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the host, where it names one.
    pub fn host_str(&self) -> Option<&str> {
        Some(self.host.as_str()).filter(|host| !host.is_empty())
    }

    /// Returns the port, also one that the scheme implies.
    pub fn port_or_known_default(&self) -> Option<u16> {
        self.port.or(match self.scheme.as_str() {
            "https" | "wss" => Some(443),
            "http" | "ws" => Some(80),
            _ => None,
        })
    }

    /// Changes the scheme, where the standard allows it.
    pub fn set_scheme(&mut self, scheme: &str) -> Result<(), ()> {
        let url = web_sys::Url::new(&self.href).map_err(|_| ())?;
        url.set_protocol(scheme);
        let changed = Self::of(&url);
        if changed.scheme != scheme {
            return Err(());
        }
        *self = changed;
        Ok(())
    }

    fn of(url: &web_sys::Url) -> Self {
        Self {
            href: url.href(),
            scheme: url.protocol().trim_end_matches(':').to_owned(),
            host: url.hostname(),
            port: url.port().parse().ok(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.href)
    }
}
