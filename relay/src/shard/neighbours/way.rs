//! The way from one shard to another: what goes into the ring between them, and when the other one is woken for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use crate::batch::Waker;
use crate::shard::neighbours::RING;
use crate::shard::neighbours::message::{Datagrams, Message};
use crate::shard::neighbours::pool::Pool;

/// Sends to one shard.
pub(super) struct Way {
    sender: SyncSender<Message>,
    waker: Waker,
    /// How often that shard looked at its rings.
    looks: Arc<AtomicU64>,
    /// Something was sent for which it must be woken.
    unwoken: bool,
    /// Messages that it may take when it wakes for something else, sent since [`wake_late`](Self::wake_late) looked.
    quiet: u32,
    /// Those before.
    lying: Option<Lying>,
    /// Datagrams that go with the next message.
    gathered: Option<Arc<Datagrams>>,
    /// One of them is urgent.
    pub(super) is_urgent: bool,
    /// Words that found the ring full.
    waiting: VecDeque<Message>,
}

/// Messages that lie in the ring and for which nobody was woken.
#[derive(Clone, Copy)]
struct Lying {
    messages: u32,
    /// How often the shard had looked when they were noticed.
    looks: u64,
    until: Instant,
}

impl Way {
    /// A way to the shard that `waker` wakes and that counts its looks in `looks`.
    pub(super) fn new(sender: SyncSender<Message>, waker: Waker, looks: Arc<AtomicU64>) -> Self {
        Self {
            sender,
            waker,
            looks,
            unwoken: false,
            quiet: 0,
            lying: None,
            gathered: None,
            is_urgent: false,
            waiting: VecDeque::new(),
        }
    }

    /// Sends what the other shard must be woken for. `false` when the ring is full.
    pub(super) fn send(&mut self, message: Message) -> bool {
        let sent = self.try_send(message);
        self.unwoken |= sent;
        sent
    }

    /// Sends what can wait until the other shard wakes for something else. `false` when the ring is full.
    pub(super) fn send_quietly(&mut self, message: Message) -> bool {
        let sent = self.try_send(message);
        self.quiet += u32::from(sent);
        sent
    }

    /// Sends what must not get lost, now or when there is room.
    pub(super) fn say(&mut self, message: Message) {
        self.waiting.push_back(message);
        self.say_waiting();
    }

    /// Whether words wait for room in the ring.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The buffer for a datagram of so many bytes; `None` when there is no room.
    pub(super) fn gathering(&mut self, len: usize, pool: &mut Pool<Datagrams>) -> Option<&mut Datagrams> {
        if self.gathered.as_ref().is_some_and(|gathered| !gathered.takes(len)) {
            self.send_gathered(pool);
        }
        if self.gathered.is_none() {
            let mut empty = pool.take()?;
            Arc::get_mut(&mut empty)?.clear();
            self.gathered = Some(empty);
        }
        self.gathered.as_mut().and_then(Arc::get_mut).filter(|gathered| gathered.takes(len))
    }

    /// Sends what was gathered; returns how many datagrams found no room.
    pub(super) fn send_gathered(&mut self, pool: &mut Pool<Datagrams>) -> usize {
        let is_urgent = std::mem::take(&mut self.is_urgent);
        let Some(gathered) = self.gathered.take() else { return 0 };
        let message = Message::Datagrams(Arc::clone(&gathered));
        let sent = if is_urgent { self.send(message) } else { self.send_quietly(message) };
        let lost = if sent { 0 } else { gathered.len() };
        pool.put(gathered);
        lost
    }

    /// Wakes the other shard if it got something urgent.
    pub(super) fn wake_if_urgent(&mut self) {
        self.say_waiting();
        if self.unwoken {
            self.wake();
        }
    }

