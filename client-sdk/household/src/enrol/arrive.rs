//! The new device's side of an enrolment: show a code or a number, be invited, wait for the list that names it.

use std::time::Duration;

use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::enrol::{
    Digits, Kind, Membership, NewDevice, NewDeviceError, NewDeviceStage, NumberError, Offer, OfferError,
    Outcome, PairingNumber,
};
use latchkey_e2ee::identity::DeviceIdentity;

use crate::clock::{Instant, sleep};
use crate::enrol::clock::{Clock, WallClock, machine_clock};
use crate::enrol::post::{POLL_INTERVAL, Post};
use crate::home::{Beginnings, Home, HomeError};
use crate::key_packages;
use crate::signaling::{Server, SignalingError};
use crate::vault::{Tentative, Vault};

/// What a new device begins with.
#[derive(Clone, Debug)]
pub struct ArrivalConfig {
    /// The address of the server.
    pub server: String,
    /// What it is.
    pub kind: Kind,
    /// The clock that is compared with the admin's.
    pub clock: WallClock,
}

impl ArrivalConfig {
    /// A device of this kind that waits at `server`, with the machine's clock.
    pub fn new(server: impl Into<String>, kind: Kind) -> Self {
        Self { server: server.into(), kind, clock: machine_clock }
    }
}

/// A device that waits to be let in. Dropped before [`Arrival::listed`] it leaves nothing behind.
pub struct Arrival {
    tentative: Tentative,
    server: Server,
    post: Post,
    clock: Clock,
    machine: NewDevice,
    /// Until it is invited.
    fresh: Option<(Vault, DeviceIdentity)>,
    /// From then on.
    home: Option<Home>,
}

