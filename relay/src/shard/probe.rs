//! Probes: credentials that somebody outside was given to learn, by STUN, whether its packets reach the media port.
//!
//! The relay answers nothing to strangers. Who holds fresh credentials is none: they are good for a few answers within
//! half a minute, open no session, and an answer is not larger than the question.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::StunMessage;

use crate::transport::ice::IceLite;
use crate::transport::ice::credentials::{Credentials, hmac_sha1};

/// The probes that one shard still answers.
#[derive(Default)]
pub(super) struct Probes {
    waiting: Vec<Waiting>,
}

struct Waiting {
    credentials: Credentials,
    until: Instant,
    answers: u8,
}

impl Probes {
    /// Takes credentials in; `false` when too many wait already.
    pub(super) fn open(&mut self, credentials: Credentials, now: Instant) -> bool {
        self.waiting.retain(|waiting| waiting.until > now);
        if self.waiting.len() >= MOST {
            return false;
        }
        self.waiting.push(Waiting { credentials, until: now + LIFE, answers: 0 });
        true
    }

    /// Answers a check that names a probe and proves its password: bytes in `answer`, or nothing.
    pub(super) fn answer(
        &mut self,
        message: &StunMessage<'_>,
        remote: SocketAddr,
        answer: &mut [u8; IceLite::ANSWER],
        now: Instant,
    ) -> Option<usize> {
        let (ufrag, _) = message.split_username()?;
        let probe = self.waiting.iter_mut().find(|waiting| waiting.credentials.ufrag == ufrag)?;
        let password = probe.credentials.pwd.as_bytes();
        let genuine = message.is_binding_request() && message.verify(password, hmac_sha1);
        if !genuine || probe.until <= now || probe.answers >= ANSWERS {
            return None;
        }
        probe.answers += 1;
        StunMessage::binding_reply(message.trans_id(), remote)
            .to_bytes(Some(password), answer, hmac_sha1)
            .ok()
    }
}

/// Probes that one shard keeps at once.
const MOST: usize = 16;
/// How long credentials are good.
const LIFE: Duration = Duration::from_secs(30);
/// Answers to one probe: datagrams get lost and are sent again.
const ANSWERS: u8 = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use is::stun::TransId;

    use super::*;
    use crate::transport::ice::credentials::tests::credentials;

    fn asked(probes: &mut Probes, user: &str, password: &str, now: Instant) -> Option<Vec<u8>> {
        let mut bytes = [0; 300];
        let request = StunMessage::binding_request(user, TransId::new(), true, 7, 100, false);
        let len = request.to_bytes(Some(password.as_bytes()), &mut bytes, hmac_sha1).unwrap();
        let message = StunMessage::parse(&bytes[..len]).unwrap();
        let mut answer = [0; IceLite::ANSWER];
        let remote = SocketAddr::from(([192, 0, 2, 1], 9));
        let written = probes.answer(&message, remote, &mut answer, now)?;
        assert!(written <= len * 12 / 10, "no amplification: {written} for {len}");
        Some(answer[..written].to_vec())
    }

    #[test]
    fn who_was_given_the_password_is_answered_a_few_times_and_nobody_else() {
        let (mut probes, now) = (Probes::default(), Instant::now());
        let given = credentials("Aprobe");
        assert!(probes.open(given.clone(), now));
        assert!(asked(&mut probes, "Aprobe:x", "a wrong password of good length", now).is_none());
        assert!(asked(&mut probes, "Aother:x", &given.pwd, now).is_none());
        for _ in 0..ANSWERS {
            let answer = asked(&mut probes, "Aprobe:x", &given.pwd, now).unwrap();
            let reply = StunMessage::parse(&answer).unwrap();
            assert!(reply.verify(given.pwd.as_bytes(), hmac_sha1));
            assert_eq!(reply.mapped_address(), Some(SocketAddr::from(([192, 0, 2, 1], 9))));
        }
        assert!(asked(&mut probes, "Aprobe:x", &given.pwd, now).is_none(), "used up");
    }

    #[test]
    fn a_probe_ends_by_itself_and_makes_place() {
        let (mut probes, now) = (Probes::default(), Instant::now());
        let given = credentials("Aprobe");
        assert!(probes.open(given.clone(), now));
        for index in 1..MOST {
            assert!(probes.open(credentials(&format!("A{index}")), now));
        }
        assert!(!probes.open(credentials("Amore"), now));
        assert!(asked(&mut probes, "Aprobe:x", &given.pwd, now + LIFE).is_none());
        assert!(probes.open(credentials("Amore"), now + LIFE));
    }
}
