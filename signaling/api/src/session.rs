//! Asking for the relay's door: which cameras there are, and a grant to publish or view one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::DeviceId;

/// `POST /v1/sessions`: asks for a grant into one camera's room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The camera.
    pub camera: DeviceId,
    /// What the caller wants to do there.
    pub scope: SessionScope,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionScope {
    /// Send the camera's media: only the camera itself.
    Publish,
    /// Receive it: every device whose entry in the signed list has the right to see this camera.
    View,
}

/// Reply to [`OpenSession`] (201).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionOpened {
    /// Where to take the grant and the SDP offer.
    pub relay: RelayDoor,
    /// The room on the relay, in its text form.
    pub room: String,
    /// Bearer grant for the relay's door: good once, for at most 60 s. Send it in a header, never in a URL.
    pub grant: String,
    /// Until when the grant opens the door, in seconds since the Unix epoch.
    pub expires_at: u64,
}

impl std::fmt::Debug for SessionOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionOpened").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// URLs of the relay's door for this session: the one that fits the scope is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayDoor {
    /// WHIP endpoint (RFC 9725) of the room, for [`SessionScope::Publish`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whip_url: Option<String>,
    /// WHEP endpoint of the room, for [`SessionScope::View`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whep_url: Option<String>,
}

/// One camera in the reply to `GET /v1/cameras` (a JSON array): those the caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CameraStatus {
    /// The camera.
    pub camera: DeviceId,
    /// True when it publishes to the relay or its event socket is connected.
    pub live: bool,
}
