//! What the person who starts a camera says about its source: files, an RTSP address, and how to read them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use crate::source::error::SourceError;

/// One or more inputs that together give at most one video and one audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The inputs, in the order given.
    pub inputs: Vec<Input>,
}

/// One place frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file: MP4, Annex B H.264, IVF or Ogg Opus, told apart by its bytes.
    File(PathBuf),
    /// An RTSP camera. The URL may name a user; a password in it is refused when parsed.
    Rtsp(Url),
}

impl SourceSpec {
    /// Reads the values of `--source`, one per input.
    ///
    /// Fails with [`SourceError::NoneNamed`], [`SourceError::BadAddress`] or [`SourceError::PasswordInAddress`].
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, SourceError> {
        if values.is_empty() || values.iter().any(|value| value.as_ref().is_empty()) {
            return Err(SourceError::NoneNamed);
        }
        let inputs = values.iter().map(|value| Input::parse(value.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { inputs })
    }

    /// One file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { inputs: vec![Input::File(path.into())] }
    }
}

impl Input {
    fn parse(value: &str) -> Result<Self, SourceError> {
        let Some((scheme, _)) = value.split_once("://") else {
            return Ok(Self::File(value.into()));
        };
        let bad = |advice| SourceError::BadAddress { address: without_password(value), advice };
        match scheme.to_ascii_lowercase().as_str() {
            "rtsp" => {}
            "rtsps" => return Err(bad("RTSP inside TLS is not supported, use rtsp://")),
            "file" => return Err(bad("give the path of the file without file://")),
            _ => return Err(bad("only files and rtsp:// addresses are supported")),
        }
        let url = Url::parse(value)
            .map_err(|_| bad("write it as rtsp://user@host:554/path, with the parts you need"))?;
        let Some(host) = url.host_str() else {
            return Err(bad("it names no host"));
        };
        if url.password().is_some() {
            return Err(SourceError::PasswordInAddress { host: host.into() });
        }
        Ok(Self::Rtsp(url))
    }
}

/// How the inputs are read.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Frames per second of raw H.264 files; taken from the stream (else 25) when absent. Other inputs carry their own times.
    pub fps: Option<f64>,
    /// Whether a file starts over at its end. `true` by default; otherwise reading ends with [`SourceError::Ended`].
    pub looped: bool,
    /// Whether file frames are given at the time they are due. `true` by default; tests read as fast as they can.
    pub paced: bool,
    /// How an RTSP camera sends its packets.
    pub transport: RtspTransport,
    /// User and password of an RTSP camera.
    pub credentials: Option<Credentials>,
    /// How long to wait for an RTSP camera's answer before saying that nothing answers.
    pub connect_timeout: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            fps: None,
            looped: true,
            paced: true,
            transport: RtspTransport::Tcp,
            credentials: None,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// How an RTSP camera sends its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtspTransport {
    /// Inside the RTSP connection: nothing is lost, works through firewalls.
    #[default]
    Tcp,
    /// In datagrams of their own: less delay on a bad network, but lost packets cost pictures.
    Udp,
}

/// User and password of a camera. Shows neither when printed.
#[derive(Clone)]
pub struct Credentials {
    user: Option<String>,
    password: Zeroizing<String>,
}

impl Credentials {
    /// User and password as given; without a user the one in the address is taken.
    pub fn new(user: Option<String>, password: Zeroizing<String>) -> Self {
        Self { user, password }
    }

    /// Reads a file whose first line is the password, or `user:password`.
    ///
    /// Fails with [`SourceError::PasswordFile`] when the file cannot be read, is empty, or can be read by everyone.
    pub fn from_file(path: &Path) -> Result<Self, SourceError> {
        let fail = |reason: &str| SourceError::PasswordFile { path: path.into(), reason: reason.into() };
        refuse_world_readable(path).map_err(|reason| fail(&reason))?;
        let unreadable = |error: std::io::Error| fail(&format!("{error}; {CHECK_PATH}"));
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let text = Zeroizing::new(text);
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(fail("its first line is empty; write the password there"));
        }
        Ok(match line.split_once(':') {
            Some((user, password)) => Self::new(Some(user.into()), Zeroizing::new(password.into())),
            None => Self::new(None, Zeroizing::new(line.into())),
        })
    }

    /// Takes `LATCHKEY_SOURCE_USER` and `LATCHKEY_SOURCE_PASSWORD`; `None` when no password is set.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let password = std::env::var("LATCHKEY_SOURCE_PASSWORD").ok()?;
        let user = std::env::var("LATCHKEY_SOURCE_USER").ok();
        Some(Self::new(user, Zeroizing::new(password)))
    }

    /// The same password for `user`.
    pub(crate) fn for_user(&self, user: &str) -> Self {
        Self { user: Some(user.into()), password: self.password.clone() }
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The address as it may be shown: whatever stands before the `@` is left out.
pub(crate) fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.into();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => address.into(),
    }
}

const CHECK_PATH: &str = "check the path given to --source-password-file";

#[cfg(unix)]
fn refuse_world_readable(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let about = std::fs::metadata(path).map_err(|error| format!("{error}; {CHECK_PATH}"))?;
    let mode = about.permissions().mode();
    if mode & 0o004 != 0 {
        return Err(format!("every user of this machine can read it; run `chmod 600 {}`", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_world_readable(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_is_a_file_and_rtsp_an_address() {
        let spec = SourceSpec::parse(&["a b.mp4", "rtsp://cam@10.0.0.2:8554/live?x=1"]).unwrap();
        assert_eq!(spec.inputs[0], Input::File("a b.mp4".into()));
        assert!(matches!(&spec.inputs[1], Input::Rtsp(url) if url.username() == "cam"));
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let error = SourceSpec::parse(&["rtsp://cam:hunter2@front.local/s"]).unwrap_err();
        assert!(matches!(&error, SourceError::PasswordInAddress { host } if host == "front.local"));
        assert!(!error.to_string().contains("hunter2"));
        let error = SourceSpec::parse(&["rtsps://cam:hunter2@front.local/s"]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let error = SourceSpec::parse(&["rtsp://cam:hunter2@:99999/s"]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn shown_addresses_have_no_user_part() {
        assert_eq!(without_password("rtsp://a:b@c@h/p@q"), "rtsp://h/p@q");
        assert_eq!(without_password("rtsp://h/p"), "rtsp://h/p");
    }

    #[test]
    fn credentials_come_from_a_private_file_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "cam:top:secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Credentials::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = Credentials::from_file(&path).unwrap();
        assert_eq!(credentials.user(), Some("cam"));
        assert_eq!(credentials.password(), "top:secret");
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
