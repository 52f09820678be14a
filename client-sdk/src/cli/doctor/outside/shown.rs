//! What is written of each way to the server: open or shut, how long it took, why, and what to do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::failure::{Failure, plain};
use crate::cli::show::{Lines, Show};

/// One way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Name,
    Tcp,
    Tls,
    Http,
    WebSocket,
    Media,
}

impl Check {
    const ALL: [Self; 6] = [Self::Name, Self::Tcp, Self::Tls, Self::Http, Self::WebSocket, Self::Media];

    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Media => "media",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Tcp => "TCP port",
            Self::Tls => "certificate (TLS)",
            Self::Http => "Latchkey server (HTTP)",
            Self::WebSocket => "WebSocket",
            Self::Media => "media port (UDP)",
        }
    }
}

/// Writes lines as they come, and what was not tried at the end.
pub(super) struct Shown {
    show: Show,
    written: Vec<Check>,
    /// The first way that is shut, and why.
    shut: Option<(Check, String)>,
}

impl Shown {
    pub(super) fn begin(json: bool) -> Self {
        Self { show: Show::new(json, Lines::Stdout), written: Vec::new(), shut: None }
    }

    /// Shows on a terminal what is waited for.
    pub(super) fn doing(&self, text: &str) {
        self.show.doing(&plain(text));
    }

    pub(super) fn open(&mut self, check: Check, after: Duration, about: &str) {
        let (ms, about) = (milliseconds(after), plain(about));
        let object =
            json!({ "event": "outside", "way": check.name(), "open": true, "ms": ms, "about": about });
        self.write(check, &object, &format!("  open  {:<26}{ms:>7} ms  {about}", check.title()));
    }

    pub(super) fn shut(&mut self, check: Check, after: Duration, reason: &str, advice: Option<&str>) {
        let (ms, reason) = (milliseconds(after), plain(reason));
        let object = json!({
            "event": "outside", "way": check.name(), "open": false, "ms": ms, "reason": reason, "advice": advice,
        });
        let mut line = format!("  SHUT  {:<26}{ms:>7} ms  {reason}", check.title());
        if let Some(advice) = advice {
            line.push_str(&format!("\n        what to do: {advice}"));
        }
        self.write(check, &object, &line);
        self.shut.get_or_insert((check, reason));
    }

    /// Says that a way was left out, and why.
    pub(super) fn skip(&mut self, check: Check, why: &str) {
        let object = json!({ "event": "outside", "way": check.name(), "tried": false, "about": why });
        self.write(check, &object, &format!("  -     {:<26}            {why}", check.title()));
    }

    pub(super) fn note(&self, text: &str) {
        self.show.print(&json!({ "event": "note", "text": text }), &format!("  note  {}", plain(text)));
    }

    /// Writes what was not tried; fails with one sentence about the first way that is shut.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        for check in Check::ALL {
            if !self.written.contains(&check) {
                self.skip(check, "not tried");
            }
        }
        self.show.finish();
        match self.shut {
            Some((check, reason)) => Err(Failure::other(format!("{} is shut: {reason}", check.title()))),
            None => Ok(()),
        }
    }

    fn write(&mut self, check: Check, object: &Value, line: &str) {
        self.written.push(check);
        self.show.print(object, line.trim_end());
    }
}

fn milliseconds(after: Duration) -> u64 {
    u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
}
