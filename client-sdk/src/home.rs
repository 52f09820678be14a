//! What one device keeps: its keys, the household it belongs to, and the chain of lists it has verified.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use latchkey_api::device_list::{DeviceEntry, DeviceList, ListChain, ListError, Role};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_e2ee::identity::{DeviceIdentity, IdentityError};
use latchkey_e2ee::label::{LabelKey, open_label};
use zeroize::Zeroizing;

use crate::signaling::{Server, Signaling, SignalingError};
use crate::vault::{Vault, VaultError};

/// One device of one household, held by this process.
pub struct Home {
    vault: Vault,
    identity: Arc<DeviceIdentity>,
    server: Server,
    chain: ListChain,
    label_key: LabelKey,
}

/// What a new device has to begin with.
pub(crate) struct Beginnings {
    pub(crate) identity: DeviceIdentity,
    pub(crate) server: Server,
    pub(crate) root_public: [u8; 32],
    pub(crate) label_key: LabelKey,
}

/// Why what a device keeps cannot be used, or not be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The server.
    #[error(transparent)]
    Signaling(#[from] SignalingError),
    /// The server showed a list that does not follow the ones this device knows. Somebody cheats.
    #[error("ALARM: the server shows a device list that is not valid ({0}); nothing was changed")]
    List(#[from] ListError),
    /// A record of the vault is missing or of another version.
    #[error(
        "the vault lacks its record {0:?}: restore it from a backup, or remove this device and join again"
    )]
    Record(&'static str),
    /// Keys could not be drawn or read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The device is not on the household's list.
    #[error(
        "this device is not on the household's list (any more): ask an admin for a new invite and join with a new --home"
    )]
    NotListed,
    /// No such camera, or more than one of this name.
    #[error("{0}")]
    Camera(String),
}

