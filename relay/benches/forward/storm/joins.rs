//! Posts the storm's offers at their times, and reads the relay's clock around it.

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use latchkey_e2ee::open::FrameOpener;
use str0m::change::SdpPendingOffer;
use str0m::media::Direction;
use tokio::runtime::Runtime;

use super::audience::Member;
use super::histogram;
use super::joiner::Joiner;
use crate::keys::Keys;
use crate::peer::Peer;
use crate::relay_child::RelayChild;

/// All joins are posted within it.
const SPREAD: Duration = Duration::from_secs(1);

/// Offers that wait to be posted.
pub(super) struct Joins(Vec<Offered>);

struct Offered {
    peer: Peer,
    offer: String,
    pending: SdpPendingOffer,
    opener: FrameOpener,
}

/// CPU time of the relay, and how its door did.
pub(super) struct Spent {
    /// When the storm began.
    pub(super) begun: Instant,
    /// In the steady window.
    pub(super) steady: Duration,
    /// In the storm's window, which is as long.
    pub(super) storm: Duration,
    /// Grant posted to answer there, microseconds.
    pub(super) posts: Histogram<u64>,
}

impl Joins {
    /// Makes clients and offers ahead of the storm: their keys and certificates are no part of it.
    pub(super) fn prepare(count: usize, keys: &mut Keys) -> anyhow::Result<Self> {
        let offered = (0..count).map(|_| {
            let (peer, offer, pending) = Peer::offer(Direction::RecvOnly)?;
            Ok(Offered { peer, offer, pending, opener: keys.opener()? })
        });
        offered.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Waits for the steady window's begin, posts the storm behind it, and hands the clients to the drivers behind `doors`.
    pub(super) fn post(
        self,
        // The client keeps connections in the runtime that opened them, so this is the one that posted the watchers' offers.
        (child, runtime): (&RelayChild, &Runtime),
        begun: &Receiver<Instant>,
        window: Duration,
        doors: &[Sender<Member<Joiner>>],
    ) -> anyhow::Result<Spent> {
        let steady_begun = begun.recv().context("the publisher did not begin")?;
        let before = child.cpu()?;
        let storm_begun = steady_begun + window;
        sleep_until(storm_begun);
        let between = child.cpu()?;
        let mut posts = histogram();
        let step = SPREAD / self.0.len().max(1) as u32;
        for (index, Offered { mut peer, offer, pending, opener }) in (0u32..).zip(self.0) {
            sleep_until(storm_begun + step * index);
            let (asked, posted) = (SystemTime::now(), Instant::now());
            let answer = runtime.block_on(child.post("whep", FIRST_DEVICE + index, offer))?;
            posts.saturating_record(posted.elapsed().as_micros() as u64);
            peer.accept(pending, &answer)?;
            let member = Member { peer, eyes: Joiner::new(opener, asked) };
            doors[index as usize % doors.len()].send(member).context("a driver ended early")?;
        }
        sleep_until(storm_begun + window);
        let after = child.cpu()?;
        Ok(Spent { begun: storm_begun, steady: between - before, storm: after - between, posts })
    }
}

fn sleep_until(when: Instant) {
    std::thread::sleep(when.saturating_duration_since(Instant::now()));
}

/// Above every watcher's.
const FIRST_DEVICE: u32 = 1 << 20;
