//! What one device keeps: its keys, the household it belongs to, and the chain of lists it has verified.
//!
//! The newest verified list is pinned: each refresh asks the server for that list too, so that a server which
//! shows fewer lists, or another one in its place, is noticed.

mod following;
mod lists;

pub(crate) use following::Following;

use std::sync::Arc;

use latchkey_api::device_list::{DeviceEntry, DeviceList, ListChain, ListError, Role};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_e2ee::identity::{DeviceIdentity, IdentityError};
use latchkey_e2ee::label::LabelKey;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::unix_seconds;
use crate::home::following::Followed;
use crate::names::Names;
use crate::notice::Notice;
use crate::signaling::{Server, Signaling, SignalingError};
use crate::vault::memory::Memory;
use crate::vault::{Vault, VaultError};

/// One device of one household, held by this process.
pub struct Home {
    vault: Vault,
    identity: Arc<DeviceIdentity>,
    server: Server,
    chain: ListChain,
    label_key: LabelKey,
    news: Vec<Notice>,
    /// Cameras whose groups are followed for good in this process.
    followed: Followed,
}

/// A device that several at once work with: each for as long as it takes to ask the server.
pub type SharedHome = Arc<Mutex<Home>>;

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
    /// The server shows fewer lists than this device has verified. Somebody cheats, or the server lost data.
    #[error(
        "ALARM: the server shows device lists only up to {shown} although list {pinned} exists: it may hide a removal, or have lost data; nothing was changed, ask whoever runs the server"
    )]
    RolledBack {
        /// The newest version that the server shows; 0 when it shows none.
        shown: u64,
        /// The newest version that this device has verified.
        pinned: u64,
    },
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
        "this device is not on the household's list (any more): ask an admin for a new invite and join as a new device"
    )]
    NotListed,
    /// No such camera, or more than one of this name.
    #[error("{0}")]
    Camera(String),
}

impl Home {
    /// Puts a new device into an empty vault and saves it.
    pub(crate) fn begin(mut vault: Vault, beginnings: Beginnings) -> Result<Self, HomeError> {
        let Beginnings { identity, server, root_public, label_key } = beginnings;
        let server = server.once_stored(vault.ledger());
        vault.put(IDENTITY, identity.to_bytes());
        vault.put(SERVER, Zeroizing::new(server.url().as_str().into()));
        vault.put(ROOT, Zeroizing::new(root_public.to_vec()));
        vault.put(LABEL_KEY, Zeroizing::new(label_key.to_bytes().to_vec()));
        vault.save()?;
        let chain = ListChain::new(&root_public)?;
        Ok(Self {
            vault,
            identity: Arc::new(identity),
            server,
            chain,
            label_key,
            news: Vec::new(),
            followed: Followed::default(),
        })
    }

    /// Stores the device as it is.
    pub(crate) fn save(&self) -> Result<(), HomeError> {
        Ok(self.vault.save()?)
    }

    /// The device whose records a vault holds.
    ///
    /// Fails with [`HomeError::Record`] and [`HomeError::List`].
    pub fn load(vault: Vault) -> Result<Self, HomeError> {
        let identity = DeviceIdentity::from_bytes(record(&vault, IDENTITY)?)?;
        let server = std::str::from_utf8(record(&vault, SERVER)?).map_err(|_| HomeError::Record(SERVER))?;
        let server = Server::new(server)?.once_stored(vault.ledger());
        let root = record(&vault, ROOT)?.try_into().map_err(|_| HomeError::Record(ROOT))?;
        let label_key = record(&vault, LABEL_KEY)?.try_into().map_err(|_| HomeError::Record(LABEL_KEY))?;
        let mut chain = ListChain::new(root)?;
        for name in vault.names(LIST) {
            // Each was accepted when it came; its date is no reason to refuse it now.
            chain.accept(vault.record(name).unwrap_or_default(), None)?;
            // Rivals of its version came before the next one, and stay an alarm until a list has joined them.
            let rivals = format!("{RIVAL}{}/", name.trim_start_matches(LIST));
            for name in vault.names(&rivals) {
                match chain.accept(vault.record(name).unwrap_or_default(), None) {
                    Ok(_) | Err(ListError::TwoHistories { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let label_key = LabelKey::from_bytes(label_key);
        let mut home = Self {
            vault,
            identity: Arc::new(identity),
            server,
            chain,
            label_key,
            news: Vec::new(),
            followed: Followed::default(),
        };
        home.news = home.recent_recoveries(unix_seconds());
        Ok(home)
    }

    /// This device as it is stored by now, where another process may hold it: a copy to look ahead with. What it keeps is
    /// stored nowhere.
    ///
    /// Fails as [`Home::load`] does.
    pub(crate) fn copy(&self) -> Result<Self, HomeError> {
        Self::load(Vault::held(self.vault.look()?, Arc::new(Memory::default())))
    }

    /// Lets several at once work with it.
    pub fn shared(self) -> SharedHome {
        Arc::new(Mutex::new(self))
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
        self.names().label(entry)
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
                "two cameras are called {name:?}: use the id that the list of devices shows"
            ))),
            (None, _) if cameras.is_empty() => {
                Err(HomeError::Camera("this household has no camera yet: invite one".to_owned()))
            }
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

    /// Returns what has changed in the household since the last call, and recoveries of the last seven days once
    /// after the device was opened.
    pub fn take_news(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.news)
    }

    /// Returns a device's name by any list this device knows, newest first; its id where it has none.
    pub fn name_of(&self, device: DeviceId) -> String {
        self.names().name_of(device)
    }

    /// Returns the role of this device.
    pub fn role(&self) -> Result<Role, HomeError> {
        Ok(self.entry()?.role)
    }

    /// Returns the names of the household's devices.
    pub fn names(&self) -> Names<'_> {
        Names { chain: &self.chain, label_key: &self.label_key, me: self.device() }
    }

    /// Returns whether it was opened to look only, while another process holds it.
    pub fn is_read_only(&self) -> bool {
        self.vault.is_read_only()
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
        f.debug_struct("Home").field("vault", &self.vault).finish_non_exhaustive()
    }
}

fn record<'a>(vault: &'a Vault, name: &'static str) -> Result<&'a [u8], HomeError> {
    vault.record(name).ok_or(HomeError::Record(name))
}

const IDENTITY: &str = "identity";
const SERVER: &str = "server";
const ROOT: &str = "root";
const LABEL_KEY: &str = "label-key";
const LIST: &str = "list/";
/// Lists of other histories.
const RIVAL: &str = "rival-list/";
#[cfg(test)]
mod tests;
