//! Real households for a fleet: founded at a server, each device with keys of its own, all of it in memory.
//!
//! Whatever the server sees is what it sees of any household: signed lists, key packages, commits, Welcomes. Only the
//! vaults are left out, and each device of a household reads the lists from one chain, since all of them would verify
//! the same bytes.

mod change;
mod commit;
mod device;
mod error;
mod founding;
mod hints;
mod household;
mod join;
mod patience;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_api::session::SessionScope;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::seal::FrameSealer;
use tokio::sync::{Semaphore, mpsc};
use url::Url;
use zeroize::Zeroizing;

use crate::crew::household::Household;
use crate::crew::patience::Patience;

pub use crate::crew::error::{CrewError, CrewFault};

/// What is founded, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrewPlan {
    /// Base URL of signaling.
    pub server_url: String,
    /// Households.
    pub households: u32,
    /// Cameras of each household; each has an MLS group of its own.
    pub cameras_per_household: u32,
    /// Viewing devices of each household, members of all its groups; 60 at the most, and 63 with its cameras.
    pub members_per_household: u32,
    /// The operator's code, where the server asks for one.
    pub invite_code: Option<String>,
    /// Households that are founded at the same time.
    pub at_once: usize,
}

/// One household with one camera and one member, on a server of this machine.
impl Default for CrewPlan {
    fn default() -> Self {
        Self {
            server_url: "http://127.0.0.1:9601".to_owned(),
            households: 1,
            cameras_per_household: 1,
            members_per_household: 1,
            invite_code: None,
            at_once: 16,
        }
    }
}

/// A camera of the crew: numbers from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraRef {
    /// Its household.
    pub household: u32,
    /// Which of the household's cameras.
    pub camera: u32,
}

/// A viewing device of the crew: numbers from 0. The number of one that was removed is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberRef {
    /// Its household.
    pub household: u32,
    /// Which of the household's devices.
    pub member: u32,
}

/// Who wants to go through the relay's door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seat {
    /// The camera itself.
    Publish(CameraRef),
    /// A member that looks at a camera of its household.
    View(CameraRef, MemberRef),
}

/// How founding goes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// So many households are complete.
    Founded {
        /// Complete.
        done: u32,
        /// Wanted.
        of: u32,
    },
    /// The server's limits are met: nothing of this kind is asked for so long, then it goes on.
    Waiting {
        /// What is waited with, as in `registering households`.
        doing: &'static str,
        /// For how long, as the server asked.
        wait: Duration,
    },
}

/// What changes in the groups of the crew while it runs, in the order in which fleets have to know it.
#[non_exhaustive]
pub enum CrewNews {
    /// A commit of this camera is on its way: no frame may leave until [`CrewNews::Rekey`] or [`CrewNews::Release`].
    Hold {
        /// The camera.
        camera: CameraRef,
    },
    /// The commit was not taken: the camera goes on with the keys it has.
    Release {
        /// The camera.
        camera: CameraRef,
    },
    /// The member is out: from the next epoch of each camera on it must open nothing. Comes before the first
    /// [`CrewNews::Rekey`] of its removal.
    Removed {
        /// The member.
        member: MemberRef,
    },
    /// The camera seals the very next frame with these.
    Rekey {
        /// The camera.
        camera: CameraRef,
        /// The keys of its next epoch.
        keys: EpochKeys,
    },
    /// The member has the keys of the camera's next epoch: take them with [`Crew::keys`], once for each of its sessions.
    Keys {
        /// The camera.
        camera: CameraRef,
        /// The member.
        member: MemberRef,
    },
}

/// Leave to go through the relay's door once, within 60 s.
pub struct Granted {
    /// Where to post the offer.
    pub url: Url,
    /// The grant, for the `Authorization` header.
    pub bearer: Zeroizing<String>,
    /// How long asking waited because the server limits how often it may be asked.
    pub waited: Duration,
}

/// A removal that was done.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Who was removed.
    pub member: MemberRef,
    /// For each camera, from the admin's word (before the list is signed) over the server's hint to the cameras until the
    /// server had the commit and the camera the keys of its next epoch.
    pub took: Vec<(CameraRef, Duration)>,
    /// From the admin's word until every member that stays had those keys.
    pub followed: Duration,
    /// What ought not to be. Empty when the removal is sound.
    pub faults: Vec<CrewFault>,
}

/// A device that was enrolled while the crew runs.
#[derive(Clone, Debug)]
pub struct Added {
    /// The device, a member of every group of its household.
    pub member: MemberRef,
    /// From the admin's word until it had joined.
    pub took: Duration,
    /// What ought not to be. Empty when all is well.
    pub faults: Vec<CrewFault>,
}

/// Households, complete and in memory. Clones are the same crew.
#[derive(Clone)]
pub struct Crew {
    inner: Arc<Inner>,
}

pub(in crate::crew) struct Inner {
    households: Vec<Household>,
    patience: Arc<Patience>,
    news: Mutex<Option<mpsc::UnboundedSender<CrewNews>>>,
    /// Threads on which members follow a commit: so few that they do not hold up whoever sends and receives frames.
    followers: Semaphore,
}

