//! Honest sides: they find each other through every disorder, and every way to fail has its name.

use proptest::prelude::*;

use super::*;

/// What a schedule does next.
#[derive(Clone, Debug)]
enum Turn {
    /// The new device reads one message of the mailbox, maybe again.
    New(prop::sample::Index),
    /// The admin reads one.
    Admin(prop::sample::Index),
    /// People do what they are asked for at the new device.
    PersonAtNew,
    /// People do what they are asked for at the admin.
    PersonAtAdmin,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => any::<prop::sample::Index>().prop_map(Turn::New),
        4 => any::<prop::sample::Index>().prop_map(Turn::Admin),
        1 => Just(Turn::PersonAtNew),
        1 => Just(Turn::PersonAtAdmin),
    ];
    prop::collection::vec(turn, 0..40)
}

/// Both sides, one mailbox, and people who compare what they see.
struct Scene {
    family: Family,
    new: New,
    admin: Admin,
    mailbox: Vec<Vec<u8>>,
    digits: Option<Digits>,
    typed: bool,
}

impl Scene {
    fn new(by_code: bool, kind: Kind) -> Self {
        let role = if kind == Kind::Camera { Role::Camera } else { Role::Viewer };
        let (new, admin, first) = if by_code {
            let (new, offer, hello) = New::by_code(kind);
            (new, scan(&offer, role), hello)
        } else {
            let number = PairingNumber::draw().unwrap();
            let (new, commitment) = New::by_number(kind, number);
            (new, dial(number, role), commitment)
        };
        let family = Family::new(1);
        Self { family, new, admin, mailbox: vec![first], digits: None, typed: false }
    }

    fn turn(&mut self, turn: &Turn, now: Moment) {
        let posted = match turn {
            Turn::New(which) => {
                let mail = which.get(&self.mailbox).clone();
                self.new.receive(&mail, now)
            }
            Turn::Admin(which) => {
                let mail = which.get(&self.mailbox).clone();
                self.admin.receive(&mail, now)
            }
            Turn::PersonAtNew => {
                if let NewDeviceStage::Comparing(digits) = self.new.machine.stage() {
                    self.digits = Some(digits);
                }
                if self.typed { self.new.machine.digits_fit(true, now) } else { None }
            }
            Turn::PersonAtAdmin => match (self.admin.stage(), self.digits) {
                (AdminStage::Comparing, Some(digits)) => {
                    assert_eq!(self.admin.type_digits(&digits.to_string(), now), Typed::Right);
                    self.typed = true;
                    None
                }
                (AdminStage::Ready(_), _) => Some(self.admin.invite(&self.family.household(), now).unwrap()),
                _ => None,
            },
        };
        self.mailbox.extend(posted);
    }

