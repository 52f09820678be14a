//! The new device's side of an invite: show its keys, wait for the answer, verify the whole chain.

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::encoding::to_text;
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::label::LabelKey;
use sha2::{Digest, Sha256};

use crate::clock::{Instant, sleep};
use crate::enrol::code::InviteCode;
use crate::enrol::invite::{ANSWER, FROM_ADMIN, FROM_DEVICE, request};
use crate::enrol::sealed::SmallKey;
use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{Server, SignalingError};
use crate::vault::Vault;

/// Why the device did not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Another device has used the code.
    #[error("this invite code has been used already: ask for a new code")]
    Used,
    /// No admin answered.
    #[error(
        "nobody answers this invite code: it is good for 10 minutes and only while the admin's invite waits; ask for a new one"
    )]
    NoAnswer,
    /// The answer cannot be opened: it was not made with this code.
    #[error("the answer to this invite code does not fit it: ask for a new code")]
    BadAnswer,
    /// The vault or the server.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for JoinError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

/// Joins the household of `code` with new keys kept in `vault`; waits at most `patience` for the admin.
///
/// Returns when the whole chain of lists is verified against the root key in the code and has this
/// device in it. On failure nothing is left of the vault; dropped before, what was answered already is.
pub async fn join(vault: Vault, code: &InviteCode, patience: Duration) -> Result<Home, JoinError> {
    let rest = Arc::clone(vault.rest());
    let joined = ask(vault, code, patience).await;
    if joined.is_err() {
        rest.discard();
    }
    joined
}

async fn ask(vault: Vault, code: &InviteCode, patience: Duration) -> Result<Home, JoinError> {
    let server = Server::new(&code.server)?.once_stored(vault.ledger());
    let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
    let mail = request(code, identity.public());
    let name = to_text(&code.mailbox);
    if server
        .read_mail(&name, 0)
        .await?
        .iter()
        .any(|mail| mail.message.as_slice().first() == Some(&FROM_DEVICE))
    {
        return Err(JoinError::Used);
    }
    server.post_mail(&name, mail.clone()).await?;
    let label_key = answer(&server, code, &mail, patience).await?;

    let root_public = code.root_public;
    let mut home = Home::begin(vault, Beginnings { identity, server, root_public, label_key })?;
    let signaling = home.signaling();
    home.refresh(&signaling).await?;
    home.entry()?;
    key_packages::leave(&mut home, &signaling).await?;
    Ok(home)
}

async fn answer(
    server: &Server,
    code: &InviteCode,
    mail: &[u8],
    patience: Duration,
) -> Result<LabelKey, JoinError> {
    let key = SmallKey::derive(code.secret.as_slice(), ANSWER);
    let place = Sha256::digest(mail);
    let ends = Instant::now() + patience;
    let name = code.mailbox_name();
    while Instant::now() < ends {
        let messages = match server.read_mail(&name, 0).await {
            Ok(messages) => messages,
            Err(error) if error.is_passing() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let sealed = messages.iter().find_map(|mail| mail.message.as_slice().strip_prefix(&[FROM_ADMIN]));
        if let Some(sealed) = sealed {
            let content = key.open(&place, sealed).map_err(|_| JoinError::BadAnswer)?;
            let label_key = content.as_slice().try_into().map_err(|_| JoinError::BadAnswer)?;
            return Ok(LabelKey::from_bytes(label_key));
        }
        sleep(POLL_INTERVAL).await;
    }
    Err(JoinError::NoAnswer)
}

/// How often the mailbox is looked into.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
