//! The file that says where a started server can be reached, for scripts and tests that let it choose ports.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::server::ServerUrls;
use crate::tls::reach::Reach;

/// What stands in the file, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyFile {
    /// Base URL of signaling.
    pub signaling_url: String,
    /// Base URL of the relay's door.
    pub door_url: String,
    /// UDP address of the media socket.
    pub media: String,
    /// Base URL of the private ops port.
    pub ops_url: String,
    /// Base URL of the page that helps devices trust the household CA, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_url: Option<String>,
    /// Every address to dial, best first, and which devices each works for.
    #[serde(default)]
    pub open: Vec<Reach>,
    /// Process id of the server.
    pub pid: u32,
}

impl ReadyFile {
    /// The file for a server of this process.
    #[must_use]
    pub fn of(urls: &ServerUrls) -> Self {
        Self {
            signaling_url: urls.signaling.clone(),
            door_url: urls.door.clone(),
            media: urls.media.to_string(),
            ops_url: urls.ops.clone(),
            install_url: urls.install.as_ref().map(|install| format!("http://{}", install.address)),
            open: urls.reach.clone(),
            pid: std::process::id(),
        }
    }

    /// Puts the file there in one step: who reads it finds all of it or nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}", self.pid));
        let aside = path.with_file_name(name);
        fs::write(&aside, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&aside, path)
    }
}
