//! A bad network for one machine: a UDP proxy before the relay that loses, delays, repeats and disorders datagrams.
//!
//! ```text
//!   client A ──▶ ┌──────────┐ ──▶ socket A ──▶ ┌───────┐
//!   client B ──▶ │ one port │ ──▶ socket B ──▶ │ relay │     each arrow with a Netem of its own, each way
//!                └──────────┘                  └───────┘
//! ```
//! The relay sees one address per client. Every decision comes from a seed; only the moments of arrival differ between
//! two runs.

mod way;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use str0m_netem::NetemConfig;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::capture::{Recorder, Run};
pub use crate::lossy::way::Counts;
use crate::lossy::way::Way;

/// What a client's datagrams meet.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// From the client to the relay.
    pub up: NetemConfig,
    /// From the relay to the client.
    pub down: NetemConfig,
    /// Every so many datagrams, one goes another way, where it is under way for so long and none is lost: others overtake it.
    pub detour: Option<(u64, Duration)>,
    /// Where chance begins; each client and direction goes on from there in its own way.
    pub seed: u64,
}

impl Weather {
    /// Returns a network that changes nothing.
    #[must_use]
    pub fn fair() -> Self {
        Self::both_ways(NetemConfig::new(), 0)
    }

    /// Returns the same conditions for both directions.
    #[must_use]
    pub fn both_ways(conditions: NetemConfig, seed: u64) -> Self {
        Self { up: conditions, down: conditions, detour: None, seed }
    }
}

/// What happened to the clients of one [`Weather`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// From the clients to the relay.
    pub up: Counts,
    /// From the relay to the clients.
    pub down: Counts,
}

impl Report {
    /// Returns what happened since an earlier report of the same clients.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { up: self.up.since(earlier.up), down: self.down.since(earlier.down) }
    }
}

/// A running proxy; it ends when dropped.
pub struct Lossy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    /// Where the proxy stands, towards the relay as well: Firefox takes no answer that tells it of a loopback address.
    host: Ipv4Addr,
    /// Where datagrams go; nothing is taken in before it is known.
    relay: Mutex<Option<SocketAddr>>,
    /// One for each call of [`Lossy::begin`].
    legs: Mutex<Vec<Leg>>,
    /// Where datagrams are kept, of the way to the relay and of the way back.
    runs: OnceLock<[Run; 2]>,
    /// Nothing goes through.
    away: AtomicBool,
}

/// The clients of one [`Weather`].
struct Leg {
    weather: Weather,
    /// How often the weather changed.
    changes: u32,
    silenced: bool,
    report: Report,
}

impl Leg {
    fn new(weather: Weather) -> Self {
        Self { weather, changes: 0, silenced: false, report: Report::default() }
    }
}

