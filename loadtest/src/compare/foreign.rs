//! Another server to be measured beside ours: where its WHIP and WHEP are, told as one argument.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;
use zeroize::Zeroizing;

/// What stands in an address for the camera's number.
const CAMERA: &str = "{id}";
/// What an argument may name.
const KEYS: [&str; 7] = ["whip", "whep", "name", "pid", "ops", "bearer-file", "local"];

/// Another server. Frames go to it unsealed, so it is never sent anything but made-up pictures.
#[derive(Clone)]
pub struct Foreign {
    /// What it is called in lines and tables.
    pub name: String,
    /// Where cameras publish.
    pub whip: Endpoint,
    /// Where viewers subscribe.
    pub whep: Endpoint,
    /// Its process, where it runs on this machine.
    pub pid: Option<u32>,
    /// Base URL of its `/metrics`, if it has any.
    pub ops: Option<Url>,
    /// Address of this machine to send media from, where the way to `whep` does not tell: some servers here pass loopback by.
    pub local: Option<IpAddr>,
    /// For the `Authorization` header of both.
    pub bearer: Option<Zeroizing<String>>,
}

/// An address with a place for the camera's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Why an argument names no server. All of them are the caller's mistakes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// A part is not `key=value` with a known key.
    #[error("`{0}` is none of {list}: write whip=URL,whep=URL,name=NAME,pid=NUMBER", list = KEYS.join("=, ") + "=")]
    Unknown(String),
    /// A key that must be there is not.
    #[error("the other server's {0} address is missing: write whip=URL,whep=URL")]
    Missing(&'static str),
    /// A key stands there twice.
    #[error("`{0}` is named twice: name it once")]
    Twice(String),
    /// A value cannot be what its key asks for.
    #[error("`{value}` is no {wanted}, which {key}= asks for")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The file of the token cannot be read.
    #[error("the token in {} cannot be read: {source}", path.display())]
    Bearer {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FromStr for Foreign {
    type Err = ForeignError;

    /// Reads `whip=URL,whep=URL[,name=..][,pid=..][,ops=URL][,local=ADDRESS][,bearer-file=..]`. A comma inside a value is told from one
    /// that parts two by what follows it.
    fn from_str(text: &str) -> Result<Self, ForeignError> {
        let mut parts = Parts::read(text)?;
        let whip = parts.endpoint("whip")?.ok_or(ForeignError::Missing("whip"))?;
        let whep = parts.endpoint("whep")?.ok_or(ForeignError::Missing("whep"))?;
        let pid = parts.take("pid").map(|value| {
            let known = value.parse().ok().filter(|pid| *pid > 0);
            known.ok_or(ForeignError::Value { key: "pid", value, wanted: "process number" })
        });
        let ops = parts.take("ops").map(|value| {
            Url::parse(&value).map_err(|_| ForeignError::Value { key: "ops", value, wanted: "http address" })
        });
        let local = parts.take("local").map(|value| {
            value.parse().map_err(|_| ForeignError::Value { key: "local", value, wanted: "IP address" })
        });
        let bearer = parts.take("bearer-file").map(|path| {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path).map(Zeroizing::new);
            text.map(|text| Zeroizing::new(text.trim().to_owned()))
                .map_err(|source| ForeignError::Bearer { path, source })
        });
        let name = parts.take("name").filter(|name| !name.is_empty()).unwrap_or_else(|| whep.host());
        Ok(Self {
            name,
            whip,
            whep,
            pid: pid.transpose()?,
            ops: ops.transpose()?,
            local: local.transpose()?,
            bearer: bearer.transpose()?,
        })
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, whip, whep, pid, ops, local, bearer: _ } = self;
        f.debug_struct("Foreign")
            .field("name", name)
            .field("whip", whip)
            .field("whep", whep)
            .field("pid", pid)
            .field("ops", ops)
            .field("local", local)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Returns the address for one camera.
    #[must_use]
    pub fn of(&self, camera: u32) -> Url {
        Url::parse(&self.0.replace(CAMERA, &camera.to_string())).expect("checked when it was read")
    }

    /// Returns whether the camera's number stands in it: one address that is the same for all takes one camera only.
    #[must_use]
    pub fn tells_cameras_apart(&self) -> bool {
        self.0.contains(CAMERA)
    }

    fn host(&self) -> String {
        let url = self.of(0);
        let host = url.host_str().unwrap_or("foreign").to_owned();
        url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

/// What was named, not yet understood.
struct Parts(Vec<(&'static str, String)>);

impl Parts {
    fn read(text: &str) -> Result<Self, ForeignError> {
        let mut parts: Vec<(&'static str, String)> = Vec::new();
        for piece in text.split(',') {
            let known = piece.split_once('=').and_then(|(key, value)| {
                let key = KEYS.into_iter().find(|known| *known == key.trim())?;
                Some((key, value.trim().to_owned()))
            });
            let twice = known.as_ref().filter(|(key, _)| parts.iter().any(|(known, _)| known == key));
            if let Some((key, _)) = twice {
                return Err(ForeignError::Twice((*key).to_owned()));
            }
            match (known, parts.last_mut()) {
                (Some(part), _) => parts.push(part),
                // A query may hold commas; what comes behind one is a part of its own only if it says so.
                (None, Some((key, value))) if key.starts_with("wh") && value.contains('?') => {
                    value.push(',');
                    value.push_str(piece);
                }
                (None, _) => return Err(ForeignError::Unknown(piece.to_owned())),
            }
        }
        Ok(Self(parts))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn endpoint(&mut self, key: &'static str) -> Result<Option<Endpoint>, ForeignError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let url = Url::parse(&value.replace(CAMERA, "0")).ok();
        match url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            Some(_) => Ok(Some(Endpoint(value))),
            None => Err(ForeignError::Value { key, value, wanted: "http or https address" }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_said_is_understood() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let text = format!(
            "whip=http://h:1/whip/{{id}},whep=https://h/whep?app=live,x&stream={{id}},name=Janus 1.1.2,pid=42,ops=http://h:9/,local=192.0.2.2,bearer-file={}",
            file.path().display()
        );
        let foreign: Foreign = text.parse().unwrap();
        assert_eq!(foreign.whip.of(7).as_str(), "http://h:1/whip/7");
        assert_eq!(foreign.whep.of(0).as_str(), "https://h/whep?app=live,x&stream=0");
        assert_eq!((foreign.name.as_str(), foreign.pid), ("Janus 1.1.2", Some(42)));
        assert_eq!(foreign.local, Some([192, 0, 2, 2].into()));
        assert_eq!(foreign.bearer.as_ref().unwrap().as_str(), "secret");
        assert!(!format!("{foreign:?}").contains("secret"));
        assert!(foreign.whip.tells_cameras_apart());

        let short: Foreign =
            "whep=http://[::1]:8889/cam/whep,whip=http://[::1]:8889/cam/whip".parse().unwrap();
        assert_eq!(short.name, "[::1]:8889");
        assert!(!short.whip.tells_cameras_apart() && short.bearer.is_none() && short.pid.is_none());
    }

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        let said = |text: &str| text.parse::<Foreign>().unwrap_err().to_string();
        assert!(said("whip=http://h/").contains("whep address is missing"));
        assert!(said("whep=http://h/").contains("whip address is missing"));
        assert!(said("").contains("whip=URL"), "{}", said(""));
        assert!(said("whip=http://h/,wep=http://h/").contains("`wep=http://h/`"));
        assert!(said("whip=http://h/,whip=http://h/").contains("twice"));
        assert!(said("whip=h:1/x,whep=http://h/").contains("no http or https address"));
        assert!(said("whip=http://h/,whep=http://h/,pid=me").contains("no process number"));
        assert!(said("whip=http://h/,whep=http://h/,pid=0").contains("no process number"));
        assert!(said("whip=http://h/,whep=http://h/,ops=9").contains("no http address"));
        assert!(said("whip=http://h/,whep=http://h/,local=h").contains("no IP address"));
        assert!(said("whip=http://h/,whep=http://h/,bearer-file=/no/such").contains("/no/such"));
    }
}
