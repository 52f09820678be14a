//! The admin's side of an enrolment: meet the new device, invite it, and sign the list once it has confirmed.

use std::time::Duration;

use latchkey_api::device_list::{Reason, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::enrol::{
    Admin, AdminError, AdminStage, Digits, Household, Kind, Offer, PairingNumber, Terms, Typed,
};
use latchkey_e2ee::identity::DevicePublic;
use latchkey_e2ee::label::seal_label;
use tokio::time::{Instant, sleep};

use crate::devices::{DevicesError, sign_next};
use crate::home::{Home, HomeError};
use crate::household::clock::{Clock, WallClock, machine_clock};
use crate::household::invite::Invited;
use crate::household::post::{POLL_INTERVAL, Post};
use crate::reach::host_of;
use crate::signaling::{Server, SignalingError, unix_seconds};

/// A device that an admin lets in.
pub struct LetIn<'a> {
    home: &'a mut Home,
    post: Post,
    clock: Clock,
    machine: Admin,
    /// Where the new device says it waits, when it showed a code.
    waits_at: Option<String>,
}

/// How an admin and a new device have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// By its code: nobody can be in between.
    Sure(Kind),
    /// By its number: the digits that it shows are to be typed ([`LetIn::type_digits`]).
    AskDigits,
}

