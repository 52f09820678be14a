//! Keeps a viewer connected to the camera's room: a fresh grant each time, again when packets stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_household::backoff::Backoff;
use latchkey_household::event::Teller;
use latchkey_household::signaling::{Signaling, SignalingError};
use latchkey_household::story::Step;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::door::relay_door;
use crate::transport::webrtc::{Incoming, Subscriber};
use crate::transport::{IncomingPacket, LinkEvent, TransportError};

/// What a link needs.
pub(super) struct Link {
    pub(super) signaling: Signaling,
    pub(super) camera: DeviceId,
    pub(super) teller: Arc<Teller>,
    pub(super) counters: Arc<LinkCounters>,
    pub(super) stop: CancellationToken,
}

/// What a link counts.
#[derive(Default)]
pub(super) struct LinkCounters {
    pub(super) reconnects: AtomicU64,
    pub(super) overflow: AtomicU64,
}

/// What a link hands on.
pub(super) enum Arrival {
    /// A packet.
    Packet(IncomingPacket),
    /// A new connection: numbers start anew.
    NewConnection,
}

/// The connection of the moment, `None` while there is none.
pub(super) type Line = watch::Receiver<Option<Arc<Subscriber>>>;

/// Why a connection ended or never was.
enum End {
    /// There was one; it is lost.
    Lost(String),
    /// There was none; the next try may wait longer each time.
    None,
    /// The camera does not send: look again soon.
    NotSending,
}

impl Link {
    /// Runs until stopped, or until nobody takes the packets.
    pub(super) async fn run(
        self,
        line: watch::Sender<Option<Arc<Subscriber>>>,
        arrivals: mpsc::Sender<Arrival>,
    ) {
        let mut backoff = Backoff::new();
        let mut looks = 0;
        while !self.stop.is_cancelled() && !arrivals.is_closed() {
            let end = tokio::select! {
                end = self.connect_once(&line, &arrivals, &mut backoff) => end,
                () = self.stop.cancelled() => break,
            };
            line.send_replace(None);
            looks = if matches!(end, End::NotSending) { looks + 1 } else { 0 };
            let pause = async {
                match end {
                    End::Lost(reason) => {
                        self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
                        self.teller.again_from(Step::Relay, &reason);
                    }
                    // A camera that is just starting is met soon.
                    End::NotSending => sleep((LOOK_AGAIN / 4 * looks).min(LOOK_AGAIN)).await,
                    End::None => backoff.wait().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.stop.cancelled() => break,
            }
        }
        if let Some(subscriber) = line.send_replace(None) {
            subscriber.close().await;
        }
    }

    async fn connect_once(
        &self,
        line: &watch::Sender<Option<Arc<Subscriber>>>,
        arrivals: &mpsc::Sender<Arrival>,
        backoff: &mut Backoff,
    ) -> End {
        let opened = match self.signaling.open_session(self.camera, SessionScope::View).await {
            Ok(opened) => opened,
            Err(error) => {
                if matches!(error, SignalingError::Unreachable { .. }) {
                    self.teller.trying(Step::Signalling, &error.to_string());
                }
                self.teller.trying(Step::Relay, &error.to_string());
                return End::None;
            }
        };
        self.teller.done(Step::Signalling);
        let knocked = match relay_door(opened, SessionScope::View) {
            Ok(door) => Subscriber::connect(self.signaling.server().http().clone(), door).await,
            Err(error) => Err(error),
        };
        let (subscriber, mut incoming) = match knocked {
            Ok(connected) => connected,
            Err(error) => return self.refused(&error),
        };
        self.teller.done(Step::Relay);
        backoff.reset();
        let subscriber = Arc::new(subscriber);
        line.send_replace(Some(Arc::clone(&subscriber)));
        let end = self.carry(&mut incoming, arrivals).await;
        self.counters.overflow.fetch_add(subscriber.overflow(), Ordering::Relaxed);
        line.send_replace(None);
        subscriber.close().await;
        end
    }

    fn refused(&self, error: &TransportError) -> End {
        if error.is_no_publisher() {
            self.teller.trying(Step::Relay, "the camera is not sending now");
            return End::NotSending;
        }
        self.teller.trying(Step::Relay, &error.to_string());
        End::None
    }

    /// Hands packets on until the connection ends or goes silent.
    async fn carry(&self, incoming: &mut Incoming, arrivals: &mpsc::Sender<Arrival>) -> End {
        if arrivals.send(Arrival::NewConnection).await.is_err() {
            return End::None;
        }
        let mut patience = Patience::begin(Instant::now());
        loop {
            tokio::select! {
                biased;
                packet = incoming.packets.recv() => {
                    let Some(packet) = packet else {
                        return End::Lost("the connection ended".to_owned());
                    };
                    patience.packet(Instant::now());
                    self.teller.done(Step::FirstPacket);
                    if arrivals.send(Arrival::Packet(packet)).await.is_err() {
                        return End::None;
                    }
                }
                event = incoming.events.recv() => match event {
                    Some(LinkEvent::PathFound) => {
                        self.teller.done(Step::Ice);
                    }
                    Some(LinkEvent::Secured) => {
                        self.teller.done(Step::Ice);
                        self.teller.done(Step::Dtls);
                        patience.secured(Instant::now());
                    }
                    Some(LinkEvent::Closed) | None => {
                        return End::Lost("the relay closed the connection".to_owned());
                    }
                    Some(_) => {}
                },
                () = sleep_until(patience.ends()) => {
                    if !patience.is_over(Instant::now()) {
                        continue;
                    }
                    let reason = patience.reason();
                    if let Some(step) = self.teller.story().open_step() {
                        self.teller.trying(step, &reason);
                    }
                    return End::Lost(reason);
                }
            }
        }
    }
}

/// How long to wait for the next packet: a second, or longer with a camera that sends rarely.
struct Patience {
    since: Instant,
    live: bool,
    secured: bool,
    /// Longest gap seen lately, fading.
    gap: Duration,
    /// When it ends at last, after it has ended once.
    second_look: Option<Instant>,
}

impl Patience {
    fn begin(now: Instant) -> Self {
        Self { since: now, live: false, secured: false, gap: Duration::ZERO, second_look: None }
    }