    /// Everybody reads everything, in order, until nothing new comes.
    fn settle(&mut self, now: Moment) {
        for _ in 0..8 {
            let mut at = 0;
            while at < self.mailbox.len() {
                let mail = self.mailbox[at].clone();
                let posted = [self.new.receive(&mail, now), self.admin.receive(&mail, now)];
                self.mailbox.extend(posted.into_iter().flatten());
                self.turn(&Turn::PersonAtNew, now);
                self.turn(&Turn::PersonAtAdmin, now);
                at += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn honest_sides_meet_whatever_the_order(
        by_code: bool,
        camera: bool,
        turns in turns(),
    ) {
        let kind = if camera { Kind::Camera } else { Kind::Viewer };
        let mut scene = Scene::new(by_code, kind);
        for (step, turn) in turns.iter().enumerate() {
            scene.turn(turn, at(step as u64));
        }
        scene.settle(at(60));
        prop_assert!(scene.mailbox.len() <= 5, "{} messages", scene.mailbox.len());
        let told = scene.new.machine.membership().unwrap();
        prop_assert!(scene.family.is_told_by(told));
        prop_assert_eq!(&told.name, "Front door");
        prop_assert!(kind.suits(told.role));
        let glance = told.digits;
        let confirmed = scene.admin.confirmed().unwrap();
        prop_assert_eq!(confirmed.public(), &scene.new.identity.public());
        prop_assert_eq!(confirmed.digits(), glance);
        for (verdict, outcome) in [(Some(8), Outcome::Listed(8)), (None, Outcome::NotListed)] {
            prop_assert_eq!(scene.new.receive(&confirmed.verdict(verdict), at(60)), None);
            // The first one counts.
            let _ = outcome;
            prop_assert_eq!(scene.new.machine.stage(), NewDeviceStage::Done(Outcome::Listed(8)));
        }
    }

    #[test]
    fn after_ten_minutes_nothing_happens_any_more(by_code: bool, turns in turns(), late in 600..5000_u64) {
        let mut scene = Scene::new(by_code, Kind::Viewer);
        for turn in &turns {
            scene.turn(turn, at(1));
        }
        let confirmed = scene.new.machine.membership().is_some();
        let signing = scene.admin.stage() == AdminStage::Confirmed;
        scene.settle(at(late));
        prop_assert_eq!(scene.new.machine.membership().is_some(), confirmed);
        if !confirmed {
            prop_assert_eq!(scene.new.machine.stage(), NewDeviceStage::Failed(NewDeviceError::Expired));
        }
        if signing {
            prop_assert_eq!(scene.admin.stage(), AdminStage::Confirmed);
        } else {
            prop_assert!(matches!(
                scene.admin.stage(),
                AdminStage::Failed(AdminError::NobodyThere | AdminError::NoAnswer)
            ), "{:?}", scene.admin.stage());
        }
    }
}

#[test]
fn what_a_camera_is_cannot_be_changed_by_the_role() {
    let (_, offer, _) = New::by_code(Kind::Camera);
    let viewer = Terms::unlimited(Role::Viewer, "Bob");
    let refused = Admin::scan(&offer, viewer.clone(), at(0)).unwrap_err();
    assert_eq!(refused, AdminError::Terms(TermsError::WrongKind(Kind::Camera)));
    let nameless = Terms::unlimited(Role::Camera, " ");
    assert_eq!(Admin::scan(&offer, nameless, at(0)).unwrap_err(), AdminError::Terms(TermsError::BadName));
    let no_clock = Moment { unix_seconds: None, ..at(0) };
    assert_eq!(
        Admin::scan(&offer, Terms::unlimited(Role::Camera, "x"), no_clock).unwrap_err(),
        AdminError::NoClock
    );

    let number = PairingNumber::draw().unwrap();
    let (mut new, commitment) = New::by_number(Kind::Camera, number);
    let mut admin = Admin::dial(number, viewer, at(0)).unwrap();
    let exchange = admin.receive(&commitment, at(1)).unwrap();
    admin.receive(&new.receive(&exchange, at(1)).unwrap(), at(1));
    assert_eq!(admin.stage(), AdminStage::Failed(AdminError::Terms(TermsError::WrongKind(Kind::Camera))));
}

#[test]
fn a_code_is_good_once() {
    let (mut new, offer, hello) = New::by_code(Kind::Camera);
    let family = Family::new(1);
    let mut first = scan(&offer, Role::Camera);
    first.receive(&hello, at(1));
    let invitation = first.invite(&family.household(), at(1)).unwrap();

    // Another admin comes later, or has looked before the first one answered.
    let mut late = scan(&offer, Role::Camera);
    late.receive(&invitation, at(2));
    assert_eq!(late.stage(), AdminStage::Failed(AdminError::Used));
    let mut second = scan(&offer, Role::Camera);
    second.receive(&hello, at(2));
    let other = Family::new(2);
    let rival = second.invite(&other.household(), at(2)).unwrap();

    let confirmation = new.receive(&invitation, at(3)).unwrap();
    assert_eq!(new.receive(&rival, at(3)), None);
    assert_eq!(new.receive(&invitation, at(3)), None);
    assert!(family.is_told_by(new.machine.membership().unwrap()));
    first.receive(&confirmation, at(4));
    assert_eq!(first.stage(), AdminStage::Confirmed);
    second.receive(&confirmation, at(4));
    second.give_up();
    assert_eq!(second.confirmed().unwrap_err(), AdminError::TooManyTries);
}

#[test]
fn clocks_that_differ_are_named_on_both_sides() {
    for (own, outcome) in
        [(WALL + 299, None), (WALL - 299, None), (WALL + 420, Some(420)), (WALL - 100_000, Some(-100_000))]
    {
        let (mut new, offer, hello) = New::by_code(Kind::Viewer);
        let mut admin = scan(&offer, Role::Viewer);
        admin.receive(&hello, at(0));
        let invitation = admin.invite(&Family::new(1).household(), at(0)).unwrap();
        let now = Moment { unix_seconds: Some(own), ..at(0) };
        let answer = new.receive(&invitation, now).unwrap();
        admin.receive(&answer, at(0));
        match outcome {
            None => assert_eq!(admin.stage(), AdminStage::Confirmed),
            Some(seconds_ahead) => {
                let error = NewDeviceError::ClockOff { seconds_ahead };
                assert_eq!(new.machine.stage(), NewDeviceStage::Failed(error));
                assert_eq!(admin.stage(), AdminStage::Failed(AdminError::ClockOff));
                println!("{error}");
            }
        }
    }
    // A camera that has no time yet believes the admin's.
    let (mut new, offer, hello) = New::by_code(Kind::Camera);
    let mut admin = scan(&offer, Role::Camera);
    admin.receive(&hello, at(0));
    let invitation = admin.invite(&Family::new(1).household(), at(0)).unwrap();
    new.receive(&invitation, Moment { unix_seconds: None, ..at(0) });
    assert_eq!(new.machine.membership().unwrap().issued_at, WALL);
}

#[test]
fn wrong_digits_are_forgiven_twice_and_a_no_is_final() {
    let (new, mut admin) = pair(Kind::Viewer);
    let right = new.digits().to_string();
    assert_eq!(admin.type_digits("000 000x", at(2)), Typed::Wrong { left: 2 });
    assert_eq!(admin.type_digits("", at(2)), Typed::Wrong { left: 1 });
    assert_eq!(admin.type_digits(&right, at(2)), Typed::Right);
    assert_eq!(admin.stage(), AdminStage::Ready(Kind::Viewer));
    assert_eq!(admin.type_digits(&right, at(2)), Typed::NotAsked);

    let (new, mut admin) = pair(Kind::Viewer);
    for left in [2, 1, 0] {
        assert_eq!(admin.type_digits("12345", at(2)), Typed::Wrong { left });
    }
    assert_eq!(admin.type_digits(&new.digits().to_string(), at(2)), Typed::NotAsked);
    assert_eq!(admin.invite(&Family::new(1).household(), at(2)), Err(AdminError::DigitsDiffer));

    // The admin took the digits, but the new device's user says no: before and after the invitation came.
    for early in [true, false] {
        let (mut new, mut admin) = pair(Kind::Viewer);
        admin.type_digits(&new.digits().to_string(), at(2));
        let invitation = admin.invite(&Family::new(1).household(), at(2)).unwrap();
        if !early {
            assert_eq!(new.receive(&invitation, at(2)), None, "nothing is answered before people agree");
        }
        let answer = new.machine.digits_fit(false, at(2));
        assert_eq!(new.machine.stage(), NewDeviceStage::Failed(NewDeviceError::DigitsDiffer));
        assert_eq!(new.machine.digits_fit(true, at(2)), None, "a no is final");
        assert!(new.machine.membership().is_none());
        assert_eq!(answer.is_none(), early);
        if let Some(answer) = answer {
            admin.receive(&answer, at(2));
            assert_eq!(admin.stage(), AdminStage::Failed(AdminError::DigitsDiffer));
        }
    }
}
