//! Whatever lies in the mailbox: neither side of an enrolment believes it. Codes and numbers have one meaning.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_e2ee::enrol::{
    Admin, AdminStage, Kind, Moment, NewDevice, NewDeviceStage, Offer, PairingNumber, Terms,
};
use latchkey_e2ee::identity::DeviceIdentity;
use libfuzzer_sys::fuzz_target;

const NOW: Moment = Moment { uptime: Duration::from_secs(9), unix_seconds: Some(1_800_000_000) };

fn identity() -> &'static DeviceIdentity {
    static IDENTITY: OnceLock<DeviceIdentity> = OnceLock::new();
    IDENTITY.get_or_init(|| DeviceIdentity::generate().expect("random bytes"))
}

fuzz_target!(|bytes: &[u8]| {
    let device = identity();
    let (mut new, offer, _) =
        NewDevice::by_code(device, Kind::Viewer, "https://example.net", NOW).expect("a usable address");
    let mut admin =
        Admin::scan(&offer, Terms::unlimited(Role::Viewer, "phone"), NOW).expect("terms that fit");
    let number: PairingNumber = "123 456".parse().or_else(|_| PairingNumber::draw()).expect("a number");
    let (mut numbered, _) = NewDevice::by_number(device, Kind::Viewer, number, NOW).expect("random bytes");
    let mut dialled =
        Admin::dial(number, Terms::unlimited(Role::Viewer, "phone"), NOW).expect("terms that fit");
    // The first two bytes say where the mailbox is cut into messages.
    let cut = bytes.first_chunk::<2>().map_or(0, |cut| usize::from(u16::from_be_bytes(*cut)));
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    for mail in [first, second, bytes] {
        new.receive(device, mail, NOW);
        numbered.receive(device, mail, NOW);
        admin.receive(mail, NOW);
        dialled.receive(mail, NOW);
    }
    assert!(new.membership().is_none() && numbered.membership().is_none());
    assert!(!matches!(new.stage(), NewDeviceStage::Confirmed { .. }));
    assert!(!matches!(admin.stage(), AdminStage::Ready { .. } | AdminStage::Confirmed { .. }));

    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(offer) = text.parse::<Offer>() {
            assert!(offer.reveal().parse::<Offer>().is_ok());
        }
        if let Ok(number) = text.parse::<PairingNumber>() {
            assert_eq!(number.to_string().parse(), Ok(number));
        }
    }
});
