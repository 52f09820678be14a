//! What the end-to-end tests share: the clip, and a running household with a server of its own.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use latchkey::home;
use latchkey::vault::Vault;
use latchkey_e2ee::group::CameraGroup;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_loadtest::household::{Device, Household, Role};
use latchkey_loadtest::server::Server;
use tempfile::TempDir;

/// A liveness limit: what takes longer is broken, not slow.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Server, household, camera and one viewer beside the admin; ends with everything in it when dropped.
pub struct Home {
    pub server: Server,
    pub household: Household,
    pub camera: Device,
    pub viewer: Device,
    pub dir: TempDir,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("latchkey-test-").tempdir().expect("a temporary folder");
        let server = Server::start(dir.path()).expect("the server starts");
        let household = Household::create(dir.path(), &server.doors().signaling_url, "Ada's own telephone")
            .expect("a household");
        let camera = household.enrol(Role::Camera, "The front door camera").expect("the camera joins");
        let viewer = household.enrol(Role::Viewer, "The kitchen tablet").expect("the viewer joins");
        Self { server, household, camera, viewer, dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// The clip under test: `LATCHKEY_CLIP`, or the one that comes with the project.
pub fn clip() -> PathBuf {
    match std::env::var_os("LATCHKEY_CLIP") {
        Some(path) => path.into(),
        None => bundled("doorbell.mp4"),
    }
}

/// A clip that comes with the project.
pub fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clips").join(name)
}

/// Keys of a camera's present epoch, from its own vault.
pub fn epoch_keys(camera: &Path) -> EpochKeys {
    let home = home::look(camera).expect("the device's folder opens");
    let vault = Vault::look(camera).expect("the vault opens");
    let group = vault.record("camera/group").expect("a camera that has sent has a group");
    let group = CameraGroup::restore(group, home.chain()).expect("the group is readable");
    group.frame_keys().expect("the group has keys")
}

/// GStreamer's RTSP server with a clip, over and over; it ends when this is dropped.
pub struct RtspServer {
    child: Child,
    pub url: String,
}

impl RtspServer {
    pub fn start(clip: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client-sdk/tests/rtsp/server.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(clip)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's python3 starts; `make test` installs it");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server speaks");
        let url = line.trim().to_owned();
        if !url.starts_with("rtsp://") {
            let mut said = String::new();
            let _ = child.stderr.take().expect("stderr is a pipe").read_to_string(&mut said);
            let _ = child.kill();
            let _ = child.wait();
            panic!("no RTSP server: {said}");
        }
        Self { child, url }
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
