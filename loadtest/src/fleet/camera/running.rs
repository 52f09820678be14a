//! A camera in the thread that drives it: what is due, what the server says, what leaves.

use std::time::{Duration, Instant, SystemTime};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::seal::SealError;
use latchkey_relay::batch::{Receiver, SendArena};

use crate::fleet::CameraId;
use crate::fleet::camera::frames::{FrameError, Frames};
use crate::fleet::camera::outlet::Counting;
use crate::fleet::camera::schedule::Schedule;
use crate::fleet::camera::{CameraState, NewCamera};
use crate::fleet::content::{Pace, Stamp};
use crate::fleet::peer::{Outgoing, Peer, PeerError, PeerEvent};
use crate::measure::tally::CameraTally;

/// Why a camera sends no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CameraError {
    #[error("the server closed the connection")]
    Closed,
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the new keys cannot be used: {0}")]
    Keys(#[from] SealError),
}

/// What a thread lends to the camera whose turn it is.
pub(crate) struct Tools {
    pub(crate) receiver: Receiver,
    pub(crate) arena: SendArena,
}

/// A camera in its thread.
pub(crate) struct Camera {
    pub(crate) id: CameraId,
    pub(crate) peer: Peer,
    frames: Frames,
    schedule: Schedule,
    pace: Pace,
    sequence: u64,
    /// Number of the next frame.
    number: u64,
    begun: bool,
    /// The rest of a frame whose packets are spread: the next packet, and when the first one left.
    rest: Option<(usize, Instant)>,
    held_until: Option<Instant>,
    key_wanted: bool,
    key_given: Option<Instant>,
    heard: Heard,
    tally: CameraTally,
    due: Option<Instant>,
    ended: Option<String>,
}

/// What the server said since it was looked at last.
#[derive(Default)]
struct Heard {
    connected: bool,
    /// Nothing has come from the server for so long that ICE gave it up.
    lost: bool,
    closed: bool,
    plis: u64,
}

impl Heard {
    fn hear(&mut self, event: &PeerEvent) {
        match event {
            PeerEvent::Connected => self.connected = true,
            PeerEvent::Disconnected => self.lost = true,
            PeerEvent::Closed => self.closed = true,
            PeerEvent::KeyFrameWanted => self.plis += 1,
            _ => {}
        }
    }
}

impl Camera {
    /// Returns a camera whose frame 0 would have been due at `zero`, which need not be now.
    pub(crate) fn new(id: CameraId, new: NewCamera, zero: Instant) -> Self {
        let NewCamera { peer, sealing, content, shape } = new;
        let shape = content.shape(shape);
        let heard = Heard { connected: peer.is_connected(), ..Heard::default() };
        let due = Some(peer.due());
        Self {
            id,
            peer,
            frames: Frames::new(content, sealing, &shape),
            schedule: Schedule::new(zero, shape.fps),
            pace: shape.pace,
            sequence: 1,
            number: 0,
            begun: false,
            rest: None,
            held_until: None,
            key_wanted: true,
            key_given: None,
            heard,
            tally: CameraTally::default(),
            due,
            ended: None,
        }
    }

    /// Returns when it is its turn, whatever its socket holds; `None` when it has ended. Asked for every camera in every
    /// round, so it is only looked up.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes what its socket holds.
    pub(crate) fn hear(&mut self, tools: &mut Tools) {
        if self.is_ended() {
            return;
        }
        let done = self.take_in(tools);
        self.count_plis();
        self.end_on(done);
    }

    /// Lets its time pass, and sends what is due.
    pub(crate) fn turn(&mut self, now: Instant, tools: &mut Tools) {
        if self.is_ended() {
            return;
        }
        let done = self.pass_time(now, tools).and_then(|()| self.send_due(now, tools));
        self.count_plis();
        self.end_on(done);
    }

    /// Seals the next frame, and all after it, with these keys; a hold ends.
    pub(crate) fn rekey(&mut self, keys: &EpochKeys, now: Instant) {
        self.hold(false, now);
        let done = self.frames.rekey(keys).map_err(CameraError::from);
        self.end_on(done);
    }

