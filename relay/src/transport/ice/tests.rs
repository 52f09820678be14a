//! Only an authenticated check changes anything; where media goes follows the nominations.

#![allow(clippy::unwrap_used)]

use is::stun::{StunMessage, TransId};

use super::*;
use crate::transport::ice::credentials::tests::credentials;

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
    assert!(!low.send(&mut agent, now, 2).unwrap().moved, "one nomination of a worse pair may be a stray");
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
