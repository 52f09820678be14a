//! Looking from outside whether a server can be reached: what `POST /v1/probes` gives.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Reply to `POST /v1/probes` (201): credentials for a STUN check of the media port.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// First half of the STUN user name; any word may be the second.
    pub ufrag: String,
    /// Password for message integrity (RFC 8489 section 14.5). Opens nothing: the answer is all there is.
    pub password: String,
    /// Addresses, as `IP:port`, that viewers and cameras are told to send media to.
    pub addresses: Vec<String>,
    /// Seconds for which the credentials are good.
    pub seconds: u32,
    /// The address that this request came from, as the server saw it; of IPv6 the network.
    pub seen_from: String,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// The one text message of the WebSocket at `GET /v1/probes/socket`.
pub const SOCKET_GREETING: &str = "reached";