    /// Lets no frame begin until told otherwise, or until a second has passed.
    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        if held {
            self.held_until = Some(now + LONGEST_HOLD);
        } else if self.held_until.is_some() {
            self.held_until = Some(now);
        }
        self.look_ahead();
    }

    /// Says goodbye to the server.
    pub(crate) fn close(&mut self, tools: &mut Tools) {
        self.peer.close(&mut tools.arena);
        self.peer.send(&mut tools.arena);
    }

    /// Ends a camera that this machine has no means for.
    pub(crate) fn give_up(&mut self, error: std::io::Error) {
        self.end_on(Err(PeerError::Socket(error).into()));
    }

    /// Returns what it counted since this was asked last.
    pub(crate) fn take(&mut self) -> CameraTally {
        std::mem::take(&mut self.tally)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.heard.connected && !self.heard.lost && !self.is_ended()
    }

    pub(crate) fn state(&self) -> CameraState {
        CameraState {
            id: self.id,
            connected: self.is_sending(),
            srtp: self.peer.srtp(),
            frames: self.number,
            epoch: self.frames.epoch(),
            ended: self.ended.clone(),
        }
    }

    /// When it has something to send; never before it is connected.
    fn media_due(&self) -> Option<Instant> {
        if !self.heard.connected {
            return None;
        }
        match self.rest {
            Some((index, began)) => Some(began + self.packet_offset(index)),
            None => Some(self.held_until.map_or(self.schedule.due(), |until| until.max(self.schedule.due()))),
        }
    }

    /// Takes in all that came, and answers: what is asked for again leaves here.
    fn take_in(&mut self, tools: &mut Tools) -> Result<(), CameraError> {
        let heard = &mut self.heard;
        let mut out = Counting::new(&mut tools.arena, self.peer.payload_type(), &mut self.tally);
        loop {
            let messages = tools.receiver.receive(self.peer.socket()).map_err(PeerError::from)?;
            heard.lost &= messages == 0;
            for datagram in tools.receiver.datagrams() {
                let (source, bytes) = (datagram.route.remote, &*datagram.bytes);
                // When it came matters to viewers only.
                self.peer.take_in(bytes, source, SystemTime::UNIX_EPOCH, &mut out, &mut |event| {
                    heard.hear(&event);
                })?;
            }
            if messages < Receiver::SLOTS {
                break;
            }
        }
        self.peer.send(&mut tools.arena);
        Ok(())
    }

    fn pass_time(&mut self, now: Instant, tools: &mut Tools) -> Result<(), CameraError> {
        let heard = &mut self.heard;
        let mut out = Counting::new(&mut tools.arena, self.peer.payload_type(), &mut self.tally);
        self.peer.pass_time(now, &mut out, &mut |event| heard.hear(&event))?;
        self.peer.send(&mut tools.arena);
        Ok(())
    }

    /// Sends frames and packets until none is due.
    fn send_due(&mut self, now: Instant, tools: &mut Tools) -> Result<(), CameraError> {
        while let Some(due) = self.media_due().filter(|due| *due <= now) {
            match self.rest {
                Some(rest) => self.send_one(rest, due, tools)?,
                None => self.begin_frame(now, tools)?,
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self, now: Instant, tools: &mut Tools) -> Result<(), CameraError> {
        let begins = !std::mem::replace(&mut self.begun, true);
        if self.held_until.take().is_some() || begins {
            self.schedule.skip_to(now);
            if self.schedule.due() > now {
                return Ok(());
            }
        }
        let (due, timestamp) = self.schedule.next(now);
        let key = self.key_is_given(now);
        let (number, spacing) = (self.number, self.spacing());
        let (began, born_ns) = (Instant::now(), Stamp::nanoseconds(SystemTime::now()));
        let stamp = |packets: u16| Stamp { number, born_ns, pace_ns: spacing(packets), packets };
        self.frames.make(key, timestamp, stamp)?;
        self.number += 1;
        self.tally.frames += 1;
        match self.pace {
            Pace::Burst => {
                for index in 0..self.frames.packets() {
                    self.write(index)?;
                }
                self.flush(due, tools)
            }
            Pace::Spread => self.send_one((0, began), due, tools),
        }
    }

    /// Sends one packet of a frame that is spread and began at that moment.
    fn send_one(
        &mut self,
        (index, began): (usize, Instant),
        due: Instant,
        tools: &mut Tools,
    ) -> Result<(), CameraError> {
        self.write(index)?;
        self.rest = (index + 1 < self.frames.packets()).then_some((index + 1, began));
        self.flush(due, tools)
    }

    fn write(&mut self, index: usize) -> Result<(), CameraError> {
        let (timestamp, payload) = self.frames.packet(index);
        let marker = index + 1 == self.frames.packets();
        self.peer.write(Outgoing { sequence: self.sequence, timestamp, marker, payload })?;
        self.sequence += 1;
        Ok(())
    }

    /// Sends what was written and was due at `due`.
    fn flush(&mut self, due: Instant, tools: &mut Tools) -> Result<(), CameraError> {
        let before = self.tally.packets;
        let heard = &mut self.heard;
        let mut out = Counting::new(&mut tools.arena, self.peer.payload_type(), &mut self.tally);
        self.peer.seal(&mut out, &mut |event| heard.hear(&event))?;
        if due.elapsed() > LATE {
            self.tally.late += self.tally.packets - before;
        }
        self.peer.send(&mut tools.arena);
        Ok(())
    }

    /// Whether the frame that is due now shall be a key frame because it was asked for.
    fn key_is_given(&mut self, now: Instant) -> bool {
        let soon = self.key_given.is_some_and(|given| now.saturating_duration_since(given) < KEY_FRAME_EVERY);
        let given = self.key_wanted && !soon;
        if given {
            (self.key_wanted, self.key_given) = (false, Some(now));
        }
        given
    }

    fn packet_offset(&self, index: usize) -> Duration {
        Duration::from_nanos(u64::from(self.spacing()(self.frames.packets() as u16))) * index as u32
    }

    /// From packet to packet of a frame of so many, nanoseconds.
    fn spacing(&self) -> impl Fn(u16) -> u32 + use<> {
        let frame = match self.pace {
            Pace::Burst => Duration::ZERO,
            Pace::Spread => self.schedule.frame_time(),
        };
        move |packets| (frame.as_nanos() / u128::from(packets.max(1))) as u32
    }

    fn count_plis(&mut self) {
        let asked = std::mem::take(&mut self.heard.plis);
        self.tally.plis += asked;
        self.key_wanted |= asked > 0;
    }

    fn end_on(&mut self, done: Result<(), CameraError>) {
        let done = if self.heard.closed || !self.peer.is_alive() { Err(CameraError::Closed) } else { done };
        if let Err(error) = done
            && self.ended.is_none()
        {
            self.ended = Some(error.to_string());
        }
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        let engine = self.peer.due();
        let due = self.media_due().map_or(engine, |media| media.min(engine));
        self.due = (!self.is_ended()).then_some(due);
    }
}

/// A removal's commit that is not answered within this time is not waited for.
const LONGEST_HOLD: Duration = Duration::from_secs(1);
const KEY_FRAME_EVERY: Duration = Duration::from_secs(1);
/// A packet that leaves so long after its time was sent by a driver that is too slow.
const LATE: Duration = Duration::from_millis(2);