/// Why a device was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrivalError {
    /// The enrolment failed.
    #[error(transparent)]
    Enrolment(#[from] NewDeviceError),
    /// No code can be made.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// No number can be drawn.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The admin did not sign.
    #[error(
        "the admin did not put this device on the household's list: ask what happened there, then join again"
    )]
    NotListed,
    /// The admin confirmed, but no list came.
    #[error(
        "the admin let this device in, but no list that names it has come: if the admin's list of devices shows it, remove it there, then join again"
    )]
    NoList,
    /// The lists do not contain the one that the admin named.
    #[error(
        "ALARM: the server shows another history of this household than the admin does: nothing was kept; ask the admin to check the server, and do not trust it"
    )]
    OtherHistory,
    /// The entry is not what the admin said.
    #[error(
        "ALARM: the list names this device otherwise than the admin's invitation did: nothing was kept; ask the admin to check the server"
    )]
    OtherEntry,
    /// The vault or the server.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for ArrivalError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl Arrival {
    /// Begins with a code to be shown; `vault` is for its keys, and nothing is left of it when it comes to nothing. Somebody can be let in by it as soon as this returns.
    pub async fn by_code(vault: Vault, config: ArrivalConfig) -> Result<(Self, Offer), ArrivalError> {
        let (tentative, server, identity) = Self::begin(&vault, &config)?;
        let clock = Clock::start(config.clock);
        let (machine, offer, hello) =
            NewDevice::by_code(&identity, config.kind, server.url().as_str(), clock.now())?;
        let post = Post::new(server.clone(), offer.mailbox());
        post.is_empty().await?;
        post.write(hello).await?;
        let fresh = Some((vault, identity));
        Ok((Self { tentative, server, post, clock, machine, fresh, home: None }, offer))
    }

    /// Begins with a number to be shown; `vault` as in [`Arrival::by_code`].
    pub async fn by_number(
        vault: Vault,
        config: ArrivalConfig,
    ) -> Result<(Self, PairingNumber), ArrivalError> {
        let (tentative, server, identity) = Self::begin(&vault, &config)?;
        let clock = Clock::start(config.clock);
        let mut number = PairingNumber::draw()?;
        let mut post = Post::new(server.clone(), number.mailbox());
        while !post.is_empty().await? {
            // Somebody else is using this one.
            number = PairingNumber::draw()?;
            post = Post::new(server.clone(), number.mailbox());
        }
        let (machine, commitment) = NewDevice::by_number(&identity, config.kind, number, clock.now())?;
        post.write(commitment).await?;
        let fresh = Some((vault, identity));
        Ok((Self { tentative, server, post, clock, machine, fresh, home: None }, number))
    }

    fn begin(
        vault: &Vault,
        config: &ArrivalConfig,
    ) -> Result<(Tentative, Server, DeviceIdentity), ArrivalError> {
        let tentative = Tentative::new(vault);
        let server = Server::new(&config.server)?.once_stored(vault.ledger());
        let identity = DeviceIdentity::generate().map_err(HomeError::from)?;
        Ok((tentative, server, identity))
    }

    /// Waits until an admin answers the number; returns the digits to be typed there.
    pub async fn digits(&mut self) -> Result<Digits, ArrivalError> {
        loop {
            if let NewDeviceStage::Comparing(digits) = self.turn().await? {
                return Ok(digits);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Tells whether the admin took the digits for right. A no ends the enrolment with an error.
    pub async fn digits_fit(&mut self, fit: bool) -> Result<(), ArrivalError> {
        let post = self.machine.digits_fit(fit, self.clock.now());
        self.settle(post).await?;
        match self.machine.stage() {
            NewDeviceStage::Failed(error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until an admin has invited this device, which then keeps the household's root key for good.
    ///
    /// By number it also needs [`Arrival::digits_fit`].
    pub async fn invited(&mut self) -> Result<&Membership, ArrivalError> {
        while self.machine.membership().is_none() {
            self.turn().await?;
            if self.machine.membership().is_none() {
                sleep(POLL_INTERVAL).await;
            }
        }
        self.machine.membership().ok_or(ArrivalError::NotListed)
    }

    /// Waits for the list that names this device, verifies all lists, and leaves key packages for cameras.
    pub async fn listed(mut self) -> Result<Home, ArrivalError> {
        self.invited().await?;
        let ends = Instant::now() + LISTING_PATIENCE;
        let mut looked = Instant::now();
        loop {
            let stage = self.turn().await?;
            if stage == NewDeviceStage::Done(Outcome::NotListed) {
                return Err(ArrivalError::NotListed);
            }
            // The admin's word may be lost; the list is what counts.
            let told = matches!(stage, NewDeviceStage::Done(Outcome::Listed(_)));
            if (told || looked.elapsed() >= LOOK_INTERVAL) && self.look().await? {
                break;
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
            }
            if Instant::now() >= ends {
                return Err(ArrivalError::NoList);
            }
            sleep(POLL_INTERVAL).await;
        }
        let mut home = self.home.take().ok_or(ArrivalError::NoList)?;
        let signaling = home.signaling();
        key_packages::leave(&mut home, &signaling).await?;
        self.tentative.keep();
        Ok(home)
    }

    /// Reads the lists; returns whether this device is on them, as it was told.
    async fn look(&mut self) -> Result<bool, ArrivalError> {
        let (Some(home), Some(told)) = (self.home.as_mut(), self.machine.membership()) else {
            return Ok(false);
        };
        let signaling = home.signaling();
        match home.refresh(&signaling).await {
            Ok(_) => {}
            Err(HomeError::Signaling(error))
                if error.is_passing() || error.code() == Some(ProblemCode::SignInFailed) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let Ok(entry) = home.entry() else { return Ok(false) };
        if home.chain().at(told.head.version).is_none_or(|list| list.version() != told.head) {
            return Err(ArrivalError::OtherHistory);
        }
        let public = home.identity().public();
        let mine = entry.mls_public == public.mls_public && entry.enrol_public == public.enrol_public;
        if !mine
            || entry.role != told.role
            || entry.rights != told.rights
            || entry.not_after != told.not_after
        {
            return Err(ArrivalError::OtherEntry);
        }
        Ok(true)
    }

    /// Reads the whole mailbox once.
    async fn turn(&mut self) -> Result<NewDeviceStage, ArrivalError> {
        let mails = self.post.read().await?;
        let now = self.clock.now();
        self.machine.tick(now);
        for mail in mails {
            let post = match (&self.fresh, &self.home) {
                (Some((_, identity)), _) => self.machine.receive(identity, &mail, now),
                (None, Some(home)) => self.machine.receive(home.identity(), &mail, now),
                (None, None) => None,
            };
            self.settle(post).await?;
        }
        match self.machine.stage() {
            NewDeviceStage::Failed(error) => Err(error.into()),
            stage => Ok(stage),
        }
    }

    /// Keeps what was learnt, then posts: an admin never lists a device that has forgotten its keys.
    async fn settle(&mut self, post: Option<Vec<u8>>) -> Result<(), ArrivalError> {
        if let Some(membership) = self.machine.membership()
            && let Some((vault, identity)) = self.fresh.take()
        {
            let beginnings = Beginnings {
                identity,
                server: self.server.clone(),
                root_public: membership.root_public,
                label_key: latchkey_e2ee::label::LabelKey::from_bytes(&membership.label_key.to_bytes()),
            };
            self.home = Some(Home::begin(vault, beginnings)?);
        }
        if let Some(post) = post {
            self.post.write(post).await?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrival").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// How long an accepted device waits for the list that names it.
const LISTING_PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for the list without having been told.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);
