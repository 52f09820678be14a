//! Households and lists: what is taken in, who wins, and what a new list takes away at once.

use latchkey_api::device_list::{ListChain, Role};
use latchkey_api::event::Event;
use latchkey_api::household::HouseholdCreated;
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::problem::ProblemCode;
use latchkey_api::session::{OpenSession, SessionScope};
use latchkey_signaling_core::names::{handle_of, room_of};
use reqwest::StatusCode;

use crate::events::Socket;
use crate::home::{Device, Home, sign};
use crate::running::Running;

fn post(list: Vec<u8>) -> PostList {
    PostList { list: list.into() }
}

#[tokio::test]
async fn a_household_is_registered_once_and_by_its_root_only() {
    let running = Running::start().await;
    let home = running.home().await;
    let again = running.client.post("/v1/households", &home.registration()).await;
    assert_eq!(
        again.ok::<HouseholdCreated>(StatusCode::CREATED).household,
        home.id,
        "a lost answer may be asked again"
    );

    // Another first list of the same root.
    let mut list = home.chain.head().unwrap().list().clone();
    list.devices.retain(|entry| entry.device != home.guest.id);
    let mut other = home.registration();
    other.list = sign(list.clone(), &home.root).into();
    running.client.post("/v1/households", &other).await.problem(ProblemCode::HouseholdExists);

    let fresh = Home::new();
    let mut tampered = fresh.registration();
    let last = tampered.list.0.len() - 1;
    tampered.list.0[last] ^= 1;
    running.client.post("/v1/households", &tampered).await.problem(ProblemCode::ListInvalid);
    let mut foreign = fresh.registration();
    foreign.root_public = home.registration().root_public;
    running.client.post("/v1/households", &foreign).await.problem(ProblemCode::ListInvalid);
    let mut short = fresh.registration();
    short.root_public.0.pop();
    running.client.post("/v1/households", &short).await.problem(ProblemCode::ListInvalid);
    let mut by_admin = fresh.registration();
    by_admin.list = sign(fresh.chain.head().unwrap().list().clone(), &fresh.admin.key).into();
    running.client.post("/v1/households", &by_admin).await.problem(ProblemCode::ListInvalid);
    running.server.shutdown().await;
}

