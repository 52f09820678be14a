//! A mailbox at the server: read as a whole again and again, written to until the server takes it.

use std::time::Duration;

use latchkey_api::encoding::to_text;

use crate::clock::{Instant, sleep};
use crate::signaling::{Server, SignalingError};

/// One mailbox.
pub(super) struct Post {
    server: Server,
    name: String,
}

impl Post {
    pub(super) fn new(server: Server, mailbox: [u8; 16]) -> Self {
        Self { server, name: to_text(&mailbox) }
    }

    /// Returns all messages, oldest first; none while the server is away for a moment.
    pub(super) async fn read(&self) -> Result<Vec<Vec<u8>>, SignalingError> {
        match self.server.read_mail(&self.name, 0).await {
            Ok(mails) => Ok(mails.into_iter().map(|mail| mail.message.into_vec()).collect()),
            Err(error) if error.is_passing() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Returns whether the server can be reached and nobody has written yet.
    pub(super) async fn is_empty(&self) -> Result<bool, SignalingError> {
        Ok(self.server.read_mail(&self.name, 0).await?.is_empty())
    }

    /// Puts a message in, trying again while the server is away; it may then be there twice, which nobody minds.
    pub(super) async fn write(&self, message: Vec<u8>) -> Result<(), SignalingError> {
        let ends = Instant::now() + PATIENCE;
        loop {
            match self.server.post_mail(&self.name, message.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_passing() && Instant::now() < ends => sleep(POLL_INTERVAL).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// How often a mailbox is looked into.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// How long a message is tried to be put in.
const PATIENCE: Duration = Duration::from_secs(30);
