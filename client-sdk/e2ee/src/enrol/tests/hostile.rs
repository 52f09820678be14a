//! A mailbox in hostile hands, without the code: nothing it does lets somebody else in, or the device in elsewhere.

use proptest::prelude::*;

use super::*;

/// What the mailbox does with a message on its way.
#[derive(Clone, Debug)]
enum Deed {
    Carry,
    Drop,
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    /// The message of the same kind from an enrolment of its own.
    Exchange,
    /// Anything.
    Invent(Vec<u8>),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => Just(Deed::Carry),
        1 => Just(Deed::Drop),
        2 => (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Deed::Flip(at, bit)),
        1 => any::<prop::sample::Index>().prop_map(Deed::Cut),
        3 => Just(Deed::Exchange),
        1 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Deed::Invent),
    ];
    prop::collection::vec(deed, 12)
}

fn carried(deed: &Deed, mail: &[u8], own: &[u8]) -> Option<Vec<u8>> {
    match deed {
        Deed::Carry => Some(mail.to_vec()),
        Deed::Drop => None,
        Deed::Flip(at, bit) => {
            let mut bent = mail.to_vec();
            let at = at.index(bent.len());
            bent[at] ^= 1 << bit;
            Some(bent)
        }
        Deed::Cut(at) => Some(mail[..at.index(mail.len())].to_vec()),
        Deed::Exchange => Some(own.to_vec()),
        Deed::Invent(bytes) => Some(bytes.clone()),
    }
}

proptest! {
    #[test]
    fn without_the_code_nobody_else_gets_in_or_takes_the_device(deeds in deeds()) {
        let mut deeds = deeds.iter().cycle();
        let mut deed = || deeds.next().unwrap();
        let (mut new, offer, hello) = New::by_code(Kind::Camera);
        let family = Family::new(1);
        let mut admin = scan(&offer, Role::Camera);

        // The attacker's own enrolment in its own household, complete.
        let thieves = Family::new(9);
        let (mut stooge, stooge_offer, stooge_hello) = New::by_code(Kind::Camera);
        let mut thief = scan(&stooge_offer, Role::Camera);
        thief.receive(&stooge_hello, at(1));
        let stooge_invitation = thief.invite(&thieves.household(), at(1)).unwrap();
        let stooge_confirmation = stooge.receive(&stooge_invitation, at(1)).unwrap();
        thief.receive(&stooge_confirmation, at(1));
        let stooge_verdict = thief.confirmed().unwrap().verdict(Some(3));

        for _ in 0..3 {
            if let Some(mail) = carried(deed(), &hello, &stooge_hello) {
                admin.receive(&mail, at(1));
            }
        }
        let mut confirmations = Vec::new();
        if let Ok(invitation) = admin.invite(&family.household(), at(1)) {
            for _ in 0..3 {
                if let Some(mail) = carried(deed(), &invitation, &stooge_invitation) {
                    confirmations.extend(new.receive(&mail, at(1)));
                }
            }
        }
        for confirmation in confirmations.iter().chain([&stooge_confirmation]) {
            if let Some(mail) = carried(deed(), confirmation, &stooge_confirmation) {
                admin.receive(&mail, at(1));
            }
        }
        if let Some(membership) = new.machine.membership() {
            prop_assert!(family.is_told_by(membership));
            new.receive(&stooge_verdict, at(1));
            prop_assert_eq!(new.machine.stage(), NewDeviceStage::Confirmed, "a foreign verdict counts");
        }
        let accepted = new.machine.membership().is_some();
        match admin.confirmed() {
            Ok(confirmed) => {
                prop_assert_eq!(confirmed.public(), &new.identity.public());
                prop_assert!(accepted, "signed for a device that has not accepted");
            }
            Err(error) => prop_assert!(!matches!(error, AdminError::Terms(_))),
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        mails in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        first in 0x10..0x19_u8,
    ) {
        let number = PairingNumber::draw().unwrap();
        let (mut shown, offer, _) = New::by_code(Kind::Viewer);
        let (mut numbered, _) = New::by_number(Kind::Viewer, number);
        let mut admins = [scan(&offer, Role::Viewer), dial(number, Role::Viewer)];
        for mut mail in mails {
            if let Some(byte) = mail.first_mut() {
                *byte = first;
            }
            for admin in &mut admins {
                admin.receive(&mail, at(1));
                prop_assert!(admin.stage() != AdminStage::Confirmed);
            }
            shown.receive(&mail, at(1));
            numbered.receive(&mail, at(1));
            prop_assert!(shown.machine.membership().is_none() && numbered.machine.membership().is_none());
        }
    }
}

#[test]
fn exchanged_keys_are_an_alarm() {
    let (_, offer, _) = New::by_code(Kind::Camera);
    let (_, _, stranger) = New::by_code(Kind::Camera);
    let mut admin = scan(&offer, Role::Camera);
    for _ in 0..5 {
        admin.receive(&stranger, at(1));
        assert_eq!(admin.stage(), AdminStage::Looking, "one message counts once");
    }
    admin.give_up();
    assert_eq!(admin.stage(), AdminStage::Failed(AdminError::KeysSwapped));

    let mut admin = scan(&offer, Role::Camera);
    for _ in 0..3 {
        let (_, _, stranger) = New::by_code(Kind::Camera);
        admin.receive(&stranger, at(1));
    }
    assert_eq!(admin.stage(), AdminStage::Failed(AdminError::KeysSwapped));
}

#[test]
fn the_third_message_that_does_not_fit_ends_it() {
    let (mut new, offer, hello) = New::by_code(Kind::Camera);
    let junk = |number: u8| [&[0x15][..], &[number; 100]].concat();
    for number in [1, 1, 2, 2, 1] {
        new.receive(&junk(number), at(1));
        assert_eq!(new.machine.stage(), NewDeviceStage::Waiting);
    }
    new.receive(&junk(3), at(1));
    assert_eq!(new.machine.stage(), NewDeviceStage::Failed(NewDeviceError::TooManyTries));
    let mut admin = scan(&offer, Role::Camera);
    admin.receive(&hello, at(1));
    let invitation = admin.invite(&Family::new(1).household(), at(1)).unwrap();
    assert_eq!(new.receive(&invitation, at(1)), None, "dead is dead");

    // After the confirmation junk ends nothing: the admin may have signed.
    let (mut new, offer, hello) = New::by_code(Kind::Camera);
    let mut admin = scan(&offer, Role::Camera);
    admin.receive(&hello, at(1));
    new.receive(&admin.invite(&Family::new(1).household(), at(1)).unwrap(), at(1)).unwrap();
    for number in 0..9 {
        new.receive(&junk(number), at(1));
        new.receive(&[&[0x17][..], &[number; 40]].concat(), at(1));
    }
    assert_eq!(new.machine.stage(), NewDeviceStage::Confirmed);
}
