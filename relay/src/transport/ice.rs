//! ICE-lite (RFC 8445 section 2.5) for one peer: answers authenticated checks and learns from them where the peer is.
//!
//! STUN bytes are read and written by the `is` crate; its agent is not used, see `relay/docs/decisions/0022-ice-lite.md`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use is::stun::StunMessage;
use zeroize::Zeroizing;

use crate::batch::Route;

/// User fragment and password of one side.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: Zeroizing<String>,
}

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

impl Credentials {
    /// Draws new ones. The first character of the user fragment names the shard, the rest is random: 42 bits of user
    /// fragment and 144 bits of password (RFC 8445 section 5.3 wants 24 and 128).
    pub(crate) fn random(shard: usize) -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; UFRAG - 1 + PASSWORD]);
        getrandom::fill(&mut random[..])?;
        let mut characters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
        let mut ufrag = String::from(char::from(ALPHABET[shard]));
        ufrag.extend(characters.by_ref().take(UFRAG - 1));
        Ok(Self { ufrag, pwd: Zeroizing::new(characters.collect()) })
    }
}

/// The shard that a user fragment of ours names; `None` when it is not one of ours.
pub(crate) fn shard_of(ufrag: &str) -> Option<usize> {
    let first = ufrag.bytes().next()?;
    ALPHABET.iter().position(|character| *character == first)
}

impl Generation {
    fn authenticates(&self, message: &StunMessage<'_>) -> bool {
        let Some((local, remote)) = message.split_username() else { return false };
        local == self.local.ufrag
            && remote == self.remote.ufrag
            && message.verify(self.local.pwd.as_bytes(), hmac_sha1)
    }
}

