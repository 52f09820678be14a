//! What is under load: a server that the run starts itself, one that runs already, or somebody else's.

use latchkey_relay_floor::cores;
use url::Url;

use crate::compare::foreign::Foreign;
use crate::observe::server::ServerWatch;
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::scratch::Scratch;
use crate::server::{Server, Setup};

/// What is to be put under load.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a run")]
pub enum Target {
    /// A fresh `latchkey-server`, as a child of this process, on this machine.
    Child,
    /// A Latchkey server that runs already.
    Latchkey(Running),
    /// A WHIP and WHEP server that somebody else wrote; frames go to it unsealed.
    Foreign(Box<Foreign>),
}

/// A Latchkey server that runs already.
#[derive(Clone, Debug)]
pub struct Running {
    /// Base URL of signaling.
    pub url: Url,
    /// Base URL of the private ops port, where it can be reached.
    pub ops: Option<Url>,
    /// Its process, where it runs on this machine.
    pub pid: Option<u32>,
    /// The operator's code, where it registers households by code only.
    pub invite_code: Option<String>,
    /// Where garbage goes: its media port.
    pub media: Option<std::net::SocketAddr>,
}

/// A server under load.
pub(crate) struct Stand {
    /// What it is called.
    pub(crate) name: String,
    /// Base URL of signaling, of a Latchkey server.
    pub(crate) signaling: Option<String>,
    /// Where it answers to HTTP.
    pub(crate) door: Option<Url>,
    /// Its media port, where it is known.
    pub(crate) media: Option<std::net::SocketAddr>,
    /// Its figures.
    pub(crate) watch: ServerWatch,
    /// Processors that it may use; empty: not known.
    pub(crate) cores: Vec<usize>,
    child: Option<(Server, Scratch)>,
}

/// Which processors server and driver use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The server's, where the run starts it; empty: wherever the system puts it.
    pub(crate) server: Vec<usize>,
    /// The driver's.
    pub(crate) driver: Vec<usize>,
}

impl Layout {
    /// Shares out the processors there are: with a server of our own, pinned, its first `shards` are the server's; with one
    /// that runs already on some of them only, these.
    pub(crate) fn of(scenario: &Scenario, target: &Target, processors: &[usize]) -> Self {
        let shared = Self { server: Vec::new(), driver: processors.to_vec() };
        if !scenario.server.pin || processors.len() < 2 {
            return shared;
        }
        let running = match target {
            Target::Child => None,
            Target::Latchkey(running) => Some(cores_of(running.pid)),
            Target::Foreign(foreign) => Some(cores_of(foreign.pid)),
        };
        if let Some(server) = running {
            // One that somebody pinned leaves the others to the driver.
            let others = processors.iter().copied().filter(|one| !server.contains(one)).collect::<Vec<_>>();
            let apart = !server.is_empty() && !others.is_empty() && others.len() < processors.len();
            return if apart { Self { server, driver: others } } else { shared };
        }
        let (server, driver) =
            processors.split_at((scenario.server.shards as usize).min(processors.len() - 1));
        Self { server: server.to_vec(), driver: driver.to_vec() }
    }
}

impl Stand {
    /// Starts the server, or looks for the one that is there.
    ///
    /// Blocks until a child is ready, at most 30 s.
    pub(crate) fn start(target: &Target, scenario: &Scenario, layout: &Layout) -> Result<Self, RunError> {
        match target {
            Target::Child => {
                let dir = Scratch::new("latchkey-loadtest-")?;
                let setup = Setup::for_load(scenario.server.shards as usize, &layout.server);
                let mut server = Server::start_with(dir.path(), setup)?;
                let doors = server.doors().clone();
                Ok(Self {
                    name: format!("latchkey-server {}", env!("CARGO_PKG_VERSION")),
                    door: Url::parse(&doors.signaling_url).ok(),
                    signaling: Some(doors.signaling_url),
                    media: doors.media.parse().ok(),
                    watch: ServerWatch::new(Url::parse(&doors.ops_url).ok(), Some(server.process().id())),
                    cores: layout.server.clone(),
                    child: Some((server, dir)),
                })
            }
            Target::Latchkey(running) => Ok(Self {
                name: format!("Latchkey at {}", host_of(&running.url)),
                signaling: Some(running.url.as_str().trim_end_matches('/').to_owned()),
                door: Some(running.url.clone()),
                media: running.media,
                watch: ServerWatch::new(running.ops.clone(), running.pid),
                cores: cores_of(running.pid),
                child: None,
            }),
            Target::Foreign(foreign) => Ok(Self {
                name: foreign.name.clone(),
                signaling: None,
                door: Some(foreign.whep.of(0)),
                media: None,
                watch: ServerWatch::new(foreign.ops.clone(), foreign.pid),
                cores: cores_of(foreign.pid),
                child: None,
            }),
        }
    }

    /// Returns the last words of a child that has ended by itself; none while it runs, or where there is no child.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        let process = self.child.as_mut()?.0.process();
        process.has_ended().then(|| process.last_words())
    }

    /// Asks a child to end and waits for it, at most 5 s; then it is killed.
    pub(crate) fn stop(&mut self) {
        if let Some((mut server, _dir)) = self.child.take() {
            server.process().interrupt();
            // One that does not end in time is killed when dropped.
            let _ = server.process().wait(STOP_LIMIT);
        }
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn cores_of(pid: Option<u32>) -> Vec<usize> {
    pid.and_then(|pid| cores::of_process(pid).ok()).unwrap_or_default()
}

/// How long a child may take to end.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_driver_share_the_processors_where_there_are_enough() {
        let mut scenario = Scenario::default();
        let layout = |scenario: &Scenario, processors: &[usize]| {
            let Layout { server, driver } = Layout::of(scenario, &Target::Child, processors);
            (server, driver)
        };
        assert_eq!(layout(&scenario, &[0]), (vec![], vec![0]));
        assert_eq!(layout(&scenario, &[0, 1]), (vec![0], vec![1]));
        assert_eq!(layout(&scenario, &[2, 3, 5, 7]), (vec![2], vec![3, 5, 7]));
        scenario.server.shards = 8;
        assert_eq!(layout(&scenario, &[0, 1, 2]), (vec![0, 1], vec![2]));
        scenario.server.pin = false;
        assert_eq!(layout(&scenario, &[0, 1, 2]), (vec![], vec![0, 1, 2]));
    }
}
