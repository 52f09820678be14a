//! Enrolment over a real server: by QR code and by six digits, and every way in which it comes to nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they saw")]

mod house;

use house::{House, LIMIT};
use latchkey::devices::DevicesError;
use latchkey::home::{self, Home};
use latchkey::household::{
    Accepted, Arrival, ArrivalConfig, ArrivalError, LetIn, LetInError, Met, fresh, machine_clock,
};
use latchkey::qr;
use latchkey_api::device_list::{DeviceList, ListHash, Reason, Right, Rights, Role, Signer};
use latchkey_e2ee::enrol::{
    Admin, AdminError, AdminStage, Household, Kind, Moment, NewDevice, NewDeviceError, Offer, PairingNumber,
    Terms, TermsError, Typed,
};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::label::{LabelKey, seal_label};
use latchkey_household::vault::Vault;

/// A new device's empty vault, and what it begins with.
fn arriving(house: &House, name: &str, kind: Kind) -> (Vault, ArrivalConfig) {
    (fresh(&house.home(name)).unwrap(), ArrivalConfig::new(house.url(), kind))
}

async fn by_code(house: &House, name: &str, kind: Kind) -> Result<(Arrival, Offer), ArrivalError> {
    let (vault, config) = arriving(house, name, kind);
    Arrival::by_code(vault, config).await
}

async fn by_number(house: &House, name: &str, kind: Kind) -> Result<(Arrival, PairingNumber), ArrivalError> {
    let (vault, config) = arriving(house, name, kind);
    Arrival::by_number(vault, config).await
}

/// Invites the device that was met and waits until it has accepted.
async fn invite(mut meeting: LetIn, home: &mut Home) -> Result<Accepted, LetInError> {
    meeting.invite(home).await?;
    meeting.accepted().await
}

/// The newest list of an admin, read from the server.
async fn version(home: &mut Home) -> u64 {
    let signaling = home.signaling();
    home.refresh(&signaling).await.unwrap();
    home.list().unwrap().version
}

/// What an admin reads from a picture of what the new device shows.
fn photographed(house: &House, offer: &Offer) -> Offer {
    let path = house.home("photo.png");
    std::fs::write(&path, qr::png(&offer.reveal()).unwrap()).unwrap();
    qr::read(&path).unwrap()[0].parse().unwrap()
}

