//! Founding a household: keys and words first, the household itself only when the words are safe.

use latchkey_api::device_list::{DeviceList, Role};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot, Phrase};
use latchkey_e2ee::label::{LabelError, LabelKey, seal_label};

use crate::clock::unix_seconds;
use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{Server, SignalingError};
use crate::vault::{Tentative, Vault};

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

/// Founds a household on `server`, with this device, called `name`, as its first admin, kept in `vault`.
///
/// Returns the device and the twelve words of the root: show them once, they are kept nowhere.
/// On failure nothing is left of the vault.
pub async fn create(vault: Vault, server: &str, name: &str) -> Result<(Home, Phrase), CreateError> {
    Founding::prepare(vault, server, name)?.found().await
}

/// No household was founded.
pub struct NotFounded {
    /// Why.
    pub error: CreateError,
    /// The same household once more, with the same words, where the server only refused it: for another invite code, or
    /// for later. Nothing of it is kept meanwhile.
    pub again: Option<Founding>,
}

/// A household that exists only here: dropped, it has never been.
pub struct Founding {
    keys: Keys,
    tentative: Tentative,
    root_public: [u8; 32],
    list: Vec<u8>,
    words: Phrase,
    invite_code: Option<String>,
}

/// The first device's keys.
enum Keys {
    /// Made, and told nobody.
    Made(Vault, Box<Beginnings>),
    /// Of a device whose household the server has refused.
    Refused(Box<Home>),
}

impl Founding {
    /// Makes the keys of a household on `server` and of this device, called `name`, its first admin, to be kept in `vault`.
    ///
    /// Nothing is kept and nobody told yet. Fails with [`CreateError`].
    pub fn prepare(vault: Vault, server: &str, name: &str) -> Result<Self, CreateError> {
        let tentative = Tentative::new(&vault);
        let server = Server::new(server).map_err(HomeError::from)?;
        let (root, words) = HouseholdRoot::generate().map_err(HomeError::from)?;
        let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
        let label_key = LabelKey::of_root(&root);
        let label = seal_label(&label_key, root.household(), identity.device(), name)?;
        let now = unix_seconds();
        let entry = identity.public().entry(Role::Admin, now, label);
        let list = DeviceList::founding(root.household(), entry, now).map_err(HomeError::from)?;
        let list = root.sign_list(list).as_bytes().to_vec();
        let root_public = root.public();
        let beginnings = Beginnings { identity, server, root_public, label_key };
        let keys = Keys::Made(vault, Box::new(beginnings));
        Ok(Self { keys, tentative, root_public, list, words, invite_code: None })
    }

    /// Brings an invite code of the server's operator, where the server asks for one.
    #[must_use]
    pub fn with_invite_code(mut self, code: String) -> Self {
        self.invite_code = Some(code);
        self
    }

    /// The twelve words, to be shown once and asked back.
    pub fn words(&self) -> &str {
        self.words.words()
    }

    /// Founds the household: keeps the keys, then tells the server.
    pub async fn found(self) -> Result<(Home, Phrase), CreateError> {
        self.found_or_again().await.map_err(|not| not.error)
    }

    /// Founds the household; what the server refuses can be tried again with the same words.
    pub async fn found_or_again(self) -> Result<(Home, Phrase), NotFounded> {
        let Self { keys, tentative, root_public, list, words, invite_code } = self;
        let mut home = keys.keep(&list)?;
        let registered = home.server().create_household(root_public, list.clone(), invite_code).await;
        if let Err(error) = registered {
            let refused = matches!(error, SignalingError::Refused { .. });
            let again = refused.then(|| {
                tentative.discard();
                let keys = Keys::Refused(Box::new(home));
                Self { keys, tentative, root_public, list, words, invite_code: None }
            });
            return Err(NotFounded { error: HomeError::from(error).into(), again });
        }
        let signaling = home.signaling();
        key_packages::leave(&mut home, &signaling).await.map_err(CreateError::from)?;
        tentative.keep();
        Ok((home, words))
    }
}

impl Keys {
    /// Stores the device and its first list.
    fn keep(self, list: &Vec<u8>) -> Result<Home, CreateError> {
        match self {
            Self::Made(vault, beginnings) => {
                let mut home = Home::begin(vault, *beginnings)?;
                home.take_lists(std::slice::from_ref(list))?;
                Ok(home)
            }
            Self::Refused(home) => {
                home.save()?;
                Ok(*home)
            }
        }
    }
}

impl From<CreateError> for NotFounded {
    fn from(error: CreateError) -> Self {
        Self { error, again: None }
    }
}

impl std::fmt::Debug for NotFounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotFounded").field("error", &self.error).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Founding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Founding").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use latchkey_api::device_list::ListError;

    use super::*;
    use crate::vault::Rest;
    use crate::vault::memory::Memory;

    fn prepared(rest: &Arc<Memory>) -> Founding {
        let vault = Vault::fresh(Arc::clone(rest) as Arc<dyn Rest>);
        Founding::prepare(vault, "http://127.0.0.1:9601", "Ada").unwrap()
    }

    #[test]
    fn what_was_only_prepared_has_never_been() {
        let rest = Arc::default();
        let founding = prepared(&rest);
        assert_eq!(founding.words().split(' ').count(), 12);
        let Keys::Made(vault, _) = &founding.keys else { panic!("the server was asked") };
        vault.save().unwrap();
        drop(founding);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_list_of_another_household_is_an_alarm_and_changes_nothing() {
        let ours = prepared(&Arc::default());
        let theirs = prepared(&Arc::default());
        let Keys::Made(vault, beginnings) = ours.keys else { panic!("the server was asked") };
        let mut home = Home::begin(vault, *beginnings).unwrap();
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