/// Why a device was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LetInError {
    /// The enrolment failed; nothing was signed.
    #[error(transparent)]
    Enrolment(#[from] AdminError),
    /// The new device waits at another server.
    #[error(
        "the new device waits at {there}, but this household is at {here}: start `latchkey join --server {here}` there"
    )]
    Elsewhere {
        /// Where it waits.
        there: String,
        /// Where the household is.
        here: String,
    },
    /// The list could not be signed or posted.
    #[error(transparent)]
    List(#[from] DevicesError),
    /// The vault or the server.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for LetInError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl<'a> LetIn<'a> {
    /// Begins with the code that a new device shows.
    ///
    /// Fails on a device that is no admin, and when the device cannot be let in on these terms.
    pub fn by_code(home: &'a mut Home, offer: &Offer, terms: Terms) -> Result<Self, LetInError> {
        Self::by_code_at(home, offer, terms, machine_clock)
    }

    /// As [`LetIn::by_code`], with another wall clock.
    pub fn by_code_at(
        home: &'a mut Home,
        offer: &Offer,
        terms: Terms,
        wall: WallClock,
    ) -> Result<Self, LetInError> {
        check_admin(home)?;
        let clock = Clock::start(wall);
        let machine = Admin::scan(offer, terms, clock.now())?;
        let post = Post::new(home.server().clone(), offer.mailbox());
        let waits_at = Some(offer.server().to_owned());
        Ok(Self { home, post, clock, machine, waits_at })
    }

    /// Begins with the number that a new device shows.
    ///
    /// Fails like [`LetIn::by_code`].
    pub fn by_number(home: &'a mut Home, number: PairingNumber, terms: Terms) -> Result<Self, LetInError> {
        check_admin(home)?;
        let clock = Clock::start(machine_clock);
        let machine = Admin::dial(number, terms, clock.now())?;
        let post = Post::new(home.server().clone(), number.mailbox());
        Ok(Self { home, post, clock, machine, waits_at: None })
    }

    /// Waits for the new device, which should be there already.
    pub async fn meet(&mut self) -> Result<Met, LetInError> {
        let ends = Instant::now() + MEETING_PATIENCE;
        loop {
            match self.turn().await? {
                AdminStage::Ready(kind) => return Ok(Met::Sure(kind)),
                AdminStage::Comparing => return Ok(Met::AskDigits),
                _ if Instant::now() >= ends => return Err(self.given_up()),
                _ => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Takes the digits that the user reads on the new device.
    pub fn type_digits(&mut self, typed: &str) -> Typed {
        self.machine.type_digits(typed, self.clock.now())
    }

    /// Invites the device and waits for its confirmation; returns the digits for a last glance at both screens.
    ///
    /// By number its user has to say yes there first, so it waits as long as the number is good. Nothing is signed yet.
    pub async fn invite(self) -> Result<Accepted<'a>, LetInError> {
        let Self { home, post, clock, mut machine, waits_at } = self;
        let signaling = home.signaling();
        home.refresh(&signaling).await?;
        let head = home.chain().head().ok_or(HomeError::NotListed)?.version();
        let household = Household {
            root_public: *home.chain().root_public(),
            label_key: home.label_key(),
            admin: home.device(),
            head,
        };
        let invitation = machine.invite(&household, clock.now())?;
        post.write(invitation).await?;
        let patience = if waits_at.is_some() { ANSWER_PATIENCE } else { latchkey_e2ee::enrol::LIFETIME };
        let ends = Instant::now() + patience;
        let mut this = Self { home, post, clock, machine, waits_at };
        while this.turn().await? != AdminStage::Confirmed {
            if Instant::now() >= ends {
                return Err(this.given_up());
            }
            sleep(POLL_INTERVAL).await;
        }
        let confirmed = this.machine.confirmed()?;
        Ok(Accepted { home: this.home, post: this.post, confirmed })
    }

    async fn turn(&mut self) -> Result<AdminStage, LetInError> {
        let mails = self.post.read().await?;
        let now = self.clock.now();
        self.machine.tick(now);
        for mail in mails {
            if let Some(post) = self.machine.receive(&mail, now) {
                self.post.write(post).await?;
            }
        }
        match self.machine.stage() {
            AdminStage::Failed(error) => Err(self.explained(error)),
            stage => Ok(stage),
        }
    }

    fn given_up(&mut self) -> LetInError {
        self.machine.give_up();
        match self.machine.stage() {
            AdminStage::Failed(error) => self.explained(error),
            _ => AdminError::NoAnswer.into(),
        }
    }

    /// Nobody is there because it waits elsewhere: that is worth more words.
    fn explained(&self, error: AdminError) -> LetInError {
        let here = self.home.server();
        let there = self.waits_at.as_deref().and_then(|server| Server::new(server).ok());
        match there {
            Some(there)
                if error == AdminError::NobodyThere && host_of(there.url()) != host_of(here.url()) =>
            {
                LetInError::Elsewhere { there: there.url().to_string(), here: here.url().to_string() }
            }
            _ => error.into(),
        }
    }
}

impl std::fmt::Debug for LetIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LetIn").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// A device that has accepted; the list is still to be signed.
pub struct Accepted<'a> {
    home: &'a mut Home,
    post: Post,
    confirmed: latchkey_e2ee::enrol::Confirmed,
}

impl Accepted<'_> {
    /// The digits that both screens may show as a last glance.
    pub fn digits(&self) -> Digits {
        self.confirmed.digits()
    }

    /// Signs and posts the list that names the device, and tells it.
    pub async fn sign(self) -> Result<Invited, LetInError> {
        let Self { home, post, confirmed } = self;
        let signed = enlist(home, confirmed.public(), confirmed.terms()).await;
        let version = match &signed {
            Ok(invited) => Some(invited.list_version),
            // The server may have taken the list: the device looks by itself.
            Err(DevicesError::Home(HomeError::Signaling(error))) if error.is_passing() => return Ok(signed?),
            Err(_) => None,
        };
        if let Err(error) = post.write(confirmed.verdict(version)).await {
            tracing::info!(%error, "the new device was not told, it will look by itself");
        }
        Ok(signed?)
    }
}

impl std::fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}

/// Signs and posts the list that names a device on these terms.
pub(super) async fn enlist(
    home: &mut Home,
    public: &DevicePublic,
    terms: &Terms,
) -> Result<Invited, DevicesError> {
    let signaling = home.signaling();
    let device: DeviceId = public.device;
    let signed = sign_next(home, &signaling, Reason::Added, |home, draft| {
        let label = seal_label(home.label_key(), home.household(), device, &terms.name)?;
        Ok(draft.with(terms.entry(public, unix_seconds(), label))?)
    })
    .await?;
    Ok(Invited { device, list_version: signed.list.version })
}

pub(super) fn check_admin(home: &Home) -> Result<(), DevicesError> {
    if home.role()? == Role::Admin { Ok(()) } else { Err(DevicesError::NotAdmin) }
}

/// How long nobody may be behind a code or number.
const MEETING_PATIENCE: Duration = Duration::from_secs(8);
/// How long a device that showed a code may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
