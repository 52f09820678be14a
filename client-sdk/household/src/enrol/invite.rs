//! The admin's side of an invite: wait in the mailbox, put the new device on the list, answer.
//!
//! ```text
//! 1  device ▶ mailbox   1 | sealed { device id (16), MLS key (32), enrolment key (32) }
//! 2  admin  ▶ server    signed list n+1 with the device
//! 3  admin  ▶ mailbox   2 | sealed { label key (16) }                place: hash of message 1
//! ```
//!
//! Both messages are sealed under the secret in the code, each way under its own key. The server sees
//! an unnamed mailbox with two messages, and a list that has one more device.

use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::enrol::{Terms, TermsError};
use latchkey_e2ee::identity::DevicePublic;
use latchkey_e2ee::label::LabelError;
use sha2::{Digest, Sha256};

use crate::clock::{Instant, sleep, unix_seconds};
use crate::devices::DevicesError;
use crate::enrol::code::InviteCode;
use crate::enrol::enlist::{Invited, enlist};
use crate::enrol::sealed::SmallKey;
use crate::home::{Home, HomeError, SharedHome};
use crate::signaling::{Server, SignalingError};

/// An invite that waits for a device. Good once, for ten minutes.
pub struct Invitation {
    code: InviteCode,
    terms: Terms,
    ends: Instant,
}

/// Why nobody joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Only an admin may sign the next list.
    #[error(
        "only an admin of the household can invite: run this on the device that made the household, or on another admin"
    )]
    NotAdmin,
    /// No device can be let in like this.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The list could not be signed or posted.
    #[error(transparent)]
    List(DevicesError),
    /// Nobody came in time.
    #[error("nobody joined within 10 minutes: make a new invite")]
    TooLate,
    /// Somebody writes into the mailbox without the secret.
    #[error(
        "{TRIES} messages came that do not fit the code: it may have been mistyped or be known to others; make a new invite"
    )]
    TooManyTries,
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The vault or the server.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for InviteError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl From<DevicesError> for InviteError {
    fn from(error: DevicesError) -> Self {
        match error {
            DevicesError::NotAdmin => Self::NotAdmin,
            DevicesError::Home(error) => Self::Home(error),
            other => Self::List(other),
        }
    }
}

impl Invitation {
    /// Makes an invite for a device without limits that will be called `name`.
    ///
    /// Fails like [`Invitation::with_terms`].
    pub fn new(home: &Home, role: Role, name: &str) -> Result<Self, InviteError> {
        Self::with_terms(home, Terms::unlimited(role, name))
    }

    /// Makes an invite for a device on these terms.
    ///
    /// Fails with [`InviteError::NotAdmin`] on other devices, and with [`InviteError::Terms`].
    pub fn with_terms(home: &Home, terms: Terms) -> Result<Self, InviteError> {
        if home.role()? != Role::Admin {
            return Err(InviteError::NotAdmin);
        }
        // Checked before anybody waits.
        terms.check(unix_seconds())?;
        let code = InviteCode::draw(*home.chain().root_public(), home.server().url().as_str())
            .map_err(|_| LabelError::NoRandomness)?;
        Ok(Self { code, terms, ends: Instant::now() + LIFETIME })
    }

    /// Returns the code to be pasted on the new device.
    pub fn code(&self) -> &InviteCode {
        &self.code
    }

    /// Waits for the device, signs the next list with it, and answers it.
    ///
    /// May be dropped while it waits: then nothing has happened.
    pub async fn wait(self, home: &mut Home) -> Result<Invited, InviteError> {
        let (mail, public) = self.first_mail(home.server()).await?;
        self.admit(home, &mail, &public).await
    }

    /// As [`Invitation::wait`], with a device that others work with while nobody has come.
    pub async fn wait_shared(self, home: &SharedHome) -> Result<Invited, InviteError> {
        let server = home.lock().await.server().clone();
        let (mail, public) = self.first_mail(&server).await?;
        self.admit(&mut *home.lock().await, &mail, &public).await
    }

