//! Recovery: twelve words make this device an admin of the household that they founded.
//!
//! The root signs a list with this device as admin, and without the admins of before unless they are to stay. Every
//! device takes it, because the root signed it, and tells it for seven days. The words also bring back the key of the
//! names.

use std::sync::Arc;

use latchkey_api::device_list::{DeviceList, Reason, Role, Signer};
use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot, IdentityError};
use latchkey_e2ee::label::{LabelError, LabelKey, seal_label};

use crate::clock::unix_seconds;
use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{RootSession, Server, SignalingError};
use crate::vault::Vault;

/// What a recovery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Version of the list that the root signed.
    pub list_version: u64,
    /// The admins that it removed.
    pub removed: Vec<DeviceId>,
}

/// Why the household was not recovered; nothing was changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// They are not twelve words of a household.
    #[error("{0}; nothing was changed")]
    Words(#[source] IdentityError),
    /// The server has no household of these words.
    #[error(
        "this server knows no household of these words: check that they are the words of this household, and the server's address"
    )]
    UnknownHousehold,
    /// This device's name.
    #[error("the name cannot be used: {0}")]
    Name(#[from] LabelError),
    /// The vault, the server, or its lists.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for RecoverError {
    fn from(error: SignalingError) -> Self {
        match error.code() {
            Some(ProblemCode::SignInFailed) => Self::UnknownHousehold,
            _ => Self::Home(error.into()),
        }
    }
}

/// What is said when recovering.
#[derive(Clone, Copy, Debug)]
pub struct Recovery<'a> {
    /// Address of the household's server.
    pub server: &'a str,
    /// What this device will be called.
    pub name: &'a str,
    /// The admins of before stay admins.
    pub keep_admins: bool,
}

/// Makes this device, kept in `vault`, an admin of the household that `words` founded.
///
/// On failure nothing is left of the vault, and the household is as it was.
pub async fn recover(
    vault: Vault,
    words: &str,
    recovery: Recovery<'_>,
) -> Result<(Home, Recovered), RecoverError> {
    let rest = Arc::clone(vault.rest());
    let recovered = enlist(vault, words, recovery).await;
    if recovered.is_err() {
        rest.discard();
    }
    recovered
}

async fn enlist(
    vault: Vault,
    words: &str,
    recovery: Recovery<'_>,
) -> Result<(Home, Recovered), RecoverError> {
    let root = &HouseholdRoot::from_phrase(words).map_err(RecoverError::Words)?;
    let server = Server::new(recovery.server)?.once_stored(vault.ledger());
    let session = RootSession::sign_in(server.clone(), root).await?;
    let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
    let label_key = LabelKey::of_root(root);
    let label = seal_label(&label_key, root.household(), identity.device(), recovery.name)?;
    let beginnings = Beginnings { identity, server, root_public: root.public(), label_key };
    let mut home = Home::begin(vault, beginnings)?;
    let mut known = 0;
    let recovered = loop {
        home.take_lists(&session.lists_after(known).await?)?;
        known = home.list()?.version;
        let now = unix_seconds();
        let draft = home.chain().next_draft(Signer::Root, now, Reason::Recovered);
        let mut draft = draft.ok_or(HomeError::NotListed)?;
        let removed = if recovery.keep_admins { Vec::new() } else { take_admins(&mut draft) };
        let entry = home.identity().public().entry(Role::Admin, now, label.clone());
        let draft = draft.with(entry).map_err(HomeError::from)?;
        let list = root.sign_list(draft).as_bytes().to_vec();
        match session.post_list(list.clone()).await {
            Ok(list_version) => {
                home.take_lists(&[list])?;
                break Recovered { list_version, removed };
            }
            Err(error) if error.code() == Some(ProblemCode::ListVersionTaken) => {}
            Err(error) => return Err(error.into()),
        }
    };
    // The household is recovered, whatever happens now; a viewer leaves key packages again when it starts.
    let signaling = home.signaling();
    if let Err(error) = key_packages::leave(&mut home, &signaling).await {
        tracing::warn!("no key packages were left: {error}");
    }
    Ok((home, recovered))
}

/// Takes the admins out of a draft and returns them.
fn take_admins(draft: &mut DeviceList) -> Vec<DeviceId> {
    let is_admin = |role| role == Role::Admin;
    let admins =
        draft.devices.iter().filter(|entry| is_admin(entry.role)).map(|entry| entry.device).collect();
    draft.devices.retain(|entry| !is_admin(entry.role));
    admins
}
