//! What the server says over a device's WebSocket (`GET /v1/events`): hints to come and read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::group::Rejoin;
use crate::id::{DeviceId, GroupId};

/// The subprotocol (RFC 6455 section 1.9) of a socket that a page opens: there the server says [`Event::Alive`] with each
/// ping, which a page does not see.
pub const SOCKET_PROTOCOL: &str = "latchkey";

/// Returns the subprotocol by which a page, which may set no header, brings its token beside [`SOCKET_PROTOCOL`].
pub fn token_protocol(token: &str) -> String {
    format!("{TOKEN_PROTOCOL}{token}")
}

const TOKEN_PROTOCOL: &str = "latchkey.bearer.";

/// One JSON text message of the event socket.
///
/// An event is a hint: the truth is what the routes answer. After every connect the client reads once
/// what it may have missed. Kinds this version does not know are [`Event::Unknown`] and are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The household's list now has this version: `GET /v1/lists`.
    List {
        /// The present version.
        version: u64,
    },
    /// A group has a new message: `GET /v1/groups/{group}/messages`.
    Message {
        /// The group.
        group: GroupId,
        /// The new message's sequence number.
        seq: u64,
    },
    /// A welcome waits: `GET /v1/welcomes`.
    Welcome {
        /// The group it leads into.
        group: GroupId,
    },
    /// Few single-use key packages of this device are left: `POST /v1/key-packages`.
    KeyPackagesLow {
        /// How many are left.
        left: u32,
    },
    /// To a camera: a device asks to be put into its group anew.
    Rejoin {
        /// The group.
        group: GroupId,
        /// The device that asks.
        device: DeviceId,
        /// What it asks, signed by it.
        request: Rejoin,
    },
    /// The signed list no longer has this device, or its rights changed: the socket closes and every
    /// token of the device is void. A device that is still listed signs in again.
    Removed,
    /// The server is there: said with each ping to pages only.
    Alive,
    /// An event of a later version.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::encoding::ByteString;

    #[test]
    fn wire_form() {
        let device = DeviceId([1; 16]);
        let group = GroupId::new(device, 1);
        let request = Rejoin { time: 7, key_package: ByteString(vec![1]), signature: ByteString(vec![2]) };
        for (event, json) in [
            (Event::List { version: 3 }, r#"{"type":"list","version":3}"#.to_owned()),
            (Event::Message { group, seq: 9 }, format!(r#"{{"type":"message","group":"{group}","seq":9}}"#)),
            (Event::Welcome { group }, format!(r#"{{"type":"welcome","group":"{group}"}}"#)),
            (Event::KeyPackagesLow { left: 2 }, r#"{"type":"key_packages_low","left":2}"#.to_owned()),
            (
                Event::Rejoin { group, device, request },
                format!(
                    r#"{{"type":"rejoin","group":"{group}","device":"{device}","request":{{"time":7,"key_package":"AQ","signature":"Ag"}}}}"#
                ),
            ),
            (Event::Removed, r#"{"type":"removed"}"#.to_owned()),
            (Event::Alive, r#"{"type":"alive"}"#.to_owned()),
        ] {
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        }
        assert_eq!(serde_json::from_str::<Event>(r#"{"type":"ring","x":1}"#).unwrap(), Event::Unknown);
    }
}
