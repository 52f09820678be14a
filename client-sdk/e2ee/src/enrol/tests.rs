//! Enrolment over a mailbox that loses, repeats, reorders and exchanges.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they counted")]

mod honest;
mod hostile;
mod middle;

use std::time::Duration;

use latchkey_api::device_list::{ListHash, ListVersion, Role};
use latchkey_api::id::DeviceId;

use super::*;
use crate::identity::{DeviceIdentity, HouseholdRoot};
use crate::label::LabelKey;

const WALL: u64 = 1_800_000_000;

/// A moment so many seconds after the beginning.
fn at(seconds: u64) -> Moment {
    Moment { uptime: Duration::from_secs(1000 + seconds), unix_seconds: Some(WALL + seconds) }
}

/// A household as one of its admins tells of it.
struct Family {
    root: HouseholdRoot,
    label_key: LabelKey,
    admin: DeviceId,
    head: ListVersion,
}

impl Family {
    fn new(number: u8) -> Self {
        Self {
            root: HouseholdRoot::generate().unwrap().0,
            label_key: LabelKey::from_bytes(&[number; 16]),
            admin: DeviceId([number; 16]),
            head: ListVersion { version: 7, hash: ListHash([number; 32]) },
        }
    }

    fn household(&self) -> Household<'_> {
        Household {
            root_public: self.root.public(),
            label_key: &self.label_key,
            admin: self.admin,
            head: self.head,
        }
    }

    fn is_told_by(&self, membership: &Membership) -> bool {
        membership.root_public == self.root.public()
            && membership.label_key.to_bytes() == self.label_key.to_bytes()
            && membership.admin == self.admin
            && membership.head == self.head
    }
}

/// A new device, its keys, and what it has posted.
struct New {
    identity: DeviceIdentity,
    machine: NewDevice,
}

impl New {
    fn by_code(kind: Kind) -> (Self, Offer, Vec<u8>) {
        let identity = DeviceIdentity::generate().unwrap();
        let (machine, offer, hello) =
            NewDevice::by_code(&identity, kind, "http://127.0.0.1:9601/", at(0)).unwrap();
        // As it is scanned.
        let offer = offer.reveal().parse().unwrap();
        (Self { identity, machine }, offer, hello)
    }

    fn by_number(kind: Kind, number: PairingNumber) -> (Self, Vec<u8>) {
        let identity = DeviceIdentity::generate().unwrap();
        let (machine, commitment) = NewDevice::by_number(&identity, kind, number, at(0)).unwrap();
        (Self { identity, machine }, commitment)
    }

    fn receive(&mut self, mail: &[u8], now: Moment) -> Option<Vec<u8>> {
        self.machine.receive(&self.identity, mail, now)
    }

    fn digits(&self) -> Digits {
        match self.machine.stage() {
            NewDeviceStage::Comparing(digits) => digits,
            other => panic!("{other:?}"),
        }
    }
}

fn scan(offer: &Offer, role: Role) -> Admin {
    Admin::scan(offer, Terms::unlimited(role, "Front door"), at(0)).unwrap()
}

fn dial(number: PairingNumber, role: Role) -> Admin {
    Admin::dial(number, Terms::unlimited(role, "Front door"), at(0)).unwrap()
}

/// Both sides up to the digits: the admin asks for them, the new device shows them.
fn pair(kind: Kind) -> (New, Admin) {
    let number = PairingNumber::draw().unwrap();
    let (mut new, commitment) = New::by_number(kind, number);
    let role = if kind == Kind::Camera { Role::Camera } else { Role::Viewer };
    let mut admin = dial(number, role);
    let exchange = admin.receive(&commitment, at(1)).unwrap();
    let reveal = new.receive(&exchange, at(1)).unwrap();
    assert_eq!(admin.receive(&reveal, at(1)), None);
    assert_eq!(admin.stage(), AdminStage::Comparing);
    (new, admin)
}
