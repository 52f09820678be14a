//! Who asks: the address, and the device behind a token.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use latchkey_api::problem::ProblemCode;
use latchkey_signaling_core::signaling::{Bearer, Caller};

use crate::app::App;
use crate::refusal::Refusal;

/// The address to count a request against; `observe` puts it into every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

/// A request to a route that needs no sign-in, within its limit.
pub(crate) struct Open(pub(crate) Client);

impl FromRequestParts<App> for Open {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let client = Client::of(parts);
        app.limits.open(client.0, Instant::now()).inspect_err(|_| app.metrics.rate_limited("open"))?;
        Ok(Self(client))
    }
}

/// A request with the token of a device that the signed list has, within the device's limit.
pub(crate) struct SignedIn(pub(crate) Caller);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        match DeviceOrRoot::from_request_parts(parts, app).await?.0 {
            Bearer::Device(caller) => Ok(Self(caller)),
            Bearer::Root(_) => Err(Refusal::new(
                ProblemCode::Forbidden,
                "the household root reads lists, brings a recovery list or deletes the household; sign in as a device",
            )),
        }
    }
}

/// A request with the token of a device or of the household root, within its limit.
pub(crate) struct DeviceOrRoot(pub(crate) Bearer);

impl FromRequestParts<App> for DeviceOrRoot {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            Refusal::new(ProblemCode::NotSignedIn, "send Authorization: Bearer and the token")
        })?;
        let bearer = app.signaling.authenticate(token, SystemTime::now()).await?;
        app.limits
            .device(bearer.household_id(), bearer.device(), Instant::now())
            .inspect_err(|_| app.metrics.rate_limited("device"))?;
        Ok(Self(bearer))
    }
}

/// The token of the `Authorization` header; without one that of `Sec-WebSocket-Protocol`, because a browser lets no page
/// set another header of a WebSocket.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())?
        }
        None => {
            let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
            offered.split(',').find_map(|name| name.trim().strip_prefix(BEARER_PROTOCOL))?
        }
    };
    (token.len() <= MAX_TOKEN).then_some(token)
}

/// Subprotocol of the event socket (RFC 6455 section 1.9).
pub(crate) const EVENTS_PROTOCOL: &str = "latchkey";
/// A page offers it beside [`EVENTS_PROTOCOL`], with the token behind; it is never answered with.
const BEARER_PROTOCOL: &str = "latchkey.bearer.";

const MAX_TOKEN: usize = 200;
