//! ICE-lite (RFC 8445 section 2.5) for one peer: answers authenticated checks and learns from them where the peer is.
//!
//! STUN bytes are read and written by the `is` crate; its agent is not used, see `relay/docs/decisions/0022-ice-lite.md`.

pub(crate) mod credentials;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::StunMessage;

use crate::batch::Route;
use crate::transport::ice::credentials::{Credentials, hmac_sha1};

/// What this side knows of one peer's addresses.
pub(crate) struct IceLite {
    current: Generation,
    /// The credentials before an ICE restart; they hold until a check with the new ones nominates an address.
    former: Option<Generation>,
    paths: Vec<Path>,
    selected: Option<Selected>,
    /// Who was nominated last against the selected address.
    challenger: Option<SocketAddr>,
    last_check: Option<Instant>,
}

struct Generation {
    local: Credentials,
    remote: Credentials,
}

struct Path {
    remote: SocketAddr,
    last_check: Instant,
}

#[derive(Clone, Copy)]
struct Selected {
    route: Route,
    priority: u32,
    last_check: Instant,
}

/// What an authenticated check changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Bytes of the answer in the buffer.
    pub(crate) answer: usize,
    /// The address is one of the peer's from now on.
    pub(crate) learnt: bool,
    /// This address is no longer one of the peer's.
    pub(crate) forgotten: Option<SocketAddr>,
    /// Media goes elsewhere from now on.
    pub(crate) moved: bool,
    /// The credentials before a restart are void now: their user fragment.
    pub(crate) retired: Option<String>,
}

/// Why a check is not answered. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckError {
    /// The user name is not of this session, or the integrity does not hold.
    Auth,
    /// Not a Binding request: ICE-lite sends none, so it expects no answers.
    Unexpected,
}

impl IceLite {
    /// Bytes that an answer needs at most.
    pub(crate) const ANSWER: usize = 160;
    /// Addresses that one peer may use at once.
    pub(crate) const MAX_PATHS: usize = 8;

    pub(crate) fn new(local: Credentials, remote: Credentials) -> Self {
        Self {
            current: Generation { local, remote },
            former: None,
            paths: Vec::new(),
            selected: None,
            challenger: None,
            last_check: None,
        }
    }

    /// Begins an ICE restart. Returns the user fragment of credentials that are void at once: those of a restart before,
    /// when it was never used.
    pub(crate) fn restart(&mut self, local: Credentials, remote: Credentials) -> Option<String> {
        let before = std::mem::replace(&mut self.current, Generation { local, remote });
        let unused = match self.former {
            // The former ones still carry the connection; the restart that came to nothing is void.
            Some(_) => before,
            None => {
                self.former = Some(before);
                return None;
            }
        };
        Some(unused.local.ufrag)
    }

    /// Checks a STUN message that names this session and answers it into `answer`.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        route: &Route,
        message: &StunMessage<'_>,
        answer: &mut [u8; Self::ANSWER],
    ) -> Result<Checked, CheckError> {
        if !message.is_binding_request() {
            return Err(CheckError::Unexpected);
        }
        let is_current = self.current.authenticates(message);
        let former = self.former.as_ref().filter(|former| !is_current && former.authenticates(message));
        let Some(generation) = former.or(is_current.then_some(&self.current)) else {
            return Err(CheckError::Auth);
        };
        let conflict = message.ice_controlled().is_some();
        let reply = if conflict {
            // Lite never controls, so the other side must (RFC 8445 section 7.3.1.1).
            StunMessage::binding_role_conflict_reply(message.trans_id())
        } else {
            StunMessage::binding_reply(message.trans_id(), route.remote)
        };
        let password = generation.local.pwd.as_bytes();
        let mut checked = Checked {
            // The buffer is large enough by construction; were it not, the peer would simply get no answer.
            answer: reply.to_bytes(Some(password), answer, hmac_sha1).unwrap_or(0),
            ..Checked::default()
        };
        if conflict {
            return Ok(checked);
        }
        self.last_check = Some(now);
        self.note_path(now, route.remote, &mut checked);
        let priority = message.prio().unwrap_or(0);
        let restarted = is_current && self.former.is_some();
        if self.moves_to(now, route, priority, message.use_candidate(), restarted) {
            checked.moved = self.selected.is_none_or(|selected| selected.route != *route);
            self.selected = Some(Selected { route: *route, priority, last_check: now });
            self.challenger = None;
            if restarted {
                checked.retired = self.former.take().map(|former| former.local.ufrag);
            }
        }
        Ok(checked)
    }

    /// Where media goes.
    pub(crate) fn selected(&self) -> Option<&Route> {
        self.selected.as_ref().map(|selected| &selected.route)
    }

    /// When the address was last checked; `None` when it is not the peer's.
    pub(crate) fn last_check_from(&self, remote: &SocketAddr) -> Option<Instant> {
        self.paths.iter().find(|path| path.remote == *remote).map(|path| path.last_check)
    }

    /// The address belongs to another session now.
    pub(crate) fn lose(&mut self, remote: &SocketAddr) {
        self.paths.retain(|path| path.remote != *remote);
        self.selected.take_if(|selected| selected.route.remote == *remote);
    }

    /// When the last authenticated check came.
    pub(crate) fn last_check(&self) -> Option<Instant> {
        self.last_check
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.paths.iter().map(|path| &path.remote)
    }

    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.former).map(|generation| generation.local.ufrag.as_str())
    }

    fn note_path(&mut self, now: Instant, remote: SocketAddr, checked: &mut Checked) {
        if let Some(path) = self.paths.iter_mut().find(|path| path.remote == remote) {
            path.last_check = now;
            return;
        }
        checked.learnt = true;
        if self.paths.len() == Self::MAX_PATHS {
            let in_use = self.selected.map(|selected| selected.route.remote);
            let oldest = (0..self.paths.len())
                .filter(|i| Some(self.paths[*i].remote) != in_use)
                .min_by_key(|i| self.paths[*i].last_check)
                .expect("all but one of several paths are not the selected one");
            checked.forgotten = Some(self.paths.swap_remove(oldest).remote);
        }
        self.paths.push(Path { remote, last_check: now });
    }

    /// Whether an authenticated check from `route` makes it the selected one.
    ///
    /// The newest nomination wins, so that a phone may change networks. Clients that nominate every pair they check (the
    /// former "aggressive" way) settle on the one of highest priority, as one of them must come twice in a row to win
    /// against a better one. An address that went silent gives way to any other that is checked: a NAT moved.
    fn moves_to(
        &mut self,
        now: Instant,
        route: &Route,
        priority: u32,
        nominated: bool,
        restarted: bool,
    ) -> bool {
        let Some(selected) = &mut self.selected else { return nominated };
        if selected.route.remote == route.remote {
            selected.last_check = now;
            if nominated {
                self.challenger = None;
            }
            return restarted && nominated || selected.route.local != route.local;
        }
        if !nominated {
            return now - selected.last_check > SILENT;
        }
        let twice = self.challenger.replace(route.remote) == Some(route.remote);
        restarted || twice || priority > selected.priority || now - selected.last_check > SILENT
    }
}

impl Generation {
    fn authenticates(&self, message: &StunMessage<'_>) -> bool {
        let Some((local, remote)) = message.split_username() else { return false };
        local == self.local.ufrag
            && remote == self.remote.ufrag
            && message.verify(self.local.pwd.as_bytes(), hmac_sha1)
    }
}

/// Twice the longest usual interval between checks.
const SILENT: Duration = Duration::from_secs(6);
