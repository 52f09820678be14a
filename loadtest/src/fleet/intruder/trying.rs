//! The intruder at the door: one trick after the other, and what came of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::door::{Answer, Door, DoorError};
use crate::fleet::intruder::trick::{Request, Trick};
use crate::fleet::intruder::{Grants, IntruderError, RealGrant, Seen, lock};
use crate::fleet::peer::{Peer, PeerOptions, Way};

/// A real grant serves several tricks that do not use it up, for so long.
const FRESH: Duration = Duration::from_secs(20);
/// Real grants that are kept until their minute is over.
const MOST_OLD: usize = 4;

/// Somebody with an offer and no business here.
pub(crate) struct Burglar {
    door: Door,
    /// All requests have the same offer: none should get as far as its media.
    offer: String,
    /// Keeps the port of the offer.
    _peer: Peer,
    at_hand: Option<(RealGrant, Instant)>,
    old: VecDeque<RealGrant>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    LetIn,
    Refused(String),
    Unanswered,
}

impl Burglar {
    pub(crate) fn new(door: Door) -> Result<Self, IntruderError> {
        let (peer, offer) = Peer::offer(Way::View, &PeerOptions::default())?;
        Ok(Self { door, offer: offer.sdp, _peer: peer, at_hand: None, old: VecDeque::new() })
    }

    /// Knocks once. Whoever is let in goes at once, so that the next one finds the same house.
    pub(crate) async fn knock(&self, request: &Request) -> Knock {
        let bearer = request.bearer.as_ref().map(|bearer| bearer.as_str());
        match self.door.post(&request.url, bearer, self.offer.clone()).await {
            Ok(Answer { resource, .. }) => {
                if let Some(resource) = resource {
                    // A session that nobody connects to ends by itself soon enough.
                    let _ = self.door.delete(&resource, bearer).await;
                }
                Knock::LetIn
            }
            Err(DoorError::Refused { status, code, .. }) => {
                Knock::Refused(if code == "http" { format!("http {status}") } else { code })
            }
            // Words that are no SDP open no media either, but it was a yes.
            Err(DoorError::NotSdp { .. }) => Knock::LetIn,
            Err(_) => Knock::Unanswered,
        }
    }

    /// Returns whether it has a grant that is over; keeps some until they are.
    async fn has_old(&mut self, grants: &Grants) -> bool {
        if self.old.len() < MOST_OLD
            && let Some(grant) = grants().await
        {
            self.old.push_back(grant);
        }
        let now = SystemTime::now();
        self.old.front().is_some_and(|grant| grant.is_over(now).unwrap_or(true))
    }

    /// Plays one trick; `None` when it cannot be played now: there is no real grant, or none that is over.
    pub(crate) async fn play(&mut self, trick: Trick, grants: &Grants) -> Option<Knock> {
        match trick {
            Trick::Expired => {
                let over = self.old.pop_front()?;
                Some(self.knock(&over.turned(trick)?).await)
            }
            Trick::UsedTwice => {
                let grant = grants().await?;
                let request = grant.turned(trick)?;
                // The first time it is a guest. Where it is not let in then, the second time shows nothing.
                (self.knock(&request).await == Knock::LetIn).then_some(())?;
                Some(self.knock(&request).await)
            }
            _ => {
                if self.at_hand.as_ref().is_none_or(|(_, since)| since.elapsed() > FRESH) {
                    self.at_hand = grants().await.map(|grant| (grant, Instant::now()));
                }
                let (grant, _) = self.at_hand.as_ref()?;
                Some(self.knock(&grant.turned(trick)?).await)
            }
        }
    }
}

/// Plays tricks at that rate until it is aborted.
pub(crate) async fn run(mut burglar: Burglar, grants: Grants, per_second: f64, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second).max(Duration::from_micros(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for trick in Trick::ALL.into_iter().cycle() {
        if trick == Trick::Expired && !burglar.has_old(&grants).await {
            continue;
        }
        ticks.tick().await;
        if let Some(knock) = burglar.play(trick, &grants).await {
            note(&seen, trick, knock);
        }
    }
}

fn note(seen: &Mutex<Seen>, trick: Trick, knock: Knock) {
    let mut seen = lock(seen);
    seen.since_taken.bad_grants += 1;
    seen.since_taken.let_in += u64::from(knock == Knock::LetIn);
    let outcome = seen.outcomes.entry(trick).or_default();
    outcome.tried += 1;
    match knock {
        Knock::LetIn => outcome.let_in += 1,
        Knock::Refused(code) => *outcome.refused.entry(code).or_default() += 1,
        Knock::Unanswered => outcome.unanswered += 1,
    }
}