impl Crew {
    /// Founds all households of the plan. Where the server's limits are met it waits as long as the server says and tells
    /// so; that may be hours on a server that lets one address register few households.
    ///
    /// # Errors
    /// [`CrewError`]; households that were complete by then are deleted, as far as the server lets it.
    pub async fn found(
        plan: &CrewPlan,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Self, CrewError> {
        founding::found(plan, progress).await
    }

    /// Returns where news come from now on; whoever listened before hears no more. Listen before anything is changed.
    #[must_use]
    pub fn news(&self) -> mpsc::UnboundedReceiver<CrewNews> {
        let (sender, news) = mpsc::unbounded_channel();
        *self.inner.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        news
    }

    /// Returns every camera, household by household.
    #[must_use]
    pub fn cameras(&self) -> Vec<CameraRef> {
        let households = (0..).zip(&self.inner.households);
        households
            .flat_map(|(household, it)| {
                (0..it.cameras.len() as u32).map(move |camera| CameraRef { household, camera })
            })
            .collect()
    }

    /// Returns the members of a household that are not removed; none for one that there is not.
    #[must_use]
    pub fn members(&self, household: u32) -> Vec<MemberRef> {
        let it = self.inner.households.get(household as usize);
        it.map(|it| it.present()).unwrap_or_default()
    }

    /// Returns a sealer of the camera's present epoch, with a sender session of its own.
    ///
    /// # Errors
    /// [`CrewError::NoSuchSeat`]; [`CrewError::Group`] after 1024 sealers of one epoch.
    pub fn sealer(&self, camera: CameraRef) -> Result<FrameSealer, CrewError> {
        self.household(camera.household)?.camera(camera.camera)?.sealer()
    }

    /// Returns the keys that a member has of a camera's frames, as it got them from the group.
    ///
    /// # Errors
    /// [`CrewError::NoSuchSeat`]; [`CrewError::Group`] with [`Removed`](latchkey_e2ee::group::GroupError::Removed) for a member that was removed.
    pub fn keys(&self, camera: CameraRef, member: MemberRef) -> Result<EpochKeys, CrewError> {
        if camera.household != member.household {
            return Err(CrewError::NoSuchSeat);
        }
        let keys = self.household(camera.household)?.member(member.member)?.keys(camera.camera as usize);
        keys.map_err(|error| match error {
            Some(source) => CrewError::Group { doing: "take frame keys", source },
            None => CrewError::NoSuchSeat,
        })
    }

    /// Asks the server for leave to go through the relay's door.
    ///
    /// # Errors
    /// [`CrewError`]; [`CrewError::Refused`] for a member that was removed.
    pub async fn session(&self, seat: Seat) -> Result<Granted, CrewError> {
        let (camera, scope) = match seat {
            Seat::Publish(camera) => (camera, SessionScope::Publish),
            Seat::View(camera, _) => (camera, SessionScope::View),
        };
        let household = self.household(camera.household)?;
        let room = household.camera(camera.camera)?.device.id();
        let device = match seat {
            Seat::Publish(_) => household.camera(camera.camera)?.device.clone(),
            Seat::View(_, member) if member.household == camera.household => {
                household.member(member.member)?.device.clone()
            }
            Seat::View(..) => return Err(CrewError::NoSuchSeat),
        };
        device.open_session(&self.inner.patience, room, scope).await
    }

    /// Removes a member: the admin signs the next list without it, every camera of the household takes it out of its
    /// group, and whoever stays follows. Changes of one household wait for each other.
    ///
    /// # Errors
    /// [`CrewError`]; what ought not to be after a removal that was done stands in [`Removal::faults`].
    pub async fn remove(&self, member: MemberRef) -> Result<Removal, CrewError> {
        change::remove(&self.inner, member).await
    }

    /// Enrols another device while the crew runs: the admin signs the next list with it, every camera of the household lets
    /// it in, and it joins by Welcome.
    ///
    /// # Errors
    /// [`CrewError`]; [`CrewError::BadPlan`] when the household's list is full.
    pub async fn add(&self, household: u32) -> Result<Added, CrewError> {
        change::add(&self.inner, household).await
    }

    /// Deletes all households at the server, as their admins may; the crew is of no use afterwards.
    ///
    /// # Errors
    /// The first [`CrewError`]; the other households are deleted all the same.
    pub async fn disband(&self) -> Result<(), CrewError> {
        founding::disband(&self.inner).await
    }

    fn household(&self, household: u32) -> Result<&Household, CrewError> {
        self.inner.households.get(household as usize).ok_or(CrewError::NoSuchSeat)
    }
}

impl Inner {
    fn new(households: Vec<Household>, patience: Arc<Patience>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let followers = Semaphore::new(processors.div_ceil(2));
        Self { households, patience, news: Mutex::default(), followers }
    }

    fn tell(&self, news: CrewNews) {
        if let Some(listener) = &*self.news.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody listening means that the run is over.
            let _ = listener.send(news);
        }
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("households", &self.inner.households.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").field("waited", &self.waited).finish_non_exhaustive()
    }
}
