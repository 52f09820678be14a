//! A household made by the `latchkey` command itself: every device a folder, every enrolment an invitation and a join.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::place::Place;
use crate::process::{Process, ProcessError};

/// The longest that one step of an enrolment may take before it counts as failed.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// What a device will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends.
    Camera,
    /// Watches.
    Viewer,
    /// Watches, and lets devices in and out.
    Admin,
}

/// An invitation that waits for its device: `latchkey invite` as it runs.
pub struct Invite {
    /// The command; it tells `invite` with the code, then `joined`, and ends ten minutes after its start at the latest.
    pub process: Process,
}

/// An enrolled device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its folder, for `--home`.
    pub home: PathBuf,
    /// Its id, as the household's list names it.
    pub id: String,
    /// Its name, which only members can read.
    pub name: String,
    /// Where its commands run.
    pub place: Place,
}

/// A household with its first admin.
#[derive(Debug)]
pub struct Household {
    /// The household's id.
    pub id: String,
    /// The first admin, who may watch too.
    pub admin: Device,
    /// The twelve recovery words, kept to be searched for where they must not be.
    pub words: String,
    dir: PathBuf,
}

impl Household {
    /// Founds a household at `server`; its devices' folders are made in `dir`.
    ///
    /// # Errors
    /// [`ProcessError`] when a command is not built, fails, or takes longer than 30 s.
    pub fn create(dir: &Path, server: &str, name: &str) -> Result<Self, ProcessError> {
        Self::create_at(&Place::default(), dir, server, name)
    }

    /// As [`Household::create`], with every device somewhere else; [`Device::moved_to`] moves one.
    ///
    /// # Errors
    /// As [`Household::create`].
    pub fn create_at(place: &Place, dir: &Path, server: &str, name: &str) -> Result<Self, ProcessError> {
        let home = dir.join("admin");
        let args =
            ["--home".as_ref(), home.as_os_str(), "--json".as_ref(), "household".as_ref(), "create".as_ref()];
        let rest = ["--server", server, "--name", name].map(std::ffi::OsStr::new);
        let mut create =
            Process::start_at(place, "create", "latchkey", dir, args.into_iter().chain(rest), &[])?;
        let (id, device, words) = create.wait_for("household_created", STEP_LIMIT, |event| {
            let text = |key: &str| event[key].as_str().map(str::to_owned);
            is(event, "household_created").then_some((text("household")?, text("device")?, text("words")?))
        })?;
        create.wait(STEP_LIMIT)?;
        let admin = Device { home, id: device, name: name.to_owned(), place: place.clone() };
        Ok(Self { id, admin, words, dir: dir.to_owned() })
    }

    /// Enrols a further device: the admin invites, the device joins, both commands end well.
    ///
    /// # Errors
    /// As [`Household::create`].
    pub fn enrol(&self, role: Role, name: &str) -> Result<Device, ProcessError> {
        let folder = folder_of(name);
        let home = self.dir.join(&folder);
        let place = &self.admin.place;
        let Invite { process: mut invite } = self.invite(&self.admin, role, name)?;
        let code = invite.wait_for("the invite code", STEP_LIMIT, |event| {
            is(event, "invite").then(|| event["code"].as_str().map(str::to_owned)).flatten()
        })?;
        let args = ["--home".as_ref(), home.as_os_str(), "--json".as_ref(), "join".as_ref(), code.as_ref()];
        let mut join = Process::start_at(place, &format!("join-{folder}"), "latchkey", &self.dir, args, &[])?;
        let id = join.wait_for("that it has joined", STEP_LIMIT, |event| {
            is(event, "joined").then(|| event["device"].as_str().map(str::to_owned)).flatten()
        })?;
        join.wait(STEP_LIMIT)?;
        invite.wait(STEP_LIMIT)?;
        Ok(Device { home, id, name: name.to_owned(), place: place.clone() })
    }

    /// Has an admin invite a further device that will be called `name`, and does not wait for it.
    ///
    /// # Errors
    /// [`ProcessError`] when the command is not built or cannot be started.
    pub fn invite(&self, by: &Device, role: Role, name: &str) -> Result<Invite, ProcessError> {
        let role = match role {
            Role::Camera => "camera",
            Role::Viewer => "viewer",
            Role::Admin => "admin",
        };
        let args = ["--home".as_ref(), by.home.as_os_str(), "--json".as_ref(), "invite".as_ref()];
        let rest = ["--role", role, "--name", name].map(std::ffi::OsStr::new);
        let process = Process::start_at(
            &by.place,
            &format!("invite-{}", folder_of(name)),
            "latchkey",
            &self.dir,
            args.into_iter().chain(rest),
            &[],
        )?;
        Ok(Invite { process })
    }
}

/// The folder of a device that is called `name`.
fn folder_of(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

impl Device {
    /// Starts `latchkey camera` with these sources.
    ///
    /// # Errors
    /// [`ProcessError`] when the command is not built or cannot be started.
    pub fn camera(&self, dir: &Path, sources: &[&str]) -> Result<Process, ProcessError> {
        let mut args =
            vec!["--home".into(), self.home.clone().into_os_string(), "--json".into(), "camera".into()];
        for source in sources {
            args.extend(["--source".into(), (*source).into()]);
        }
        self.start("camera", dir, args)
    }

    /// Starts `latchkey view` of `camera`, with further arguments such as `--out` and `--frames`.
    ///
    /// # Errors
    /// [`ProcessError`] when the command is not built or cannot be started.
    pub fn view(&self, dir: &Path, camera: &str, more: &[&str]) -> Result<Process, ProcessError> {
        let mut args: Vec<std::ffi::OsString> = vec![
            "--home".into(),
            self.home.clone().into_os_string(),
            "--json".into(),
            "view".into(),
            camera.into(),
        ];
        args.extend(more.iter().map(Into::into));
        self.start("view", dir, args)
    }

    /// Starts `latchkey doctor`, with further arguments such as the camera and `--patience`.
    ///
    /// # Errors
    /// [`ProcessError`] when the command is not built or cannot be started.
    pub fn doctor(&self, dir: &Path, more: &[&str]) -> Result<Process, ProcessError> {
        let mut args: Vec<std::ffi::OsString> =
            vec!["--home".into(), self.home.clone().into_os_string(), "--json".into(), "doctor".into()];
        args.extend(more.iter().map(Into::into));
        self.start("doctor", dir, args)
    }

    /// Starts `latchkey devices remove` of the device that is called `name`.
    ///
    /// # Errors
    /// [`ProcessError`] when the command is not built or cannot be started.
    pub fn remove(&self, dir: &Path, name: &str) -> Result<Process, ProcessError> {
        let home = self.home.clone().into_os_string();
        let words = ["devices", "remove", name].map(Into::into);
        let args = ["--home".into(), home, "--json".into()].into_iter().chain(words).collect();
        self.start("remove", dir, args)
    }

    /// Returns the same device with its commands at `place`.
    #[must_use]
    pub fn moved_to(&self, place: &Place) -> Self {
        Self { place: place.clone(), ..self.clone() }
    }

    fn start(
        &self,
        command: &str,
        dir: &Path,
        args: Vec<std::ffi::OsString>,
    ) -> Result<Process, ProcessError> {
        let folder = self.home.file_name().unwrap_or_default().to_string_lossy();
        Process::start_at(&self.place, &format!("{command}-{folder}"), "latchkey", dir, args, &[])
    }
}

/// Returns whether a line of JSON is the event of this name.
#[must_use]
pub fn is(event: &Value, name: &str) -> bool {
    event["event"].as_str() == Some(name)
}