/// What STUN signs with (RFC 8489 section 14.5).
pub(crate) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 20];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// The characters that ICE allows (RFC 8839 section 5.4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const UFRAG: usize = 8;
const PASSWORD: usize = 24;
/// Twice the longest usual interval between checks.
const SILENT: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use is::stun::{StunMessage, TransId};

    use super::*;

    fn credentials(name: &str) -> Credentials {
        Credentials {
            ufrag: name.to_owned(),
            pwd: Zeroizing::new(format!("password of {name}, long enough")),
        }
    }

    fn agent() -> IceLite {
        IceLite::new(credentials("relay"), credentials("peer"))
    }

    fn route(port: u16) -> Route {
        Route { remote: SocketAddr::from(([192, 0, 2, 1], port)), local: None }
    }

    struct Check {
        user: &'static str,
        password: String,
        priority: u32,
        nominate: bool,
        controlling: bool,
    }

    impl Check {
        fn good() -> Self {
            let password = credentials("relay").pwd.to_string();
            Self { user: "relay:peer", password, priority: 100, nominate: true, controlling: true }
        }

        fn send(&self, agent: &mut IceLite, now: Instant, port: u16) -> Result<Checked, CheckError> {
            let mut bytes = [0; 300];
            let message = StunMessage::binding_request(
                self.user,
                TransId::new(),
                self.controlling,
                7,
                self.priority,
                self.nominate,
            );
            let len = message.to_bytes(Some(self.password.as_bytes()), &mut bytes, hmac_sha1).unwrap();
            let message = StunMessage::parse(&bytes[..len]).unwrap();
            agent.check(now, &route(port), &message, &mut [0; IceLite::ANSWER])
        }
    }

    #[test]
    fn only_an_authenticated_check_changes_anything() {
        let (mut agent, now) = (agent(), Instant::now());
        let forged = [
            Check { password: "a wrong password of good length".to_owned(), ..Check::good() },
            Check { user: "relay:stranger", ..Check::good() },
            Check { user: "other:peer", ..Check::good() },
        ];
        for check in forged {
            assert_eq!(check.send(&mut agent, now, 1), Err(CheckError::Auth));
        }
        assert!(
            agent.selected().is_none()
                && agent.last_check_from(&route(1).remote).is_none()
                && agent.last_check().is_none()
        );
        let checked = Check::good().send(&mut agent, now, 1).unwrap();
        assert!(checked.learnt && checked.moved && checked.answer > 0);
        assert_eq!(agent.selected(), Some(&route(1)));
    }

    #[test]
    fn the_answer_names_the_address_and_can_be_verified() {
        let (mut agent, now) = (agent(), Instant::now());
        let mut bytes = [0; 300];
        let request = StunMessage::binding_request("relay:peer", TransId::new(), true, 7, 100, false);
        let password = credentials("relay").pwd;
        let len = request.to_bytes(Some(password.as_bytes()), &mut bytes, hmac_sha1).unwrap();
        let message = StunMessage::parse(&bytes[..len]).unwrap();
        let mut answer = [0; IceLite::ANSWER];
        let checked = agent.check(now, &route(9), &message, &mut answer).unwrap();
        let reply = StunMessage::parse(&answer[..checked.answer]).unwrap();
        assert!(reply.is_successful_binding_response() && reply.verify(password.as_bytes(), hmac_sha1));
        assert_eq!(reply.mapped_address(), Some(route(9).remote));
        assert!(checked.answer <= len * 12 / 10, "no amplification: {} for {len}", checked.answer);
        assert!(agent.selected().is_none(), "not nominated yet");
    }

    #[test]
    fn a_peer_moves_when_it_nominates_another_address() {
        let (mut agent, now) = (agent(), Instant::now());
        let low = Check { priority: 1, ..Check::good() };
        assert!(Check::good().send(&mut agent, now, 1).unwrap().moved);
        assert!(
            !low.send(&mut agent, now, 2).unwrap().moved,
            "one nomination of a worse pair may be a stray"
        );
        assert!(low.send(&mut agent, now, 2).unwrap().moved, "two in a row are meant");
        assert!(Check::good().send(&mut agent, now, 1).unwrap().moved, "a better pair wins at once");
        let unnominated = Check { nominate: false, ..Check::good() };
        assert!(!unnominated.send(&mut agent, now, 3).unwrap().moved);
        let later = now + SILENT + Duration::from_millis(1);
        assert!(unnominated.send(&mut agent, later, 3).unwrap().moved, "the old address went silent");
    }

    #[test]
    fn addresses_are_bounded_and_the_selected_one_stays() {
        let (mut agent, now) = (agent(), Instant::now());
        Check::good().send(&mut agent, now, 1).unwrap();
        let other = Check { nominate: false, ..Check::good() };
        for port in 2..100 {
            let checked = other.send(&mut agent, now + Duration::from_millis(u64::from(port)), port).unwrap();
            assert_eq!(checked.forgotten.is_some(), usize::from(port) > IceLite::MAX_PATHS);
        }
        let known = |port| agent.last_check_from(&route(port).remote).is_some();
        assert!(known(1) && known(99) && !known(2));
        assert_eq!(agent.addresses().count(), IceLite::MAX_PATHS);
    }

    #[test]
    fn a_restart_keeps_the_old_path_until_the_new_one_works() {
        let (mut agent, now) = (agent(), Instant::now());
        Check::good().send(&mut agent, now, 1).unwrap();
        assert_eq!(agent.restart(credentials("unused"), credentials("peer2")), None);
        assert_eq!(agent.restart(credentials("relay2"), credentials("peer2")), Some("unused".to_owned()));
        assert!(Check::good().send(&mut agent, now, 1).is_ok(), "old credentials still hold");
        let password = credentials("relay2").pwd.to_string();
        let fresh = Check { user: "relay2:peer2", password, priority: 1, ..Check::good() };
        let checked = fresh.send(&mut agent, now, 2).unwrap();
        assert!(checked.moved);
        assert_eq!(checked.retired, Some("relay".to_owned()));
        assert_eq!(Check::good().send(&mut agent, now, 1), Err(CheckError::Auth), "old credentials are void");
    }

    #[test]
    fn a_peer_that_does_not_control_is_told_so() {
        let (mut agent, now) = (agent(), Instant::now());
        let lite = Check { controlling: false, ..Check::good() };
        let checked = lite.send(&mut agent, now, 1).unwrap();
        assert!(checked.answer > 0 && !checked.learnt && agent.selected().is_none());
    }

    #[test]
    fn user_fragments_name_their_shard() {
        for shard in [0, 1, 25, 61] {
            let drawn = Credentials::random(shard).unwrap();
            assert_eq!(shard_of(&drawn.ufrag), Some(shard));
            assert_eq!((drawn.ufrag.len(), drawn.pwd.len()), (UFRAG, PASSWORD));
            assert_ne!(drawn.ufrag, Credentials::random(shard).unwrap().ufrag);
        }
        assert_eq!(shard_of("é"), None);
        assert_eq!(shard_of(""), None);
    }
}
