//! What is written of each way to the server: open or shut, how long it took, why, and what to do.

use std::time::Duration;

use serde_json::json;

use crate::cli::doctor::sheet::{self, Sheet, milliseconds};
use crate::cli::failure::{Failure, plain};

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
}

impl sheet::Check for Check {
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
pub(super) struct Shown(Sheet<Check>);

impl Shown {
    pub(super) fn begin(json: bool) -> Self {
        Self(Sheet::begin(json))
    }

    /// Shows on a terminal what is waited for.
    pub(super) fn doing(&self, text: &str) {
        self.0.doing(text);
    }

    pub(super) fn open(&mut self, check: Check, after: Duration, about: &str) {
        let (ms, about) = (milliseconds(after), plain(about));
        let object =
            json!({ "event": "outside", "way": check.name(), "open": true, "ms": ms, "about": about });
        self.0.good("open", check, ms, &about, &object);
    }

    pub(super) fn shut(&mut self, check: Check, after: Duration, reason: &str, advice: Option<&str>) {
        let (ms, reason) = (milliseconds(after), plain(reason));
        let object = json!({
            "event": "outside", "way": check.name(), "open": false, "ms": ms, "reason": reason, "advice": advice,
        });
        self.0.bad("SHUT", check, ms, (&reason, advice), &object);
    }

    /// Says that a way was left out, and why.
    pub(super) fn skip(&mut self, check: Check, why: &str) {
        let object = json!({ "event": "outside", "way": check.name(), "tried": false, "about": why });
        self.0.left_out(check, why, &object);
    }

    pub(super) fn note(&self, text: &str) {
        self.0.note(text);
    }

    /// Writes what was not tried; fails with one sentence about the first way that is shut.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        for check in Check::ALL {
            if !self.0.has(check) {
                self.skip(check, "not tried");
            }
        }
        match self.0.end() {
            Some((check, reason)) => {
                Err(Failure::other(format!("{} is shut: {reason}", sheet::Check::title(check))))
            }
            None => Ok(()),
        }
    }
}