impl Home {
    /// Opens the device in `dir` and holds it against other processes.
    ///
    /// Fails with [`HomeError::Vault`] and [`HomeError::Record`].
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        Self::load(Vault::open(dir)?)
    }

    /// Reads the device in `dir`, also while another process holds it; it cannot be changed.
    ///
    /// Fails with [`HomeError::Vault`] and [`HomeError::Record`].
    pub fn look(dir: &Path) -> Result<Self, HomeError> {
        Self::load(Vault::look(dir)?)
    }

    /// Puts a new device into an empty vault and saves it.
    pub(crate) fn begin(mut vault: Vault, beginnings: Beginnings) -> Result<Self, HomeError> {
        let Beginnings { identity, server, root_public, label_key } = beginnings;
        vault.put(IDENTITY, identity.to_bytes());
        vault.put(SERVER, Zeroizing::new(server.url().as_str().into()));
        vault.put(ROOT, Zeroizing::new(root_public.to_vec()));
        vault.put(LABEL_KEY, Zeroizing::new(label_key.to_bytes().to_vec()));
        vault.save()?;
        let chain = ListChain::new(&root_public)?;
        Ok(Self { vault, identity: Arc::new(identity), server, chain, label_key })
    }

    fn load(vault: Vault) -> Result<Self, HomeError> {
        let identity = DeviceIdentity::from_bytes(record(&vault, IDENTITY)?)?;
        let server = std::str::from_utf8(record(&vault, SERVER)?).map_err(|_| HomeError::Record(SERVER))?;
        let server = Server::new(server)?;
        let root = record(&vault, ROOT)?.try_into().map_err(|_| HomeError::Record(ROOT))?;
        let label_key = record(&vault, LABEL_KEY)?.try_into().map_err(|_| HomeError::Record(LABEL_KEY))?;
        let mut chain = ListChain::new(root)?;
        for name in vault.names(LIST) {
            // Each was accepted when it came; its date is no reason to refuse it now.
            chain.accept(vault.record(name).unwrap_or_default(), None)?;
        }
        let label_key = LabelKey::from_bytes(label_key);
        Ok(Self { vault, identity: Arc::new(identity), server, chain, label_key })
    }

    /// Returns this device's id.
    pub fn device(&self) -> DeviceId {
        self.identity.device()
    }

    /// Returns the household.
    pub fn household(&self) -> HouseholdId {
        self.chain.household()
    }

    /// Returns the keys of this device.
    pub fn identity(&self) -> &Arc<DeviceIdentity> {
        &self.identity
    }

    /// Returns the server of the household.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the verified chain of lists.
    pub fn chain(&self) -> &ListChain {
        &self.chain
    }

    /// Returns the newest verified list. Fails with [`HomeError::NotListed`] before there is one.
    pub fn list(&self) -> Result<&DeviceList, HomeError> {
        self.chain.head().map(|head| head.list()).ok_or(HomeError::NotListed)
    }

    /// Returns this device's entry in the newest list.
    pub fn entry(&self) -> Result<&DeviceEntry, HomeError> {
        self.list()?.device(self.device()).ok_or(HomeError::NotListed)
    }

    /// Returns a device's name, opened with the household's label key; its id where that fails.
    pub fn label(&self, entry: &DeviceEntry) -> String {
        open_label(&self.label_key, self.household(), entry.device, &entry.label)
            .unwrap_or_else(|_| entry.device.to_string())
    }

    /// Returns the camera that `name` means: its id, or its name as the household calls it.
    ///
    /// Fails with [`HomeError::Camera`] and names the cameras there are.
    pub fn find_camera(&self, name: &str) -> Result<DeviceId, HomeError> {
        let cameras: Vec<(DeviceId, String)> =
            self.list()?.cameras().map(|entry| (entry.device, self.label(entry))).collect();
        if let Some((camera, _)) = cameras.iter().find(|(camera, _)| camera.to_string() == name) {
            return Ok(*camera);
        }
        let mut called = cameras.iter().filter(|(_, label)| label == name);
        match (called.next(), called.next()) {
            (Some((camera, _)), None) => Ok(*camera),
            (Some(_), Some(_)) => Err(HomeError::Camera(format!(
                "two cameras are called {name:?}: use the id that `latchkey devices` shows"
            ))),
            (None, _) if cameras.is_empty() => Err(HomeError::Camera(
                "this household has no camera yet: add one with `latchkey invite --role camera --name NAME`"
                    .to_owned(),
            )),
            (None, _) => {
                let known: Vec<&str> = cameras.iter().map(|(_, label)| label.as_str()).collect();
                Err(HomeError::Camera(format!("no camera is called {name:?}; there is {}", known.join(", "))))
            }
        }
    }

    /// Returns the server, signed in to as this device.
    pub fn signaling(&self) -> Signaling {
        Signaling::new(self.server.clone(), self.household(), self.device(), Arc::clone(&self.identity))
    }

    /// Reads new lists from the server, verifies and keeps them; returns whether there were any.
    ///
    /// Fails with [`HomeError::List`] when the server shows a list that does not follow; the good ones
    /// before it are kept.
    pub async fn refresh(&mut self, signaling: &Signaling) -> Result<bool, HomeError> {
        let known = self.chain.head().map_or(0, |head| head.list().version);
        let lists = signaling.lists_after(known).await?;
        self.take_lists(&lists)
    }

    /// Verifies lists as the next of the chain and keeps them; returns whether there were new ones.
    pub(crate) fn take_lists(&mut self, lists: &[Vec<u8>]) -> Result<bool, HomeError> {
        let before = self.chain.head().map_or(0, |head| head.list().version);
        let mut refused = None;
        for bytes in lists {
            match self.chain.accept(bytes, Some(SystemTime::now())) {
                Ok(accepted) => {
                    self.vault.put(&list_record(accepted.version), Zeroizing::new(bytes.clone()));
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let news = self.chain.head().map_or(0, |head| head.list().version) > before;
        if news && !self.vault.is_read_only() {
            self.vault.save()?;
        }
        refused.map_or(Ok(news), |error| Err(error.into()))
    }

    /// Returns the role of this device.
    pub fn role(&self) -> Result<Role, HomeError> {
        Ok(self.entry()?.role)
    }

    pub(crate) fn label_key(&self) -> &LabelKey {
        &self.label_key
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn vault_mut(&mut self) -> &mut Vault {
        &mut self.vault
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home").field("dir", &self.vault.dir()).finish_non_exhaustive()
    }
}

fn record<'a>(vault: &'a Vault, name: &'static str) -> Result<&'a [u8], HomeError> {
    vault.record(name).ok_or(HomeError::Record(name))
}

/// Names sort like versions.
fn list_record(version: u64) -> String {
    format!("{LIST}{version:020}")
}

const IDENTITY: &str = "identity";
const SERVER: &str = "server";
const ROOT: &str = "root";
const LABEL_KEY: &str = "label-key";
const LIST: &str = "list/";
