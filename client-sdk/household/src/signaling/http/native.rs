//! Requests by reqwest, over TLS by the certificates that this machine trusts.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;

use crate::reach::network_reason;
use crate::signaling::SignalingError;
use crate::signaling::http::{REPLY_LIMIT, Reply, retry_after};
use crate::trust;

pub(in crate::signaling) use reqwest::Method;

/// The client of one server.
#[derive(Clone, Debug)]
pub(in crate::signaling) struct Http(pub(in crate::signaling) reqwest::Client);

impl Http {
    pub(in crate::signaling) fn new(server: &Url) -> Result<Self, SignalingError> {
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(REPLY_LIMIT);
        if is_loopback(server) {
            builder = builder.no_proxy();
        }
        if server.scheme() == "https" {
            let tls = trust::tls().map_err(|error| SignalingError::NoTls(error.to_string()))?;
            builder = builder.tls_backend_preconfigured(tls);
        }
        builder.build().map(Self).map_err(|error| SignalingError::BadReply(error.to_string()))
    }

    /// Sends a request, with a body in JSON where there is one. Fails with the reason when nobody answers.
    pub(in crate::signaling) async fn exchange(
        &self,
        method: Method,
        url: Url,
        token: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, String> {
        let mut request = self.0.request(method, url).timeout(REPLY_LIMIT);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| network_reason(&error))?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        let body = response.bytes().await.map_err(|error| network_reason(&error))?;
        Ok(Reply { status, retry_after, body })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
