//! What time the server says it is, to notice a wrong clock before it dates a list.

use crate::signaling::{Inner, Signaling, SignalingError};

impl Signaling {
    /// Returns the server's time in seconds since the Unix epoch, as its challenges imply it.
    ///
    /// A server may lie: good for asking a person to look at the clock, for nothing else.
    pub async fn server_seconds(&self) -> Result<u64, SignalingError> {
        let Inner { server, household, device, .. } = &*self.inner;
        let challenge = server.challenge(*household, *device).await?;
        Ok(challenge.expires_at.saturating_sub(CHALLENGE_SECONDS))
    }
}

/// How long a challenge is good.
const CHALLENGE_SECONDS: u64 = 60;