/// One clear sentence.
fn said(error: &impl std::fmt::Display) -> String {
    let sentence = error.to_string();
    println!("{sentence}");
    assert!(!sentence.contains('\n') && sentence.len() < 400, "{sentence}");
    sentence
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_a_guest_and_an_admin_come_in_by_qr_code() {
    let house = House::open().await;
    house.found("ada").await;
    let mut ada = home::open(&house.home("ada")).unwrap();
    let mut door = None;
    for (name, kind, role) in [
        ("door", Kind::Camera, Role::Camera),
        ("sitter", Kind::Viewer, Role::Guest),
        ("bob", Kind::Viewer, Role::Admin),
    ] {
        let (arrival, offer) = by_code(&house, name, kind).await.unwrap();
        assert_eq!(offer.kind(), kind);
        let offer = photographed(&house, &offer);
        let end = machine_clock().unwrap() + 3 * 24 * 3600;
        let rights = Rights::of(&[Right::See, Right::Talk]);
        let terms = match door {
            Some(door) if role == Role::Guest => Terms::guest(name, vec![door], rights, end),
            _ => Terms::unlimited(role, name),
        };
        let adding = async {
            let mut meeting = LetIn::by_code(&ada, &offer, terms).unwrap();
            assert_eq!(meeting.meet().await.unwrap(), Met::Sure(kind));
            let accepted = invite(meeting, &mut ada).await.unwrap();
            (accepted.digits(), accepted.sign(&mut ada).await.unwrap())
        };
        let arriving = async {
            let mut arrival = arrival;
            let glance = arrival.invited().await.unwrap().digits;
            (glance, arrival.listed().await.unwrap())
        };
        let ((at_admin, invited), (at_new, home)) =
            tokio::time::timeout(LIMIT, async { tokio::join!(adding, arriving) }).await.unwrap();
        assert_eq!(at_admin, at_new, "both screens show the same digits");
        assert_eq!(invited.device, home.device());
        assert_eq!(home.chain().root_public(), ada.chain().root_public());
        let entry = home.entry().unwrap();
        assert_eq!(entry.role, role);
        assert_eq!(home.label(entry), name);
        if role == Role::Guest {
            assert_eq!(entry.cameras, door.map(|door| vec![door]));
            assert_eq!((entry.rights, entry.not_after), (rights, Some(end)));
        }
        if role == Role::Camera {
            door = Some(home.device());
        }
        // It can be opened again as a device of this household.
        drop(home);
        assert_eq!(home::open(&house.home(name)).unwrap().role().unwrap(), role);
    }

    // Each code is good once; nobody is let in by the second try, by whichever admin.
    let (arrival, offer) = by_code(&house, "late", Kind::Viewer).await.unwrap();
    let first = async {
        let mut meeting = LetIn::by_code(&ada, &offer, Terms::unlimited(Role::Viewer, "late")).unwrap();
        meeting.meet().await.unwrap();
        invite(meeting, &mut ada).await.unwrap().sign(&mut ada).await.unwrap()
    };
    let (invited, home) = tokio::join!(first, arrival.listed());
    home.unwrap();
    let mut bob = home::open(&house.home("bob")).unwrap();
    assert_eq!(version(&mut bob).await, invited.list_version);
    let mut again = LetIn::by_code(&bob, &offer, Terms::unlimited(Role::Viewer, "again")).unwrap();
    let error = again.meet().await.unwrap_err();
    assert_eq!(error, LetInError::Enrolment(AdminError::Used));
    assert!(said(&error).contains("good once"));
    assert_eq!(version(&mut bob).await, invited.list_version);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_digits_decide_where_nothing_can_be_scanned() {
    let house = House::open().await;
    house.found("ada").await;
    let mut ada = home::open(&house.home("ada")).unwrap();
    let before = version(&mut ada).await;

    // Three times other digits than the new device shows: nobody is let in.
    let (mut arrival, number) = by_number(&house, "bob", Kind::Viewer).await.unwrap();
    let mut meeting = LetIn::by_number(&ada, number, Terms::unlimited(Role::Viewer, "bob")).unwrap();
    let (met, digits) = tokio::join!(meeting.meet(), arrival.digits());
    assert_eq!(met.unwrap(), Met::AskDigits);
    let wrong = if digits.unwrap().are("000000") { "000001" } else { "000000" };
    for left in [2, 1, 0] {
        assert_eq!(meeting.type_digits(wrong), Typed::Wrong { left });
    }
    let error = invite(meeting, &mut ada).await.unwrap_err();
    assert_eq!(error, LetInError::Enrolment(AdminError::DigitsDiffer));
    assert!(said(&error).contains("in between"));
    assert_eq!(said(&arrival.digits_fit(false).await.unwrap_err()), said(&NewDeviceError::DigitsDiffer));
    drop(arrival);
    assert!(!house.home("bob").exists(), "nothing is left behind");
    assert_eq!(version(&mut ada).await, before);

    // The right ones, and a yes at the new device.
    let (mut arrival, number) = by_number(&house, "bob", Kind::Viewer).await.unwrap();
    let mut meeting = LetIn::by_number(&ada, number, Terms::unlimited(Role::Viewer, "bob")).unwrap();
    let (met, digits) = tokio::join!(meeting.meet(), arrival.digits());
    met.unwrap();
    assert_eq!(meeting.type_digits(&digits.unwrap().to_string()), Typed::Right);
    let adding = async { invite(meeting, &mut ada).await.unwrap().sign(&mut ada).await.unwrap() };
    let arriving_too = async {
        arrival.digits_fit(true).await.unwrap();
        arrival.listed().await.unwrap()
    };
    let (invited, home) =
        tokio::time::timeout(LIMIT, async { tokio::join!(adding, arriving_too) }).await.unwrap();
    assert_eq!(home.list().unwrap().version, invited.list_version);
    assert_eq!(home.role().unwrap(), Role::Viewer);

    // A number that was answered is answered to others no more.
    let (mut arrival, number) = by_number(&house, "eve", Kind::Viewer).await.unwrap();
    let mut meeting = LetIn::by_number(&ada, number, Terms::unlimited(Role::Viewer, "eve")).unwrap();
    let (met, _) = tokio::join!(meeting.meet(), arrival.digits());
    met.unwrap();
    drop(meeting);
    let mut second = LetIn::by_number(&ada, number, Terms::unlimited(Role::Viewer, "eve")).unwrap();
    assert_eq!(second.meet().await.unwrap_err(), LetInError::Enrolment(AdminError::Used));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_let_in_is_said_at_once_and_changes_nothing() {
    let house = House::open().await;
    let elsewhere = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Viewer, "bob").await;
    let mut ada = home::open(&house.home("ada")).unwrap();
    let before = version(&mut ada).await;

    let (arrival, offer) = by_code(&house, "door", Kind::Camera).await.unwrap();
    let viewer = Terms::unlimited(Role::Viewer, "door");
    let error = LetIn::by_code(&ada, &offer, viewer.clone()).unwrap_err();
    let expected = AdminError::Terms(TermsError::WrongKind(Kind::Camera));
    assert_eq!(error, LetInError::Enrolment(expected));
    assert!(said(&error).contains("is a camera"));
    let bob = home::open(&house.home("bob")).unwrap();
    let error = LetIn::by_code(&bob, &offer, viewer).unwrap_err();
    assert_eq!(error, LetInError::List(DevicesError::NotAdmin));
    drop(arrival);
    assert!(!house.home("door").exists(), "nothing is left behind");

    // A code whose device was never there or has been away too long, and one of another server.
    let identity = DeviceIdentity::generate().unwrap();
    let now = Moment { uptime: std::time::Duration::ZERO, unix_seconds: None };
    let (_, expired, _) = NewDevice::by_code(&identity, Kind::Viewer, house.url(), now).unwrap();
    let (_there, foreign) = by_code(&elsewhere, "x", Kind::Viewer).await.unwrap();
    for offer in [&expired, &foreign] {
        let mut meeting = LetIn::by_code(&ada, offer, Terms::unlimited(Role::Viewer, "x")).unwrap();
        let error = meeting.meet().await.unwrap_err();
        let sentence = said(&error);
        match error {
            LetInError::Enrolment(AdminError::NobodyThere) => assert!(sentence.contains("10 minutes")),
            LetInError::Elsewhere { there, here } => {
                assert_eq!(there.trim_end_matches('/'), elsewhere.url().trim_end_matches('/'));
                assert_eq!(here.trim_end_matches('/'), house.url().trim_end_matches('/'));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(version(&mut ada).await, before);
    elsewhere.close().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_minutes_let_nobody_in() {
    let house = House::open().await;
    house.found("ada").await;
    let mut ada = home::open(&house.home("ada")).unwrap();
    let before = version(&mut ada).await;
    let (vault, config) = arriving(&house, "bob", Kind::Viewer);
    let config = ArrivalConfig { clock: || machine_clock().map(|now| now - 420), ..config };
    let (mut arrival, offer) = Arrival::by_code(vault, config).await.unwrap();
    let adding = async {
        let mut meeting = LetIn::by_code(&ada, &offer, Terms::unlimited(Role::Viewer, "bob")).unwrap();
        meeting.meet().await.unwrap();
        invite(meeting, &mut ada).await.unwrap_err()
    };
    let arriving_too = async { arrival.invited().await.map(drop).unwrap_err() };
    let (at_admin, at_new) = tokio::join!(adding, arriving_too);
    assert_eq!(at_admin, LetInError::Enrolment(AdminError::ClockOff));
    said(&at_admin);
    assert!(matches!(at_new, ArrivalError::Enrolment(NewDeviceError::ClockOff { .. })));
    let sentence = said(&at_new);
    assert!(
        sentence.contains("by 7 minutes, this one is behind") || sentence.contains("by 8 minutes"),
        "{sentence}"
    );
    drop(arrival);
    assert!(!house.home("bob").exists(), "nothing is left behind");
    assert_eq!(version(&mut ada).await, before);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shows_another_history_or_entry_is_caught_by_the_new_device() {
    let house = House::open().await;
    house.found("ada").await;
    let mut ada = home::open(&house.home("ada")).unwrap();
    for forged_head in [true, false] {
        let (arrival, offer) = by_code(&house, "bob", Kind::Viewer).await.unwrap();
        let dishonest = async {
            // The admin's own words name another list, or another role, than the list that comes.
            let now = || Moment { uptime: std::time::Duration::from_secs(1), unix_seconds: machine_clock() };
            let role = if forged_head { Role::Viewer } else { Role::Admin };
            let mut machine = Admin::scan(&offer, Terms::unlimited(role, "bob"), now()).unwrap();
            let name = latchkey_api::encoding::to_text(&offer.mailbox());
            let signaling = ada.signaling();
            ada.refresh(&signaling).await.unwrap();
            let mut head = ada.chain().head().unwrap().version();
            if forged_head {
                head.hash = ListHash([7; 32]);
            }
            let label_key = LabelKey::from_bytes(&[1; 16]);
            while machine.stage() != AdminStage::Confirmed {
                if let AdminStage::Ready(_) = machine.stage() {
                    let household = Household {
                        root_public: *ada.chain().root_public(),
                        label_key: &label_key,
                        admin: ada.device(),
                        head,
                    };
                    let invitation = machine.invite(&household, now()).unwrap();
                    ada.server().post_mail(&name, invitation).await.unwrap();
                }
                for mail in ada.server().read_mail(&name, 0).await.unwrap() {
                    machine.receive(mail.message.as_slice(), now());
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let confirmed = machine.confirmed().unwrap();
            let public = *confirmed.public();
            let label = seal_label(&label_key, ada.household(), public.device, "bob").unwrap();
            let list = DeviceList::after(
                ada.chain().head().unwrap(),
                Signer::Device(ada.device()),
                machine_clock().unwrap(),
                Reason::Added,
            );
            let list = list.with(public.entry(Role::Viewer, machine_clock().unwrap(), label)).unwrap();
            let list = ada.identity().sign_list(list);
            let version = signaling.post_list(list.as_bytes().to_vec()).await.unwrap();
            ada.server().post_mail(&name, confirmed.verdict(Some(version))).await.unwrap();
        };
        let (listed, ()) =
            tokio::time::timeout(LIMIT, async { tokio::join!(arrival.listed(), dishonest) }).await.unwrap();
        let error = listed.map(drop).unwrap_err();
        assert_eq!(error, if forged_head { ArrivalError::OtherHistory } else { ArrivalError::OtherEntry });
        assert!(said(&error).starts_with("ALARM"));
        assert!(!house.home("bob").exists(), "nothing is left behind");
    }
    house.close().await;
}
