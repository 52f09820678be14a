//! Mailboxes: a few small sealed messages under a secret name, for two devices that meet by an invite.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;

/// How many messages one mailbox holds.
pub const MAX_MESSAGES: usize = 16;
/// Longest message in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4096;
/// How long a message is kept, in seconds.
pub const LIFETIME_SECONDS: u64 = 600;

/// `POST /v1/mailboxes/{id}`, `id` being 16 bytes that only the two sides know (base64url). No sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostMail {
    /// Sealed by the two sides, at most [`MAX_MESSAGE_BYTES`].
    pub message: ByteString,
}

/// Reply to [`PostMail`] (201).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailAccepted {
    /// The message's number; numbers of one mailbox rise, not always by one.
    pub seq: u64,
}

/// Reply to `GET /v1/mailboxes/{id}?after=seq`; empty for a mailbox nobody wrote to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mailbox {
    /// Messages after `seq`, oldest first. Reading removes nothing.
    pub messages: Vec<Mail>,
}

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mail {
    /// Its number in the mailbox.
    pub seq: u64,
    /// The message.
    pub message: ByteString,
}