    async fn admit(
        &self,
        home: &mut Home,
        mail: &[u8],
        public: &DevicePublic,
    ) -> Result<Invited, InviteError> {
        let invited = enlist(home, public, &self.terms).await?;
        let answer = SmallKey::derive(self.code.secret.as_slice(), ANSWER);
        let sealed = answer.seal(&Sha256::digest(mail), home.label_key().to_bytes().as_slice());
        let message = [[FROM_ADMIN].as_slice(), &sealed].concat();
        home.server().post_mail(&self.code.mailbox_name(), message).await?;
        Ok(invited)
    }

    async fn first_mail(&self, server: &Server) -> Result<(Vec<u8>, DevicePublic), InviteError> {
        let key = SmallKey::derive(self.code.secret.as_slice(), REQUEST);
        let mailbox = self.code.mailbox_name();
        let mut read = 0;
        let mut tries = 0;
        while Instant::now() < self.ends {
            let messages = match server.read_mail(&mailbox, read).await {
                Ok(messages) => messages,
                // The server may be restarted while an invite waits.
                Err(error) if error.is_passing() => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            for mail in messages {
                read = mail.seq;
                let bytes = mail.message.into_vec();
                if let Some(public) = read_request(&key, &self.code.mailbox, &bytes) {
                    return Ok((bytes, public));
                }
                tries += 1;
                if tries == TRIES {
                    return Err(InviteError::TooManyTries);
                }
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(InviteError::TooLate)
    }
}

/// Returns the message with which a device asks to be let in.
pub(super) fn request(code: &InviteCode, public: DevicePublic) -> Vec<u8> {
    let key = SmallKey::derive(code.secret.as_slice(), REQUEST);
    let content = [public.device.0.as_slice(), &public.mls_public, &public.enrol_public].concat();
    [[FROM_DEVICE].as_slice(), &key.seal(&code.mailbox, &content)].concat()
}

fn read_request(key: &SmallKey, mailbox: &[u8; 16], mail: &[u8]) -> Option<DevicePublic> {
    let sealed = mail.strip_prefix(&[FROM_DEVICE])?;
    let content = key.open(mailbox, sealed).ok()?;
    let (device, rest) = content.split_first_chunk()?;
    let (mls_public, rest) = rest.split_first_chunk()?;
    let enrol_public = rest.try_into().ok()?;
    Some(DevicePublic { device: DeviceId(*device), mls_public: *mls_public, enrol_public })
}

/// First byte of a device's message.
pub(super) const FROM_DEVICE: u8 = 1;
/// First byte of an admin's message.
pub(super) const FROM_ADMIN: u8 = 2;
/// Purpose of the key that seals a device's message.
const REQUEST: &str = "request";
/// Purpose of the key that seals an admin's message.
pub(super) const ANSWER: &str = "answer";
/// How long a code is good.
const LIFETIME: Duration = Duration::from_secs(600);
/// How often the mailbox is looked into.
const POLL_INTERVAL: Duration = Duration::from_millis(400);
/// Messages without the secret after which the invite is given up.
const TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_e2ee::identity::DeviceIdentity;

    #[test]
    fn a_request_is_read_with_the_same_code_only() {
        let code = InviteCode::draw([3; 32], "http://a").unwrap();
        let public = DeviceIdentity::generate().unwrap().public();
        let mail = request(&code, public);
        let key = SmallKey::derive(code.secret.as_slice(), REQUEST);
        assert_eq!(read_request(&key, &code.mailbox, &mail), Some(public));
        assert_eq!(read_request(&key, &[0; 16], &mail), None);
        let answer_key = SmallKey::derive(code.secret.as_slice(), ANSWER);
        assert_eq!(read_request(&answer_key, &code.mailbox, &mail), None);
        let mut as_admin = mail;
        as_admin[0] = FROM_ADMIN;
        assert_eq!(read_request(&key, &code.mailbox, &as_admin), None);
    }
}
