//! Mailboxes for two devices that meet by an invite: small, short-lived, open to whoever knows the name.

use std::time::{Duration, SystemTime};

use latchkey_api::encoding::ByteString;
use latchkey_api::mailbox::{LIFETIME_SECONDS, MAX_MESSAGE_BYTES, MAX_MESSAGES, Mail, MailAccepted, Mailbox};

use crate::clock::unix_millis;
use crate::signaling::Signaling;
use crate::store::{MailOutcome, NewMail, Store, StoreError};

/// How many messages all mailboxes together hold.
pub const MAX_MAIL: u32 = 4096;

impl<S: Store> Signaling<S> {
    /// Puts a message into a mailbox.
    ///
    /// # Errors
    /// [`MailRefused`].
    pub async fn post_mail(
        &self,
        mailbox: [u8; 16],
        message: &[u8],
        now: SystemTime,
    ) -> Result<MailAccepted, MailRefused> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(MailRefused::TooLarge);
        }
        let new = NewMail {
            mailbox,
            message,
            at_ms: unix_millis(now),
            expires_ms: unix_millis(now + Duration::from_secs(LIFETIME_SECONDS)),
            max_in_mailbox: MAX_MESSAGES as u32,
            max_in_all: MAX_MAIL,
        };
        match self.store.post_mail(new).await? {
            MailOutcome::Accepted(seq) => Ok(MailAccepted { seq }),
            MailOutcome::MailboxFull => Err(MailRefused::MailboxFull),
            MailOutcome::AllFull => Err(MailRefused::AllFull),
        }
    }

    /// The messages of a mailbox after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mail(&self, mailbox: [u8; 16], after: u64, now: SystemTime) -> Result<Mailbox, StoreError> {
        let found = self.store.mail_after(mailbox, after, unix_millis(now)).await?;
        let messages = found.into_iter().map(|(seq, message)| Mail { seq, message: ByteString(message) });
        Ok(Mailbox { messages: messages.collect() })
    }
}

/// Why a message was not put into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailRefused {
    /// The caller's: above [`MAX_MESSAGE_BYTES`].
    #[error("a message for a mailbox may have at most {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// The caller's: [`MAX_MESSAGES`] wait already.
    #[error("the mailbox holds {MAX_MESSAGES} messages already")]
    MailboxFull,
    /// Nobody's: [`MAX_MAIL`] wait in all mailboxes.
    #[error("all mailboxes are full: try again in some minutes")]
    AllFull,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}