#[tokio::test]
async fn of_two_lists_of_one_version_the_first_wins_and_all_read_one_chain() {
    let running = Running::start().await;
    let home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let race = (0..8).map(|_| {
        let list = home.draft(|list| list.with(Device::new().entry(Role::Viewer)).unwrap());
        let admin = admin.clone();
        tokio::spawn(async move { admin.post("/v1/lists", &post(list)).await })
    });
    let mut won = 0;
    for answer in race.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == StatusCode::CREATED {
            assert_eq!(answer.ok::<ListAccepted>(StatusCode::CREATED).version, 2);
            won += 1;
        } else {
            answer.problem(ProblemCode::ListVersionTaken);
        }
    }
    assert_eq!(won, 1);
    let lists: Lists = admin.get("/v1/lists").await.ok(StatusCode::OK);
    let mut chain = ListChain::new(&home.root.verifying_key().to_bytes()).unwrap();
    for list in &lists.lists {
        chain.accept(list.as_slice(), None).unwrap();
    }
    assert_eq!(chain.head().unwrap().list().version, 2);
    let after: Lists = admin.get("/v1/lists?after=1").await.ok(StatusCode::OK);
    assert_eq!(after.lists, lists.lists[1..]);
    // The winner again is no rival of itself.
    let again = admin.post("/v1/lists", &post(lists.lists[1].0.clone())).await;
    assert_eq!(again.ok::<ListAccepted>(StatusCode::CREATED).version, 2);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_list_counts_by_its_signature_not_by_who_brings_it() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let admin = running.client.signed_in(&home, &home.admin).await;

    let by_viewer = home.draft_by(&home.viewer, |list| list);
    admin.post("/v1/lists", &post(by_viewer)).await.problem(ProblemCode::ListSignerNotAllowed);
    let by_stranger = home.draft_by(&Device::new(), |list| list);
    admin.post("/v1/lists", &post(by_stranger)).await.problem(ProblemCode::ListSignerNotAllowed);
    let mut broken = home.draft(|list| list);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    admin.post("/v1/lists", &post(broken)).await.problem(ProblemCode::ListInvalid);
    admin.post("/v1/lists", &post(b"no list".to_vec())).await.problem(ProblemCode::ListInvalid);
    let stranger = running.home().await;
    admin.post("/v1/lists", &post(stranger.draft(|list| list))).await.problem(ProblemCode::ListInvalid);

    let list = home.next(|list| list.with(Device::new().entry(Role::Viewer)).unwrap());
    let accepted: ListAccepted = viewer.post("/v1/lists", &post(list)).await.ok(StatusCode::CREATED);
    assert_eq!(accepted.version, 2);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_removed_device_is_refused_at_once_everywhere() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let mut viewers_socket = Socket::open(&viewer).await;
    let mut cameras_socket = Socket::open(&running.client.signed_in(&home, &home.camera).await).await;
    // What it asked for before the list must not help it after.
    let challenge = running.client.challenge(home.id, &home.viewer).await;
    let held = running.client.answer(home.id, &home.viewer, &challenge);

    let gone = home.viewer.id;
    let list = home.next(|list| list.without(gone).unwrap());
    let _: ListAccepted = admin.post("/v1/lists", &post(list)).await.ok(StatusCode::CREATED);

    viewer.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    let session = OpenSession { camera: home.camera.id, scope: SessionScope::View };
    viewer.post("/v1/sessions", &session).await.problem(ProblemCode::NotSignedIn);
    running.client.post("/v1/auth/session", &held).await.problem(ProblemCode::SignInFailed);
    assert_eq!(viewers_socket.event().await, Some(Event::Removed));
    assert_eq!(viewers_socket.event().await, None, "the socket is closed");
    assert_eq!(cameras_socket.event().await, Some(Event::List { version: 2 }));
    let handle = handle_of(&home.id, &gone);
    let mut rooms = [home.camera.id, home.other_camera.id];
    rooms.sort();
    assert_eq!(running.relay.cuts(), rooms.map(|camera| (room_of(&home.id, &camera), handle)));
    let _: Lists = admin.get("/v1/lists").await.ok(StatusCode::OK);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_narrowed_device_loses_its_token_and_keeps_what_is_left() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let (id, kept) = (home.viewer.id, home.other_camera.id);
    let list = home.next(|list| {
        let mut entry = list.device(id).unwrap().clone();
        entry.cameras = Some(vec![kept]);
        list.with(entry).unwrap()
    });
    let _: ListAccepted = admin.post("/v1/lists", &post(list)).await.ok(StatusCode::CREATED);
    assert_eq!(running.relay.cuts(), [(room_of(&home.id, &home.camera.id), handle_of(&home.id, &id))]);
    viewer.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);

    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let ask = |camera| OpenSession { camera, scope: SessionScope::View };
    viewer.post("/v1/sessions", &ask(home.camera.id)).await.problem(ProblemCode::Forbidden);
    assert_eq!(viewer.post("/v1/sessions", &ask(kept)).await.status, StatusCode::CREATED);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_long_chain_is_read_page_by_page() {
    let running = Running::with(|config| config.device_burst = 1000).await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    for _ in 0..60 {
        let list = home.next(|list| list);
        let _: ListAccepted = admin.post("/v1/lists", &post(list)).await.ok(StatusCode::CREATED);
    }
    let first: Lists = admin.get("/v1/lists").await.ok(StatusCode::OK);
    assert!(first.more && first.lists.len() < 61);
    let rest: Lists = admin.get(&format!("/v1/lists?after={}", first.lists.len())).await.ok(StatusCode::OK);
    assert_eq!(first.lists.len() + rest.lists.len(), 61);
    assert!(!rest.more);
    running.server.shutdown().await;
}

/// The server has one history: a second list of any version is refused, whoever signed it, also in a commit. A list that
/// joins histories for devices that saw two is taken in.
#[tokio::test]
async fn a_second_history_is_refused_and_a_joining_list_is_not() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let rival = home.draft(|list| list.with(Device::new().entry(Role::Viewer)).unwrap());
    for _ in 0..2 {
        let list = home.next(|list| list);
        let _: ListAccepted = admin.post("/v1/lists", &post(list)).await.ok(StatusCode::CREATED);
    }
    admin.post("/v1/lists", &post(rival.clone())).await.problem(ProblemCode::ListVersionTaken);
    let camera = running.client.signed_in(&home, &home.camera).await;
    let group = home.group();
    let commit = latchkey_api::group::PostCommit {
        epoch: 0,
        commit: crate::mls::commit(group, 0).into(),
        welcomes: Vec::new(),
        list: Some(rival.into()),
    };
    let path = format!("/v1/groups/{group}/commits");
    camera.post(&path, &commit).await.problem(ProblemCode::ListVersionTaken);

    let second = home.draft(|list| list.with(Device::new().entry(Role::Viewer)).unwrap());
    let first = home.next(|list| list);
    let _: ListAccepted = admin.post("/v1/lists", &post(first)).await.ok(StatusCode::CREATED);
    let rival = latchkey_api::device_list::SignedList::parse(&second).unwrap().hash();
    let joining = home.next(|mut list| {
        list.parents.push(rival);
        list.parents.sort();
        list.reason = latchkey_api::device_list::Reason::Joined;
        list
    });
    let joined: ListAccepted = admin.post("/v1/lists", &post(joining)).await.ok(StatusCode::CREATED);
    assert_eq!(joined.version, 5);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_list_of_any_length_that_a_list_may_have_is_read() {
    let running = Running::start().await;
    let home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    admin.post("/v1/lists", &post(vec![7; 64 * 1024])).await.problem(ProblemCode::ListInvalid);
    admin.post("/v1/lists", &post(vec![7; 80 * 1024])).await.problem(ProblemCode::TooLarge);
    running.server.shutdown().await;
}
