//! The shipped relay as a child process, and what it costs: CPU of all its threads, memory.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_relay_floor::cores::process_cpu;
use latchkey_wire::grant::{Grant, GrantSigner, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::cores;

const AUDIENCE: &str = "bench";

/// A running `latchkey-relay`; killed when dropped.
pub(crate) struct RelayChild {
    child: Child,
    door: String,
    signer: GrantSigner,
    http: reqwest::Client,
}

impl RelayChild {
    /// Starts the relay on loopback, on the processor that is measured.
    pub(crate) fn start(binary: &Path, shards: usize, profile: &str) -> anyhow::Result<Self> {
        let signer = GrantSigner::from_seed("bench", &[42; 32])?;
        let key = format!("bench:{}", URL_SAFE_NO_PAD.encode(signer.public_key()));
        let shards_text = shards.to_string();
        cores::measured(shards);
        let child = Command::new(binary)
            .args(["--bind", "127.0.0.1:0", "--door", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--json=true"])
            .args(["--shards", &shards_text, "--audience", AUDIENCE, "--grant-key", &key])
            .args(["--srtp-profiles", profile])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        cores::driver(shards);
        let mut child = child.context("the relay starts")?;
        let log = BufReader::new(child.stderr.take().context("stderr was asked for")?);
        let mut lines = log.lines();
        let door = loop {
            let line = lines.next().context("the relay ended at its start")??;
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &entry["fields"];
            if fields["message"].as_str().is_some_and(|text| text.starts_with("door is open")) {
                break fields["address"].as_str().context("the log names the door")?.to_owned();
            }
        };
        // The rest of the log is read, so that the relay never waits for its reader; what should not happen in a run is shown.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if ["\"WARN\"", "\"ERROR\"", "session ended"].iter().any(|word| line.contains(word)) {
                    eprintln!("forward: the relay says: {line}");
                }
            }
        });
        Ok(Self { child, door, signer, http: reqwest::Client::new() })
    }

    /// Posts an offer to `/whip` or `/whep` and returns the answer.
    pub(crate) async fn post(&self, door: &str, device: u32, offer: String) -> anyhow::Result<String> {
        let room = RoomId::from([7; 16]);
        let mut handle = [0; 16];
        handle[..4].copy_from_slice(&device.to_be_bytes());
        let scope = if door == "whip" { Scope::Publish } else { Scope::View };
        let reply = self
            .http
            .post(format!("http://{}/{door}/{room}", self.door))
            .bearer_auth(self.grant(room, DeviceHandle::from(handle), scope)?)
            .header("content-type", "application/sdp")
            .body(offer)
            .send()
            .await?;
        let status = reply.status();
        let text = reply.text().await?;
        anyhow::ensure!(status.as_u16() == 201, "the door answered {status}: {text}");
        Ok(text)
    }

    /// Returns the CPU time that the relay has used, see [`process_cpu`].
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(process_cpu(self.child.id())?)
    }

    /// Returns the relay's resident memory in kilobytes.
    pub(crate) fn resident_kb(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("status names VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("VmRSS has a value")?.parse()?)
    }

    fn grant(&self, room: RoomId, device: DeviceHandle, scope: Scope) -> anyhow::Result<String> {
        let now = SystemTime::now();
        let mut token_id = [0; 16];
        getrandom::fill(&mut token_id)?;
        Ok(self.signer.sign(&Grant {
            audience: AUDIENCE.to_owned(),
            room,
            scopes: vec![scope],
            device,
            token_id,
            issued_at: now,
            expires_at: now + Duration::from_secs(60),
            session_expires_at: now + Duration::from_secs(3600),
        })?)
    }
}

impl Drop for RelayChild {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
