//! Founding a household: keys and words first, the household itself only when the words are safe.

use std::path::{Path, PathBuf};

use latchkey_api::device_list::{DeviceList, Role};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot, Phrase};
use latchkey_e2ee::label::{LabelError, LabelKey, seal_label};

use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{Server, unix_seconds};
use crate::vault::Vault;

/// Why no household was founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The vault, the server, or keys.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The device's name.
    #[error("the name cannot be used: {0}")]
    Name(#[from] LabelError),
}

/// Founds a household on `server`, with this device, called `name`, as its first admin, kept in `dir`.
///
/// Returns the device and the twelve words of the root: show them once, they are kept nowhere.
/// On failure nothing is left in `dir`.
pub async fn create(dir: &Path, server: &str, name: &str) -> Result<(Home, Phrase), CreateError> {
    Founding::prepare(dir, server, name)?.found().await
}

/// A household that exists only here: dropped, it has never been.
pub struct Founding {
    dir: PathBuf,
    vault: Option<Vault>,
    beginnings: Option<Beginnings>,
    list: Vec<u8>,
    words: Option<Phrase>,
    invite_code: Option<String>,
    done: bool,
}

impl Founding {
    /// Makes the keys of a household on `server` and of this device, called `name`, its first admin, to be kept in `dir`.
    ///
    /// Nothing is written and nobody told yet. Fails with [`CreateError`].
    pub fn prepare(dir: &Path, server: &str, name: &str) -> Result<Self, CreateError> {
        let server = Server::new(server).map_err(HomeError::from)?;
        let vault = Vault::create(dir).map_err(HomeError::from)?;
        let mut founding = Self {
            dir: dir.to_owned(),
            vault: Some(vault),
            beginnings: None,
            list: Vec::new(),
            words: None,
            invite_code: None,
            done: false,
        };
        let (root, words) = HouseholdRoot::generate().map_err(HomeError::from)?;
        let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
        let label_key = LabelKey::of_root(&root);
        let label = seal_label(&label_key, root.household(), identity.device(), name)?;
        let now = unix_seconds();
        let entry = identity.public().entry(Role::Admin, now, label);
        let list = DeviceList::founding(root.household(), entry, now).map_err(HomeError::from)?;
        founding.list = root.sign_list(list).as_bytes().to_vec();
        let root_public = root.public();
        founding.beginnings = Some(Beginnings { identity, server, root_public, label_key });
        founding.words = Some(words);
        Ok(founding)
    }

    /// Brings an invite code of the server's operator, where the server asks for one.
    #[must_use]
    pub fn with_invite_code(mut self, code: String) -> Self {
        self.invite_code = Some(code);
        self
    }

    /// The twelve words, to be shown once and asked back.
    pub fn words(&self) -> &str {
        self.words.as_ref().map_or("", Phrase::words)
    }

    /// Founds the household: keeps the keys, then tells the server.
    pub async fn found(mut self) -> Result<(Home, Phrase), CreateError> {
        let (Some(vault), Some(beginnings), Some(words)) =
            (self.vault.take(), self.beginnings.take(), self.words.take())
        else {
            return Err(HomeError::NotListed.into());
        };
        let root_public = beginnings.root_public;
        let mut home = Home::begin(vault, beginnings)?;
        home.take_lists(std::slice::from_ref(&self.list))?;
        let list = std::mem::take(&mut self.list);
        let invite_code = self.invite_code.take();
        home.server().create_household(root_public, list, invite_code).await.map_err(HomeError::from)?;
        let signaling = home.signaling();
        key_packages::leave(&mut home, &signaling).await?;
        self.done = true;
        Ok((home, words))
    }
}

impl Drop for Founding {
    fn drop(&mut self) {
        if !self.done {
            Vault::discard(&self.dir);
        }
    }
}

impl std::fmt::Debug for Founding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Founding").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use latchkey_api::device_list::ListError;

    use super::*;

    fn prepared(dir: &Path) -> Founding {
        Founding::prepare(dir, "http://127.0.0.1:9601", "Ada").unwrap()
    }

    #[test]
    fn what_was_only_prepared_has_never_been() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("ada");
        let founding = prepared(&home);
        assert_eq!(founding.words().split(' ').count(), 12);
        drop(founding);
        assert!(!home.exists());
    }

    #[test]
    fn a_list_of_another_household_is_an_alarm_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = prepared(&dir.path().join("ada"));
        let theirs = prepared(&dir.path().join("eve"));
        let mut home = Home::begin(ours.vault.take().unwrap(), ours.beginnings.take().unwrap()).unwrap();
        let error = home.take_lists(std::slice::from_ref(&theirs.list)).unwrap_err();
        assert_eq!(error, HomeError::List(ListError::WrongHousehold));
        let sentence = error.to_string();
        assert!(
            sentence.contains("another household") && sentence.contains("nothing was changed"),
            "{sentence}"
        );
        assert!(home.chain().head().is_none());
        home.take_lists(std::slice::from_ref(&ours.list)).unwrap();
        assert_eq!(home.list().unwrap().version, 1);
    }
}
