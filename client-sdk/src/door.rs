//! From the server's leave to the relay's door.

use latchkey_api::session::{SessionOpened, SessionScope};
use url::Url;
use zeroize::Zeroizing;

use crate::transport::{RelayDoor, TransportError};

/// Returns the door that a session reply names for `scope`.
///
/// Fails with [`TransportError::BadAnswer`] when the reply has no usable address for it.
pub(crate) fn relay_door(opened: SessionOpened, scope: SessionScope) -> Result<RelayDoor, TransportError> {
    let address = match scope {
        SessionScope::Publish => opened.relay.whip_url,
        SessionScope::View => opened.relay.whep_url,
    };
    let address =
        address.ok_or_else(|| TransportError::BadAnswer("the server names no relay address".to_owned()))?;
    let url = Url::parse(&address)
        .map_err(|_| TransportError::BadAnswer("the server names a relay address that is none".to_owned()))?;
    Ok(RelayDoor { url, grant: Zeroizing::new(opened.grant) })
}
