//! Households for a fleet, at a server of its own: their keys agree, a removed member opens nothing more, limits are kept.

mod cheated;

use std::time::{Duration, Instant, SystemTime};

use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_loadtest::crew::{Crew, CrewError, CrewNews, CrewPlan, MemberRef, Progress, Seat};
use latchkey_loadtest::door::{Door, DoorError};
use latchkey_loadtest::fleet::peer::{Peer, PeerOptions, Way};
use latchkey_loadtest::measure::line::Party;
use latchkey_loadtest::process::binary;
use latchkey_loadtest::server::{Server, Setup};
use latchkey_wire::codec::Codec;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

/// A liveness limit: what takes longer is broken, not slow.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_camera_seals_its_own_members_open_and_nobody_else() {
    let (_dir, server) = server(Setup::for_load(1, &[]));
    let began = Instant::now();
    let crew = found(&plan(&server, 3, 2, 5)).await;
    println!("crew: 3 households x 2 cameras x 5 members found in {:.0} ms", ms(began.elapsed()));
    assert_eq!(crew.cameras().len(), 6);
    for camera in crew.cameras() {
        let frame = seal(&mut crew.sealer(camera).expect("a sealer"));
        let members = crew.members(camera.household);
        assert_eq!(members.len(), 5);
        for member in members {
            assert!(opens(crew.keys(camera, member).expect("keys"), &frame), "{member:?} opens {camera:?}");
        }
        for other in crew.cameras().into_iter().filter(|other| *other != camera) {
            let member = crew.members(other.household)[0];
            assert!(!opens(crew.keys(other, member).expect("keys"), &frame), "{other:?} is not {camera:?}");
        }
    }
    let (here, there) = (crew.cameras()[0], crew.members(1)[0]);
    assert_eq!(crew.keys(here, there).err(), Some(CrewError::NoSuchSeat));
    let disbanding = tokio::spawn({
        let crew = crew.clone();
        async move { crew.disband().await }
    });
    disbanding.await.expect("it does not panic").expect("the households are deleted");
    let error = crew.session(Seat::Publish(here)).await.expect_err("it is gone");
    assert_eq!(error.party(), Party::Server, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_opens_nothing_sealed_afterwards_and_the_others_open_all() {
    let (_dir, server) = server(Setup::for_load(1, &[]));
    let crew = found(&plan(&server, 1, 2, 5)).await;
    let mut news = crew.news();
    let cameras = crew.cameras();
    let mut sealers: Vec<_> = cameras.iter().map(|camera| crew.sealer(*camera).expect("a sealer")).collect();
    let gone = crew.members(0)[2];
    let kept: Vec<_> = cameras.iter().map(|camera| crew.keys(*camera, gone).expect("keys")).collect();

    let removing = tokio::spawn({
        let crew = crew.clone();
        async move { crew.remove(gone).await }
    });
    let removal = removing.await.expect("it does not panic").expect("the removal");
    for (camera, took) in &removal.took {
        println!("crew: camera {} re-keyed {:.1} ms after the admin's word", camera.camera, ms(*took));
    }
    println!("crew: all followed after {:.1} ms", ms(removal.followed));
    assert_eq!(removal.faults, []);
    assert_eq!(removal.took.len(), 2);
    assert!(removal.took.iter().all(|(_, took)| *took <= removal.followed));
    assert_eq!(crew.members(0).len(), 4);
    assert!(!crew.members(0).contains(&gone));

    let told = told(&mut news);
    assert!(matches!(told[0], CrewNews::Removed { member } if member == gone), "first who is out");
    for (camera, sealer) in cameras.iter().zip(&mut sealers) {
        let place = |wanted: &dyn Fn(&CrewNews) -> bool| told.iter().position(wanted).expect("it was told");
        let held = place(&|news| matches!(news, CrewNews::Hold { camera: held } if held == camera));
        let rekeyed = place(&|news| matches!(news, CrewNews::Rekey { camera: of, .. } if of == camera));
        let keys = place(&|news| matches!(news, CrewNews::Keys { camera: of, .. } if of == camera));
        assert!(held < rekeyed && rekeyed < keys);
        let CrewNews::Rekey { keys, .. } = &told[rekeyed] else { unreachable!("found as one") };
        sealer.rekey(keys).expect("a later epoch");
    }
    let followed = told.iter().filter(|news| matches!(news, CrewNews::Keys { .. })).count();
    assert_eq!(followed, 8, "four members, two cameras");

    for ((camera, sealer), old) in cameras.iter().zip(&mut sealers).zip(kept) {
        let frame = seal(sealer);
        assert!(!opens(old, &frame), "with the keys that the removed one had");
        assert!(matches!(crew.keys(*camera, gone), Err(CrewError::Group { .. })), "it gets no others");
        for member in crew.members(0) {
            assert!(opens(crew.keys(*camera, member).expect("keys"), &frame), "{member:?}");
        }
    }
    let refused = crew.session(Seat::View(cameras[0], gone)).await.expect_err("it has no rights");
    assert!(matches!(refused.code(), Some(ProblemCode::SignInFailed | ProblemCode::Forbidden)), "{refused}");
    assert_eq!(crew.remove(gone).await.err(), Some(CrewError::NoSuchSeat), "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_later_opens_what_is_sealed_from_then_on() {
    let (_dir, server) = server(Setup::for_load(1, &[]));
    let crew = found(&plan(&server, 1, 2, 2)).await;
    let before: Vec<_> =
        crew.cameras().into_iter().map(|camera| seal(&mut crew.sealer(camera).expect("a sealer"))).collect();
    let added = crew.add(0).await.expect("another device");
    println!("crew: enrolled and joined in {:.1} ms", ms(added.took));
    assert_eq!(added.faults, []);
    assert_eq!(crew.members(0).len(), 3);
    for (camera, before) in crew.cameras().into_iter().zip(before) {
        let after = seal(&mut crew.sealer(camera).expect("a sealer"));
        assert!(!opens(crew.keys(camera, added.member).expect("keys"), &before), "it was not there then");
        for member in crew.members(0) {
            assert!(opens(crew.keys(camera, member).expect("keys"), &after), "{member:?}");
        }
    }
    // The number of one that went is not given again.
    let first = crew.members(0)[0];
    assert_eq!(crew.remove(first).await.expect("the removal").faults, []);
    let adding = tokio::spawn({
        let crew = crew.clone();
        async move { crew.add(0).await }
    });
    let next = adding.await.expect("it does not panic").expect("another device").member;
    assert_eq!(next, MemberRef { household: 0, member: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_of_sixty_is_found_and_re_keyed() {
    let (_dir, server) = server(Setup::for_load(1, &[]));
    let began = Instant::now();
    let crew = found(&plan(&server, 1, 1, 60)).await;
    println!("crew: 1 camera x 60 members found in {:.0} ms", ms(began.elapsed()));
    let camera = crew.cameras()[0];
    assert_eq!(crew.keys(camera, crew.members(0)[59]).expect("keys").members().len(), 61);
    let removal = crew.remove(crew.members(0)[30]).await.expect("the removal");
    let took = removal.took[0].1;
    println!("crew: of 60 re-keyed after {:.1} ms, followed after {:.1} ms", ms(took), ms(removal.followed));
    assert_eq!(removal.faults, []);
    let frame = seal(&mut crew.sealer(camera).expect("a sealer"));
    for member in crew.members(0) {
        assert!(opens(crew.keys(camera, member).expect("keys"), &frame), "{member:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_small_limits_is_waited_for() {
    let mut setup = Setup::default();
    let limits =
        ["--household-rate", "360", "--household-burst", "2", "--open-rate", "4", "--open-burst", "4"];
    setup.more = limits.map(str::to_owned).to_vec();
    let (_dir, server) = server(setup);
    let (mut waits, mut done) = (Vec::new(), 0);
    let began = Instant::now();
    let mut progress = |progress| match progress {
        Progress::Waiting { doing, wait } => waits.push((doing, wait)),
        Progress::Founded { done: so_many, of } => {
            assert_eq!((so_many, of), (done + 1, 3));
            done = so_many;
        }
        _ => {}
    };
    let founding = plan(&server, 3, 1, 3);
    let founded = tokio::time::timeout(LIMIT, Crew::found(&founding, &mut progress)).await;
    let crew = founded.expect("within 30 s").expect("the server is waited for");
    println!("crew: with small limits found in {:.1} s, waits {waits:?}", began.elapsed().as_secs_f64());
    assert_eq!((crew.cameras().len(), done), (3, 3));
    let waited_with = |doing| waits.iter().find(|(what, _)| *what == doing).map(|(_, wait)| *wait);
    // 360 an hour is one in ten seconds, less what has passed.
    let register = waited_with("register households").expect("the third waits");
    assert!((1..=10).contains(&register.as_secs()), "{waits:?}");
    assert_eq!(waited_with("sign devices in"), Some(Duration::from_secs(1)), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_fault_it_is_that_nothing_was_founded() {
    let quiet = &mut |_: Progress| {};
    // A port that was free a moment ago.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let nobody = CrewPlan { server_url: format!("http://127.0.0.1:{port}"), ..CrewPlan::default() };
    let error = Crew::found(&nobody, quiet).await.expect_err("nobody is there");
    assert!(matches!(error, CrewError::Unreachable { .. }) && error.party() == Party::Server, "{error}");
    for (plan, said) in [
        (CrewPlan { server_url: "cam.example".to_owned(), ..nobody.clone() }, "write it like"),
        (CrewPlan { members_per_household: 61, ..nobody.clone() }, "60 members at the most, not 61"),
        (CrewPlan { members_per_household: 60, cameras_per_household: 4, ..nobody.clone() }, "are 65"),
        (CrewPlan { cameras_per_household: 0, ..nobody }, "one camera at the least"),
    ] {
        let error = Crew::found(&plan, quiet).await.expect_err("it cannot be");
        assert!(error.to_string().contains(said) && error.party() == Party::Caller, "{error}");
    }

    let mut setup = Setup::for_load(1, &[]);
    setup.more.extend(["--registration", "invite"].map(str::to_owned));
    let (_dir, server) = server(setup);
    let mut plan = plan(&server, 2, 1, 1);
    let error = Crew::found(&plan, quiet).await.expect_err("there is no code");
    assert!(matches!(error, CrewError::InviteCode { .. }) && error.party() == Party::Caller, "{error}");
    let program = binary("latchkey-server").expect("it is built");
    let printed = std::process::Command::new(program)
        .args(["invite-code", "--uses", "2", "--data-dir"])
        .arg(server.data_dir())
        .output()
        .expect("it runs");
    let code = String::from_utf8(printed.stdout).expect("text");
    plan.invite_code = Some(code.trim().to_owned());
    assert_eq!(found(&plan).await.cameras().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relays_door_knows_a_grant_from_what_is_none() {
    let (_dir, server) = server(Setup::for_load(1, &[]));
    let crew = found(&plan(&server, 1, 1, 1)).await;
    let (camera, member) = (crew.cameras()[0], crew.members(0)[0]);
    let door = Door::new().expect("a client");
    let granted = crew.session(Seat::View(camera, member)).await.expect("a grant");
    assert!(granted.url.path().starts_with("/whep/"), "{}", granted.url);
    let publish = crew.session(Seat::Publish(camera)).await.expect("a grant");
    assert!(publish.url.path().starts_with("/whip/"), "{}", publish.url);

    let refused = door.post(&granted.url, Some("not.a.grant"), offer(Way::View)).await;
    let Err(DoorError::Refused { status: 401, code, .. }) = refused else { panic!("{refused:?}") };
    println!("crew: a bad grant is refused with {code}");
    let none = door.post(&granted.url, None, offer(Way::View)).await;
    assert!(matches!(none, Err(DoorError::Refused { status: 401, .. })), "{none:?}");
    // The wrong door for it.
    let wrong = door.post(&publish.url, Some(&granted.bearer), offer(Way::Publish)).await;
    assert!(matches!(wrong, Err(DoorError::Refused { status: 401 | 403, .. })), "{wrong:?}");
    // With it the relay gets as far as seeing that no camera sends.
    let right = door.post(&granted.url, Some(&granted.bearer), offer(Way::View)).await;
    assert_eq!(right.as_ref().map_err(DoorError::code).err().flatten(), Some("no-publisher"), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_for_load_lets_one_device_in_more_often_than_an_everyday_one() {
    for (setup, lets_in) in [(Setup::default(), 32), (Setup::for_load(1, &[]), 40)] {
        let (_dir, server) = server(setup);
        let crew = found(&plan(&server, 1, 1, 1)).await;
        let door = Door::new().expect("a client");
        let (camera, member) = (crew.cameras()[0], crew.members(0)[0]);
        let granted = crew.session(Seat::Publish(camera)).await.expect("a grant");
        door.post(&granted.url, Some(&granted.bearer), offer(Way::Publish)).await.expect("a camera");
        let mut inside = Vec::new();
        for _ in 0..40 {
            let granted = crew.session(Seat::View(camera, member)).await.expect("a grant");
            match door.post(&granted.url, Some(&granted.bearer), offer(Way::View)).await {
                Ok(answer) => inside.push(answer.resource.expect("an address")),
                Err(error) => assert_eq!(error.code(), Some("device-limit"), "{error}"),
            }
        }
        assert_eq!(inside.len(), lets_in);
    }
}

#[test]
fn a_server_runs_where_it_is_told_to() {
    let all = latchkey_relay_floor::cores::allowed();
    let last = *all.last().expect("there is a processor");
    let (_dir, mut server) = server(Setup::for_load(0, &[last]));
    assert_eq!(server.pid(), server.process().id());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    assert_eq!(allowed.map(str::trim), Some(last.to_string().as_str()));
}

fn offer(way: Way) -> String {
    Peer::offer(way, &PeerOptions::default()).expect("a client").1.sdp
}

fn server(setup: Setup) -> (TempDir, Server) {
    let dir = tempfile::Builder::new().prefix("latchkey-crew-").tempdir().expect("a temporary folder");
    let server = Server::start_with(dir.path(), setup).expect("the server starts");
    (dir, server)
}

fn plan(server: &Server, households: u32, cameras: u32, members: u32) -> CrewPlan {
    CrewPlan {
        server_url: server.doors().signaling_url.clone(),
        households,
        cameras_per_household: cameras,
        members_per_household: members,
        ..CrewPlan::default()
    }
}

async fn found(plan: &CrewPlan) -> Crew {
    let plan = plan.clone();
    // In a task of its own, as a run does it.
    let founding = tokio::spawn(async move { Crew::found(&plan, &mut |_| {}).await });
    let founded = tokio::time::timeout(LIMIT, founding).await.expect("within 30 s");
    founded.expect("it does not panic").expect("the crew is founded")
}

/// Everything that was told so far.
fn told(news: &mut UnboundedReceiver<CrewNews>) -> Vec<CrewNews> {
    std::iter::from_fn(|| news.try_recv().ok()).collect()
}

fn seal(sealer: &mut FrameSealer) -> Vec<u8> {
    let header = InnerHeader::new(SystemTime::now(), true, Codec::Vp8);
    let mut sealed = Vec::new();
    sealer.seal(0, header, ENVELOPE, b"a picture", &mut sealed).expect("it seals");
    sealed
}

fn opens(keys: EpochKeys, frame: &[u8]) -> bool {
    let mut opener = FrameOpener::new();
    opener.add_epoch(keys, Duration::ZERO);
    let mut opened = Vec::new();
    opener.open(frame, ENVELOPE, &mut opened).is_ok()
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

/// Stands in for the clear bytes in front of a frame.
const ENVELOPE: &[u8] = b"an envelope";
