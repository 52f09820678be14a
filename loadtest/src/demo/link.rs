//! The demo's link: opens the web app in a browser that is let into the household by it, once. A used or old link is
//! followed by the next.

use std::time::Duration;

use latchkey::qr::{self, Ink};
use zeroize::Zeroizing;

use crate::demo::told::{is_terminal, say, show};
use crate::household::{Device, Household, Invite, Role, is};
use crate::process::Process;
use crate::server::Doors;

/// Where the app is, and for whom.
pub(super) struct Page {
    /// Base URL.
    pub(super) url: String,
    /// Which devices can use it, in words.
    pub(super) devices: String,
    /// The page that helps them trust the household CA, where there is one.
    pub(super) install: Option<String>,
}

/// The link that is good now.
pub(super) struct Link {
    page: Page,
    /// The admin whose invites it carries: one that does nothing else meanwhile.
    admin: Device,
    /// Waits for the browser; none until the link is wanted.
    invite: Option<Process>,
    /// How many browsers came by a link.
    joined: usize,
    /// The present invite has let somebody in.
    used: bool,
}

impl Page {
    /// The best address of the server that has the app.
    pub(super) fn of(doors: &Doors) -> Self {
        let first = doors.open.first();
        let url = first.map_or_else(|| doors.signaling_url.clone(), |open| open.url.clone());
        let devices = first.map_or_else(|| "this machine".to_owned(), |open| open.devices.clone());
        // The install page is bound on all addresses; devices dial the one that the app has.
        let install = doors.install_url.as_ref().and_then(|install| {
            let mut at = url::Url::parse(&url).ok()?;
            let port = url::Url::parse(install).ok()?.port()?;
            at.set_scheme("http").ok()?;
            at.set_port(Some(port)).ok()?;
            Some(at.to_string())
        });
        Self { url, devices, install }
    }
}

impl Link {
    pub(super) fn new(page: Page, admin: Device) -> Self {
        Self { page, admin, invite: None, joined: 0, used: false }
    }

    /// Returns whether a browser has come in by a link: it may do there what an admin may.
    pub(super) fn was_used(&self) -> bool {
        self.joined > 0
    }

    /// Goes on as far as it can without waiting: shows a link, hears who came by it, makes the next one.
    pub(super) fn go_on(&mut self, household: &Household) -> anyhow::Result<()> {
        let Some(invite) = &mut self.invite else {
            let name = match self.joined {
                0 => "Browser".to_owned(),
                others => format!("Browser {}", others + 1),
            };
            let Invite { process } = household.invite(&self.admin, Role::Admin, &name)?;
            self.invite = Some(process);
            self.used = false;
            return Ok(());
        };
        loop {
            match invite.next_event(Duration::ZERO) {
                Ok(Some(event)) if is(&event, "invite") => {
                    let code = Zeroizing::new(event["code"].as_str().unwrap_or_default().to_owned());
                    return self.page.show(&code);
                }
                Ok(Some(event)) if is(&event, "joined") => {
                    self.joined += 1;
                    self.used = true;
                    say("browser", "has joined by the link, with keys of its own; the link is good no more");
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                // It ends when somebody has joined, or when nobody has for ten minutes.
                Err(_) if self.used => break,
                Err(_) if invite.last_words().lines().last().is_some_and(|last| last.contains(TOO_LATE)) => {
                    say("link", "nobody has used it, and it is too old now");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.invite = None;
        Ok(())
    }
}

impl Page {
    fn show(&self, code: &str) -> anyhow::Result<()> {
        let link = Zeroizing::new(format!("{}/#{code}", self.url.trim_end_matches('/')));
        let ink = if is_terminal() { Ink::Colours } else { Ink::LightOnDark };
        let drawn = qr::terminal(&link, ink)?;
        if let Some(install) = &self.install {
            say("phone, first", &format!("open {install} there, once, and do what the page says"));
        }
        say("open this", &link);
        show(&drawn);
        say("works for", &self.devices);
        say("good once", "one browser joins the household by it; then comes the next link");
        if self.install.is_none() {
            say("for a phone", "make demo DEMO_LAN=1");
        }
        Ok(())
    }
}

/// What the end of an invite's log says when nobody came.
const TOO_LATE: &str = "nobody joined within 10 minutes";
