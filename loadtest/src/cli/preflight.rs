//! What can be known before anything starts: whether the server is there, and the clip.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::measure::line::SYNTHETIC;
use crate::run::target::Target;
use crate::scenario::{DOORBELL, Scenario};

/// Why there is no use in starting. The caller's fault; each sentence says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Missing {
    /// Nobody listens.
    #[error("nothing answers at {url} ({reason}): start the server there, or correct the address")]
    Server {
        /// As given.
        url: Url,
        /// What the system said.
        reason: String,
    },
    /// The clip cannot be read.
    #[error(
        "cannot read the clip {} ({reason}): camera.clip is the path of a VP8 (.ivf) or H.264 clip, \"doorbell\" or \"synthetic\"",
        .path.display()
    )]
    Clip {
        /// As given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Missing {
    /// Its stable name, as a run has it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Server { .. } => "server-not-there",
            Self::Clip { .. } => "no-clip",
        }
    }
}

/// Looks for the server and the clip; waits at most 5 s for each address of the server.
///
/// # Errors
/// [`Missing`].
pub(super) fn look(scenario: &Scenario, target: &Target) -> Result<(), Missing> {
    let clip = scenario.camera.clip.as_str();
    let own = matches!(target, Target::Child | Target::Latchkey(_));
    if own && ![SYNTHETIC, DOORBELL].contains(&clip) {
        let path = Path::new(clip);
        readable(path).map_err(|error| Missing::Clip { path: path.to_owned(), reason: plain(&error) })?;
    }
    if let Target::Latchkey(running) = target {
        listens(&running.url)
            .map_err(|error| Missing::Server { url: running.url.clone(), reason: plain(&error) })?;
    }
    Ok(())
}

fn readable(path: &Path) -> io::Result<()> {
    let about = File::open(path)?.metadata()?;
    match about.is_dir() {
        true => Err(io::Error::other("it is a folder")),
        false if about.is_file() && about.len() == 0 => Err(io::Error::other("it is empty")),
        false => Ok(()),
    }
}

fn listens(url: &Url) -> io::Result<()> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let mut last = io::Error::other("its name has no address");
    for address in (host, url.port_or_known_default().unwrap_or(80)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Returns what the system said without its numbers.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => {
            let said = error.to_string();
            let said = said.split(" (os error").next().unwrap_or_default();
            let said = said.strip_prefix("failed to lookup address information: ").unwrap_or(said);
            said[..1].to_lowercase() + &said[1..]
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