    /// Wakes the other shard if it has not looked for too long at what was not urgent; returns when to call again.
    pub(super) fn wake_late(&mut self, now: Instant) -> Option<Instant> {
        let sent = std::mem::take(&mut self.quiet);
        if sent == 0 && self.lying.is_none() {
            return None;
        }
        // Either the look is seen here that is counted before it begins, or it sees what was sent before this.
        fence(Ordering::SeqCst);
        let looks = self.looks.load(Ordering::Relaxed);
        let lying = self.lying.take().filter(|lying| lying.looks == looks);
        if sent == 0 && lying.is_none() {
            return None;
        }
        let mut lying = lying.unwrap_or(Lying { messages: 0, looks, until: now + PATIENCE });
        lying.messages += sent;
        if now >= lying.until || lying.messages >= MOST_QUIET {
            self.wake();
            return None;
        }
        self.lying = Some(lying);
        Some(lying.until)
    }

    fn wake(&mut self) {
        (self.unwoken, self.quiet, self.lying) = (false, 0, None);
        self.waker.wake();
    }

    fn try_send(&mut self, message: Message) -> bool {
        // Nothing overtakes a word.
        self.say_waiting();
        self.waiting.is_empty() && self.sender.try_send(message).is_ok()
    }

    fn say_waiting(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            match self.sender.try_send(message) {
                Ok(()) => self.unwoken = true,
                Err(TrySendError::Full(message)) => {
                    self.waiting.push_front(message);
                    return;
                }
                // It has stopped: nobody listens any more.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

/// How long what is not urgent lies in the ring before it wakes anybody. Cameras send pictures more often than that.
const PATIENCE: Duration = Duration::from_millis(50);
/// Messages that lie there at most, so that there is room for urgent ones.
const MOST_QUIET: u32 = RING as u32 / 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::batch::{Socket, SocketOptions};

    struct Far {
        ring: Receiver<Message>,
        waker: Waker,
        looks: Arc<AtomicU64>,
        socket: Socket,
    }

    impl Far {
        fn is_woken(&self) -> bool {
            self.socket.wait(&self.waker, Some(Duration::ZERO)).woken
        }

        fn look(&self) -> usize {
            self.looks.fetch_add(1, Ordering::SeqCst);
            self.ring.try_iter().count()
        }
    }

    fn connected() -> (Way, Far) {
        let (sender, ring) = sync_channel(RING);
        let (waker, looks) = (Waker::new().unwrap(), Arc::default());
        let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default()).unwrap();
        (Way::new(sender, waker.clone(), Arc::clone(&looks)), Far { ring, waker, looks, socket })
    }

    fn news() -> Message {
        Message::Learnt(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }

    #[test]
    fn what_is_urgent_wakes_at_once_and_takes_along_what_is_not() {
        let (mut way, far) = connected();
        let now = Instant::now();
        assert!(way.send_quietly(news()));
        way.wake_if_urgent();
        assert!(way.wake_late(now).is_some() && !far.is_woken());
        assert!(way.send(news()));
        way.wake_if_urgent();
        assert!(far.is_woken());
        assert_eq!((way.wake_late(now), far.look()), (None, 2));
    }

    #[test]
    fn what_is_not_urgent_wakes_only_a_shard_that_does_not_look_by_itself() {
        let (mut way, far) = connected();
        let now = Instant::now();
        assert_eq!(way.wake_late(now), None, "nothing was sent");
        assert!(way.send_quietly(news()));
        let until = way.wake_late(now).unwrap();
        assert_eq!(way.wake_late(until - Duration::from_millis(1)), Some(until));
        assert!(!far.is_woken());
        assert_eq!(way.wake_late(until), None);
        assert!(far.is_woken());

        assert!(way.send_quietly(news()));
        let until = way.wake_late(until).unwrap();
        assert_eq!(far.look(), 2);
        // What is sent after a look is none of what the look found.
        assert!(way.send_quietly(news()));
        let later = way.wake_late(until).unwrap();
        assert!(later > until && !far.is_woken());
        assert_eq!(far.look(), 1);
        assert_eq!(way.wake_late(later), None, "it looked");
        assert!(!far.is_woken());
    }

    #[test]
    fn what_is_not_urgent_leaves_room_for_what_is() {
        let (mut way, far) = connected();
        let now = Instant::now();
        let mut sent = 0;
        while !far.is_woken() {
            assert!(way.send_quietly(news()));
            way.wake_late(now);
            sent += 1;
        }
        assert!(sent <= RING / 2, "{sent}");
    }
}
