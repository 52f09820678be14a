//! A `latchkey-server` of one's own: a child process on loopback with free ports, that can be killed and started again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use latchkey_relay_floor::cores::pin_this_thread;
use serde::Deserialize;

use crate::place::Place;
use crate::process::{Process, ProcessError};

/// The longest a start may take before it counts as failed.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What a server for a load run is told beside its addresses.
const LIMITS: [(&str, &str); 15] = [
    ("--max-viewers-per-room", "100000"),
    ("--max-sessions-per-device", "100000"),
    ("--max-households", "1000000"),
    ("--max-connections", "100000"),
    ("--address-rate", "1000000"),
    ("--address-burst", "1000000"),
    ("--open-rate", "1000000"),
    ("--open-burst", "1000000"),
    ("--household-rate", "1000000"),
    ("--household-burst", "1000000"),
    ("--device-rate", "1000000"),
    ("--device-burst", "1000000"),
    ("--message-rate", "1000000"),
    ("--message-burst", "1000000"),
    ("--log", "warn"),
];

/// Where a running server can be reached, as it says itself in its ready file.
#[derive(Debug, Clone, Deserialize)]
pub struct Doors {
    /// Base URL of signaling.
    pub signaling_url: String,
    /// Base URL of the relay's WHIP and WHEP.
    pub door_url: String,
    /// UDP address of the media socket.
    pub media: String,
    /// Base URL of the private ops port.
    pub ops_url: String,
    /// The page that helps devices trust the household CA; its host is the one that was bound. None without such a CA.
    #[serde(default)]
    pub install_url: Option<String>,
    /// Every address to dial, best first, and which devices each works for.
    #[serde(default)]
    pub open: Vec<Open>,
}

/// An address of the server.
#[derive(Debug, Clone, Deserialize)]
pub struct Open {
    /// Base URL.
    pub url: String,
    /// Which devices can use it, in words.
    pub devices: String,
}

impl Doors {
    /// Base URL of WHIP and WHEP for this machine itself: plain HTTP on loopback, where the server has that.
    #[must_use]
    pub fn door_here(&self) -> &str {
        let here = self.open.iter().find(|open| open.url.starts_with("http://127.0.0.1"));
        here.map_or(&self.door_url, |open| &open.url)
    }
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where it runs.
    pub place: Place,
    /// TCP address of signaling and door.
    pub listen: String,
    /// UDP address of media.
    pub media: String,
    /// TCP address of the private ops port.
    pub ops: String,
    /// Media threads; 0 is one for each processor that it may use.
    pub shards: usize,
    /// Processors that it may use; empty: all.
    pub cores: Vec<usize>,
    /// Further arguments, such as `--public-address` and its value.
    pub more: Vec<String>,
}

/// All on this machine's loopback, on free ports.
impl Default for Setup {
    fn default() -> Self {
        let any = || "127.0.0.1:0".to_owned();
        Self {
            place: Place::default(),
            listen: any(),
            media: any(),
            ops: any(),
            shards: 1,
            cores: Vec::new(),
            more: Vec::new(),
        }
    }
}

impl Setup {
    /// A server for a fleet that stands behind one address: what limits an address, a device or a room in an everyday server
    /// is out of the way, and only warnings are logged. How many sessions it has in all stays as it is, 20000.
    #[must_use]
    pub fn for_load(shards: usize, cores: &[usize]) -> Self {
        let more = LIMITS.iter().flat_map(|(flag, limit)| [(*flag).to_owned(), (*limit).to_owned()]);
        Self { shards, cores: cores.to_vec(), more: more.collect(), ..Self::default() }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    process: Process,
    doors: Doors,
    dir: PathBuf,
    setup: Setup,
}

impl Server {
    /// Starts a server whose data and log stand in `dir`, on free ports.
    ///
    /// # Errors
    /// [`ProcessError`] when it is not built, ends, or is not ready within 30 s.
    pub fn start(dir: &Path) -> Result<Self, ProcessError> {
        Self::start_with(dir, Setup::default())
    }

    /// As [`Server::start`], set up by hand.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(dir: &Path, setup: Setup) -> Result<Self, ProcessError> {
        let ready = dir.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let data = dir.join("data");
        let shards = setup.shards.to_string();
        let args: [&std::ffi::OsStr; 12] = [
            "--data-dir".as_ref(),
            data.as_os_str(),
            "--listen".as_ref(),
            setup.listen.as_ref(),
            "--media".as_ref(),
            setup.media.as_ref(),
            "--ops".as_ref(),
            setup.ops.as_ref(),
            "--shards".as_ref(),
            shards.as_ref(),
            "--ready-file".as_ref(),
            ready.as_os_str(),
        ];
        let args = args.into_iter().chain(setup.more.iter().map(std::ffi::OsStr::new));
        let mut process = on_cores(&setup.cores, || {
            Process::start_at(&setup.place, "server", "latchkey-server", dir, args, &[])
        })?;
        let deadline = Instant::now() + START_LIMIT;
        let doors = loop {
            if let Some(doors) =
                std::fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                break doors;
            }
            if process.has_ended() {
                return Err(ProcessError::Ended { name: "server".to_owned(), log: process.last_words() });
            }
            if Instant::now() > deadline {
                return Err(ProcessError::Silent {
                    name: "server".to_owned(),
                    wanted: "that it is ready".to_owned(),
                    seconds: START_LIMIT.as_secs(),
                    log: process.last_words(),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Self { process, doors, dir: dir.to_owned(), setup })
    }

    /// Kills the server as a power cut would (SIGKILL) and starts it again on the same ports and data.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn kill_and_restart(&mut self) -> Result<(), ProcessError> {
        let port_of = |url: &str| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let setup = Setup {
            listen: port_of(&self.doors.signaling_url),
            media: self.doors.media.clone(),
            ops: port_of(&self.doors.ops_url),
            ..self.setup.clone()
        };
        self.process.kill();
        *self = Self::start_with(&self.dir.clone(), setup)?;
        Ok(())
    }

    /// Returns where the server can be reached.
    #[must_use]
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Returns the folder of database and grant key.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Starts something on these processors only: what a thread starts runs where the thread may.
fn on_cores(
    cores: &[usize],
    start: impl FnOnce() -> Result<Process, ProcessError> + Send,
) -> Result<Process, ProcessError> {
    if cores.is_empty() {
        return start();
    }
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let failed = |source| ProcessError::NotStarted { name: "server".to_owned(), source };
            pin_this_thread(cores).map_err(failed)?;
            start()
        });
        starting.join()
    });
    started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