    fn secured(&mut self, now: Instant) {
        self.secured = true;
        if !self.live {
            self.since = now;
            self.second_look = None;
        }
    }

    fn packet(&mut self, now: Instant) {
        if self.live {
            self.gap = (self.gap - self.gap / 64).max(now - self.since);
        }
        self.live = true;
        self.since = now;
        self.second_look = None;
    }

    /// Whether it is over at the time that [`ends`](Self::ends) named. Not at the first: of a machine that stood still it is
    /// not known whether packets came meanwhile before somebody had the time to read them.
    fn is_over(&mut self, now: Instant) -> bool {
        self.second_look.replace(now + SECOND_LOOK).is_some()
    }

    fn ends(&self) -> Instant {
        if let Some(second_look) = self.second_look {
            return second_look;
        }
        let limit = match (self.live, self.secured) {
            (true, _) => (self.gap * 3).clamp(SILENCE, LONGEST_SILENCE),
            (false, true) => FIRST_PACKET_LIMIT,
            (false, false) => SECURED_LIMIT,
        };
        self.since + limit
    }

    fn reason(&self) -> String {
        let seconds = (Instant::now() - self.since).as_secs_f64();
        match (self.live, self.secured) {
            (true, _) => format!("no packet for {seconds:.1} s"),
            (false, true) => format!("no packet within {seconds:.0} s of connecting"),
            (false, false) => format!("no answer over UDP within {seconds:.0} s"),
        }
    }
}

/// Silence after which a live session is made anew, for a camera with at least 3 pictures a second.
const SILENCE: Duration = Duration::from_secs(1);
/// The same for the slowest camera.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);
/// How long what came while nobody could look may take to be seen.
const SECOND_LOOK: Duration = Duration::from_millis(250);
/// How long the first packet may take after the connection is up.
const FIRST_PACKET_LIMIT: Duration = Duration::from_secs(5);
/// How long ICE and DTLS may take together.
const SECURED_LIMIT: Duration = Duration::from_secs(10);
/// How long until it is looked again whether the camera sends.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_camera_is_waited_for_longer() {
        let mut now = Instant::now();
        let mut patience = Patience::begin(now);
        assert_eq!(patience.ends() - now, SECURED_LIMIT);
        patience.secured(now);
        assert_eq!(patience.ends() - now, FIRST_PACKET_LIMIT);
        for _ in 0..50 {
            patience.packet(now);
            now += Duration::from_millis(40);
        }
        patience.packet(now);
        assert_eq!(patience.ends() - now, SILENCE);
        for _ in 0..3 {
            now += Duration::from_secs(1);
            patience.packet(now);
        }
        assert_eq!(patience.ends() - now, Duration::from_secs(3));
    }

    #[test]
    fn a_machine_that_stood_still_looks_before_it_gives_up() {
        let mut patience = Patience::begin(Instant::now());
        let mut now = Instant::now();
        patience.packet(now);
        for silent in [false, true] {
            // Two seconds after its end, as nothing ran meanwhile.
            now = patience.ends() + Duration::from_secs(2);
            assert!(!patience.is_over(now));
            assert_eq!(patience.ends(), now + SECOND_LOOK);
            if !silent {
                patience.packet(now + SECOND_LOOK / 2);
                assert!(patience.ends() > now + SILENCE);
            }
        }
        assert!(patience.is_over(patience.ends()), "nothing came");
    }
}