impl Lossy {
    /// Binds a port of 127.0.0.1 and starts. Until [`forward_to`](Self::forward_to) every datagram is dropped.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST)
    }

    /// As [`start`](Self::start), on another address of this machine: Firefox dials no loopback.
    ///
    /// # Errors
    /// When no port can be had there.
    pub fn start_on(host: Ipv4Addr) -> io::Result<Self> {
        let front = std::net::UdpSocket::bind((host, 0))?;
        front.set_nonblocking(true)?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            host,
            relay: Mutex::new(None),
            legs: Mutex::new(vec![Leg::new(Weather::fair())]),
            runs: OnceLock::new(),
            away: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        // A thread of its own, so that nobody else's work is taken for the network's delay.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (inside, until) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::spawn(move || {
            let _ = runtime.block_on(carry(front, &inside, until));
        });
        Ok(Self { address, shared, stop, thread: Some(thread) })
    }

    /// Returns where clients find the relay.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names the relay's media socket.
    pub fn forward_to(&self, relay: SocketAddr) {
        *self.shared.relay.lock().unwrap_or_else(PoisonError::into_inner) = Some(relay);
    }

    /// Gives all clients that are first heard of from now on this weather, and returns the name of its report.
    pub fn begin(&self, weather: Weather) -> usize {
        let mut legs = self.shared.legs();
        legs.push(Leg::new(weather));
        legs.len() - 1
    }

    /// Changes the weather of the clients of one [`begin`](Self::begin), those that are connected too; what is under
    /// way stays so, and their detour.
    pub fn change(&self, leg: usize, weather: Weather) {
        if let Some(leg) = self.shared.legs().get_mut(leg) {
            leg.weather = weather;
            leg.changes += 1;
        }
    }

    /// Keeps all further RTCP of the clients of one [`begin`](Self::begin) from the relay: whatever they ask for, nobody
    /// hears it.
    pub fn silence(&self, leg: usize) {
        if let Some(leg) = self.shared.legs().get_mut(leg) {
            leg.silenced = true;
        }
    }

    /// Takes the network away: from now on nothing goes through in either direction, or everything as before.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::Relaxed);
    }

    /// Keeps every datagram from now on, one run for each direction; the first recorder counts.
    pub fn record(&self, recorder: &Recorder) {
        let _ = self.shared.runs.set([recorder.run(), recorder.run()]);
    }

    /// Returns what happened so far to the clients of one [`begin`](Self::begin).
    #[must_use]
    pub fn report(&self, leg: usize) -> Report {
        self.shared.legs().get(leg).map(|leg| leg.report).unwrap_or_default()
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One client's way to the relay and back.
struct Flow {
    client: SocketAddr,
    /// What the relay takes for the client.
    socket: Arc<UdpSocket>,
    leg: usize,
    up: Way,
    down: Way,
    /// Changes of the weather that it took up.
    changes: u32,
    /// Its entry among what is due.
    scheduled: Option<Instant>,
}

async fn carry(front: std::net::UdpSocket, shared: &Shared, stop: CancellationToken) -> io::Result<()> {
    let front = UdpSocket::from_std(front)?;
    let (from_relay, mut answers) = mpsc::unbounded_channel();
    let mut flows: Vec<Flow> = Vec::new();
    let mut by_client: HashMap<SocketAddr, usize> = HashMap::new();
    // When which flow has something to let out; entries that a later one overtook are passed by.
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        let next = due.peek().map(|Reverse((at, _))| *at);
        let due_or_never = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // The flow that something happened to, if any.
        let mut touched = None;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            received = front.recv_from(&mut buffer) => {
                // An error here is that of an earlier send to a client that has gone.
                let Ok((len, client)) = received else { continue };
                if shared.is_away() {
                    continue;
                }
                let index = match by_client.get(&client) {
                    Some(index) => *index,
                    None => {
                        let Some(flow) = Flow::open(client, shared, flows.len()).await? else { continue };
                        tokio::spawn(read_answers(Arc::clone(&flow.socket), flows.len(), from_relay.clone()));
                        flows.push(flow);
                        by_client.insert(client, flows.len() - 1);
                        flows.len() - 1
                    }
                };
                shared.keep(0, &buffer[..len]);
                let flow: &mut Flow = &mut flows[index];
                shared.change(flow);
                if is_rtcp(&buffer[..len]) && shared.is_silenced(flow.leg) {
                    flow.up.counts.unheard += 1;
                } else {
                    flow.up.take_in(buffer[..len].to_vec());
                }
                touched = Some(index);
            }
            Some((index, bytes)) = answers.recv() => {
                if shared.is_away() {
                    continue;
                }
                shared.keep(1, &bytes);
                shared.change(&mut flows[index]);
                flows[index].down.take_in(bytes);
                touched = Some(index);
            }
            () = due_or_never => {}
        }
        let now = Instant::now();
        while let Some(index) = touched.take().or_else(|| next_due(&mut due, &mut flows, now)) {
            let flow = &mut flows[index];
            flow.let_out(&front).await;
            shared.count(flow);
            let wanted = [flow.up.due(), flow.down.due()].into_iter().flatten().min();
            if wanted != flow.scheduled {
                flow.scheduled = wanted;
                due.extend(wanted.map(|at| Reverse((at, index))));
            }
        }
    }
}

