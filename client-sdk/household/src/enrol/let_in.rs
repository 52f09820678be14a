//! The admin's side of an enrolment: meet the new device, invite it, and sign the list once it has confirmed.

use std::time::Duration;

use latchkey_e2ee::enrol::{
    Admin, AdminError, AdminStage, Digits, Household, Kind, Offer, PairingNumber, Terms, Typed,
};

use crate::clock::{Instant, sleep};
use crate::devices::DevicesError;
use crate::enrol::clock::{Clock, WallClock, machine_clock};
use crate::enrol::enlist::{Invited, check_admin, enlist};
use crate::enrol::post::{POLL_INTERVAL, Post};
use crate::home::{Home, HomeError};
use crate::reach::host_of;
use crate::signaling::{Server, SignalingError};

/// A device that an admin lets in.
pub struct LetIn {
    server: Server,
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
    #[error("the new device waits at {there}, but this household is at {here}: have it join at {here}")]
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

impl LetIn {
    /// Begins with the code that a new device shows.
    ///
    /// Fails on a device that is no admin, and when the device cannot be let in on these terms.
    pub fn by_code(home: &Home, offer: &Offer, terms: Terms) -> Result<Self, LetInError> {
        Self::by_code_at(home, offer, terms, machine_clock)
    }

    /// As [`LetIn::by_code`], with another wall clock.
    pub fn by_code_at(home: &Home, offer: &Offer, terms: Terms, wall: WallClock) -> Result<Self, LetInError> {
        check_admin(home)?;
        let clock = Clock::start(wall);
        let machine = Admin::scan(offer, terms, clock.now())?;
        let (server, waits_at) = (home.server().clone(), Some(offer.server().to_owned()));
        let post = Post::new(server.clone(), offer.mailbox());
        Ok(Self { server, post, clock, machine, waits_at })
    }

    /// Begins with the number that a new device shows.
    ///
    /// Fails like [`LetIn::by_code`].
    pub fn by_number(home: &Home, number: PairingNumber, terms: Terms) -> Result<Self, LetInError> {
        check_admin(home)?;
        let clock = Clock::start(machine_clock);
        let machine = Admin::dial(number, terms, clock.now())?;
        let server = home.server().clone();
        let post = Post::new(server.clone(), number.mailbox());
        Ok(Self { server, post, clock, machine, waits_at: None })
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

    /// Invites the device. Nothing is signed yet.
    pub async fn invite(&mut self, home: &mut Home) -> Result<(), LetInError> {
        let signaling = home.signaling();
        home.refresh(&signaling).await?;
        let head = home.chain().head().ok_or(HomeError::NotListed)?.version();
        let household = Household {
            root_public: *home.chain().root_public(),
            label_key: home.label_key(),
            admin: home.device(),
            head,
        };
        let invitation = self.machine.invite(&household, self.clock.now())?;
        Ok(self.post.write(invitation).await?)
    }

    /// Waits for the confirmation of the device that was invited, which then only waits for the list.
    ///
    /// By number its user has to say yes there first, so it waits as long as the number is good. Nothing is signed yet.
    pub async fn accepted(mut self) -> Result<Accepted, LetInError> {
        let patience = if self.waits_at.is_some() { ANSWER_PATIENCE } else { latchkey_e2ee::enrol::LIFETIME };
        let ends = Instant::now() + patience;
        while self.turn().await? != AdminStage::Confirmed {
            if Instant::now() >= ends {
                return Err(self.given_up());
            }
            sleep(POLL_INTERVAL).await;
        }
        let confirmed = self.machine.confirmed()?;
        Ok(Accepted { post: self.post, confirmed })
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
        let here = &self.server;
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

impl std::fmt::Debug for LetIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LetIn").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// A device that has accepted; the list is still to be signed.
pub struct Accepted {
    post: Post,
    confirmed: latchkey_e2ee::enrol::Confirmed,
}

impl Accepted {
    /// The digits that both screens may show as a last glance.
    pub fn digits(&self) -> Digits {
        self.confirmed.digits()
    }

    /// Signs and posts the list that names the device, and tells it.
    pub async fn sign(self, home: &mut Home) -> Result<Invited, LetInError> {
        let Self { post, confirmed } = self;
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

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}

/// How long nobody may be behind a code or number.
const MEETING_PATIENCE: Duration = Duration::from_secs(8);
/// How long a device that showed a code may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
