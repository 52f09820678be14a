//! A crew at a server that cheats, loses words or breaks down: what it does is told as its fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use latchkey_api::event::Event;
use latchkey_api::group::GroupMessages;
use latchkey_api::list::Lists;
use latchkey_api::problem::{Problem, ProblemCode};
use latchkey_api::session::{RelayDoor, SessionOpened};
use latchkey_loadtest::crew::{Crew, CrewError, CrewFault, CrewNews, CrewPlan};
use latchkey_loadtest::hostile::exchange::Reply;
use latchkey_loadtest::hostile::middle::{Middle, Then};
use latchkey_loadtest::measure::line::Party;
use latchkey_loadtest::server::{Server, Setup};
use tempfile::TempDir;

use super::{found, opens, plan, seal, server, told};

/// One household with a camera and three members behind a man in the middle.
struct House {
    _dir: TempDir,
    _server: Server,
    middle: Middle,
    crew: Crew,
}

impl House {
    async fn new() -> Self {
        let (dir, server) = server(Setup::for_load(1, &[]));
        let middle = Middle::start(&server.doors().signaling_url).await.expect("a port");
        let plan = CrewPlan { server_url: middle.url().to_owned(), ..plan(&server, 1, 1, 3) };
        let crew = found(&plan).await;
        Self { _dir: dir, _server: server, middle, crew }
    }

    /// What it is worth in the end: every member opens what the camera seals now.
    fn is_sound(&self) {
        let camera = self.crew.cameras()[0];
        let frame = seal(&mut self.crew.sealer(camera).expect("a sealer"));
        for member in self.crew.members(0) {
            assert!(opens(self.crew.keys(camera, member).expect("keys"), &frame), "{member:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_that_are_told_nothing_look_by_themselves() {
    let house = House::new().await;
    let _lie = house.middle.on_event(|_, event| !matches!(event, Event::List { .. }));
    let removal = house.crew.remove(house.crew.members(0)[0]).await.expect("the removal");
    assert_eq!(removal.faults, [CrewFault::NotTold { household: 0 }]);
    assert_eq!((removal.faults[0].party(), removal.faults[0].code()), (Party::Server, "list-not-told"));
    assert!(removal.took[0].1 >= Duration::from_secs(5), "{:?}", removal.took);
    house.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_still_serves_a_removed_device_is_at_fault() {
    let house = House::new().await;
    let gone = house.crew.members(0)[1];
    let _lie = house.middle.on_ask(|ask| {
        if !ask.is("POST", "/v1/sessions") {
            return Then::Pass;
        }
        let relay = RelayDoor { whip_url: None, whep_url: Some("http://127.0.0.1:9/whep/x".to_owned()) };
        let opened =
            SessionOpened { relay, room: "x".to_owned(), grant: "a grant".to_owned(), expires_at: u64::MAX };
        Then::Answer(Reply::of(StatusCode::CREATED, &opened))
    });
    // Its token is void: a server that goes on serving it would have to let it sign in as well.
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 3_600;
    let _other_lie = house.middle.on_reply(move |ask, reply| {
        if ask.is("POST", "/v1/auth/session") && reply.status != StatusCode::CREATED {
            let signed_in =
                latchkey_api::auth::SignedIn { token: "a token".to_owned(), expires_at: in_an_hour };
            *reply = Reply::of(StatusCode::CREATED, &signed_in);
        }
    });
    let removal = house.crew.remove(gone).await.expect("the removal");
    assert_eq!(removal.faults, [CrewFault::StillServed { member: gone }]);
    assert_eq!(removal.faults[0].party(), Party::Server);
    house.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_kept_back_is_the_servers_fault() {
    let house = House::new().await;
    let lie = house.middle.on_reply(|ask, reply| {
        if ask.is("GET", "/v1/groups/*/messages") {
            reply.set_json(&GroupMessages { messages: Vec::new(), more: false });
        }
    });
    let members = house.crew.members(0);
    let removal = house.crew.remove(members[0]).await.expect("the removal");
    let camera = house.crew.cameras()[0];
    let kept_back = |member: usize| CrewFault::KeptBack { member: members[member], camera };
    for fault in [kept_back(1), kept_back(2), CrewFault::KeptKeys { member: members[0], camera }] {
        assert!(removal.faults.contains(&fault), "{fault}: {:?}", removal.faults);
    }
    assert_eq!(removal.faults.len(), 3);
    drop(lie);
    // With the next change they catch up.
    assert_eq!(house.crew.add(0).await.expect("another device").faults, []);
    house.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_taken_and_not_given_out_ends_the_removal() {
    let house = House::new().await;
    let _lie = house.middle.on_reply(|ask, reply| {
        if ask.is("GET", "/v1/lists") {
            reply.set_json(&Lists { lists: Vec::new(), more: false });
        }
    });
    let error = house.crew.remove(house.crew.members(0)[0]).await.expect_err("no camera knows");
    assert_eq!((error.party(), error), (Party::Server, CrewError::NoList { version: 3 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_makes_no_second_epoch() {
    let house = House::new().await;
    let commits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&commits);
    let _lie = house.middle.on_reply(move |ask, reply| {
        if ask.is("POST", "/v1/groups/*/commits") && counted.fetch_add(1, Ordering::Relaxed) == 0 {
            *reply = Reply::refusal(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable);
        }
    });
    let camera = house.crew.cameras()[0];
    let before = house.crew.sealer(camera).expect("a sealer").epoch();
    let removal = house.crew.remove(house.crew.members(0)[0]).await.expect("the removal");
    assert_eq!(removal.faults, []);
    assert_eq!(commits.load(Ordering::Relaxed), 2, "once in vain, once to learn that it was not");
    assert_eq!(house.crew.sealer(camera).expect("a sealer").epoch(), before + 1);
    house.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_refused_lets_the_camera_go_on() {
    let house = House::new().await;
    let mut news = house.crew.news();
    let gone = house.crew.members(0)[0];
    let lie = house.middle.on_ask(|ask| {
        if !ask.is("POST", "/v1/groups/*/commits") {
            return Then::Pass;
        }
        let problem = Problem::new(ProblemCode::Internal, "the disk is on fire");
        Then::Answer(Reply::of(StatusCode::INTERNAL_SERVER_ERROR, &problem))
    });
    let error = house.crew.remove(gone).await.expect_err("no commit is taken");
    assert!(error.to_string().contains("the disk is on fire"), "{error}");
    assert_eq!((error.party(), error.code()), (Party::Server, Some(ProblemCode::Internal)));
    let told = told(&mut news);
    let told: Vec<_> = told.iter().map(name).collect();
    assert_eq!(told, ["removed", "hold", "release"]);
    drop(lie);
    // It is out of the list: the next change takes it out of the group.
    assert_eq!(house.crew.add(0).await.expect("another device").faults, []);
    let camera = house.crew.cameras()[0];
    let frame = seal(&mut house.crew.sealer(camera).expect("a sealer"));
    assert!(house.crew.keys(camera, gone).is_ok_and(|keys| !opens(keys, &frame)));
    house.is_sound();
}

fn name(news: &CrewNews) -> &'static str {
    match news {
        CrewNews::Hold { .. } => "hold",
        CrewNews::Release { .. } => "release",
        CrewNews::Removed { .. } => "removed",
        CrewNews::Rekey { .. } => "rekey",
        CrewNews::Keys { .. } => "keys",
        _ => "something else",
    }
}