/// Returns a flow whose time has come, off the list.
fn next_due(
    due: &mut BinaryHeap<Reverse<(Instant, usize)>>,
    flows: &mut [Flow],
    now: Instant,
) -> Option<usize> {
    loop {
        let Reverse((at, index)) = *due.peek()?;
        let scheduled = &mut flows[index].scheduled;
        if *scheduled == Some(at) && at > now {
            return None;
        }
        due.pop();
        if scheduled.take_if(|known| *known == at).is_some() {
            return Some(index);
        }
    }
}

async fn read_answers(socket: Arc<UdpSocket>, index: usize, to: mpsc::UnboundedSender<(usize, Vec<u8>)>) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        // An error here is that of an earlier send: the relay is away, perhaps for a moment.
        if let Ok(len) = socket.recv(&mut buffer).await
            && to.send((index, buffer[..len].to_vec())).is_err()
        {
            return;
        }
    }
}

impl Flow {
    /// Returns nothing while the relay is not known.
    async fn open(client: SocketAddr, shared: &Shared, number: usize) -> io::Result<Option<Self>> {
        let Some(relay) = *shared.relay.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Ok(None);
        };
        let (leg, weather, changes) = {
            let legs = shared.legs();
            let (weather, changes) =
                legs.last().map_or((Weather::fair(), 0), |leg| (leg.weather, leg.changes));
            (legs.len() - 1, weather, changes)
        };
        let socket = UdpSocket::bind((shared.host, 0)).await?;
        socket.connect(relay).await?;
        let seed = weather.seed + 2 * number as u64;
        Ok(Some(Self {
            client,
            socket: Arc::new(socket),
            leg,
            up: Way::new(weather.up.seed(seed), weather.detour),
            down: Way::new(weather.down.seed(seed + 1), weather.detour),
            changes,
            scheduled: None,
        }))
    }

    /// Sends what is due. Errors are the network's: what it loses is lost.
    async fn let_out(&mut self, front: &UdpSocket) {
        let now = Instant::now();
        while let Some(bytes) = self.up.let_out(now) {
            let _ = self.socket.send(&bytes).await;
        }
        while let Some(bytes) = self.down.let_out(now) {
            let _ = front.send_to(&bytes, self.client).await;
        }
    }
}

impl Shared {
    fn legs(&self) -> MutexGuard<'_, Vec<Leg>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, direction: usize, datagram: &[u8]) {
        if let Some(run) = self.runs.get().and_then(|runs| runs.get(direction)) {
            run.keep(datagram);
        }
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    fn is_silenced(&self, leg: usize) -> bool {
        self.legs().get(leg).is_some_and(|leg| leg.silenced)
    }

    /// Gives a flow the weather of its leg where that changed.
    fn change(&self, flow: &mut Flow) {
        if let Some(Leg { weather, changes, .. }) = self.legs().get(flow.leg)
            && *changes != flow.changes
        {
            flow.changes = *changes;
            flow.up.change(weather.up.seed(weather.seed));
            flow.down.change(weather.down.seed(weather.seed + 1));
        }
    }

    /// Moves what a flow counted since the last time to its leg's report.
    fn count(&self, flow: &mut Flow) {
        if let Some(Leg { report, .. }) = self.legs().get_mut(flow.leg) {
            report.up.add(std::mem::take(&mut flow.up.counts));
            report.down.add(std::mem::take(&mut flow.down.counts));
        }
    }
}

/// SRTCP by its first two bytes (RFC 9443, RFC 5761 section 4).
fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, 192..=223, ..])
}

/// SRTP, likewise.
fn is_media(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, _, ..]) && !is_rtcp(bytes)
}

const LARGEST_DATAGRAM: usize = 65_536;

#[cfg(test)]
mod tests;
