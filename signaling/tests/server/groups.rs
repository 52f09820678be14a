//! MLS delivery: one commit per epoch, by the camera or an admin, read by all in one order.

use latchkey_api::device::{ClaimKeyPackage, PublishKeyPackages};
use latchkey_api::device_list::{Right, Rights, Role};
use latchkey_api::event::Event;
use latchkey_api::group::{
    CursorKept, GroupMessages, MessageAccepted, MessageKind, PostCommit, PostCursor, PostMessage, Rejoin,
    WelcomeFor, Welcomes,
};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_api::list::{Lists, PostList};
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;

use crate::client::Client;
use crate::events::Socket;
use crate::home::{Device, Home, now};
use crate::mls;
use crate::running::Running;

fn commit(group: GroupId, epoch: u64) -> PostCommit {
    PostCommit { epoch, commit: mls::commit(group, epoch).into(), welcomes: Vec::new(), list: None }
}

fn welcome(device: DeviceId) -> WelcomeFor {
    WelcomeFor { device, welcome: mls::welcome().into() }
}

fn commits(group: GroupId) -> String {
    format!("/v1/groups/{group}/commits")
}

fn messages(group: GroupId) -> String {
    format!("/v1/groups/{group}/messages")
}

async fn read(client: &Client, group: GroupId, after: u64) -> GroupMessages {
    client.get(&format!("/v1/groups/{group}/messages?after={after}")).await.ok(StatusCode::OK)
}

#[tokio::test]
async fn of_commits_at_once_exactly_one_ends_the_epoch() {
    let running = Running::with(|config| config.device_burst = 10_000).await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    for epoch in 0..20 {
        let race = [&camera, &admin].map(|client| {
            let (client, commit) = (client.clone(), commit(group, epoch));
            tokio::spawn(async move { (client.post(&commits(group), &commit).await, commit) })
        });
        let mut won = Vec::new();
        for answer in race {
            let (answer, commit) = answer.await.unwrap();
            if answer.status == StatusCode::CREATED {
                assert_eq!(answer.ok::<MessageAccepted>(StatusCode::CREATED).seq, epoch + 1);
                won.push(commit.commit);
            } else {
                answer.problem(ProblemCode::EpochTaken);
            }
        }
        assert_eq!(won.len(), 1, "epoch {epoch}");
        let stored = read(&camera, group, epoch).await;
        assert_eq!(stored.messages.len(), 1);
        assert_eq!((stored.messages[0].epoch, &stored.messages[0].message), (epoch, &won[0]));
    }
    // Everyone reads the same order.
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let all = read(&viewer, group, 0).await;
    assert_eq!(all, read(&camera, group, 0).await);
    assert_eq!(
        all.messages.iter().map(|message| message.seq).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    assert!(all.messages.iter().all(|message| message.kind == MessageKind::Commit));
    camera.post(&commits(group), &commit(group, 25)).await.problem(ProblemCode::EpochNotCurrent);
    running.server.shutdown().await;
}

#[tokio::test]
async fn only_the_camera_commits_or_an_admin_who_adds_nobody() {
    let running = Running::start().await;
    let home = running.home().await;
    let stranger = running.home().await;
    let group = home.group();
    let client = &running.client;
    for device in [&home.viewer, &home.guest, &home.other_camera] {
        let other = client.signed_in(&home, device).await;
        other.post(&commits(group), &commit(group, 0)).await.problem(ProblemCode::Forbidden);
    }
    for device in [&stranger.camera, &stranger.admin] {
        let foreign = client.signed_in(&stranger, device).await;
        foreign.post(&commits(group), &commit(group, 0)).await.problem(ProblemCode::NotFound);
    }
    running.client.post(&commits(group), &commit(group, 0)).await.problem(ProblemCode::NotSignedIn);

    let admin = client.signed_in(&home, &home.admin).await;
    let adding = PostCommit { welcomes: vec![welcome(home.viewer.id)], ..commit(group, 0) };
    admin.post(&commits(group), &adding).await.problem(ProblemCode::Forbidden);
    assert_eq!(admin.post(&commits(group), &commit(group, 0)).await.status, StatusCode::CREATED);
    let camera = client.signed_in(&home, &home.camera).await;
    let adding = PostCommit { welcomes: vec![welcome(home.viewer.id)], ..commit(group, 1) };
    assert_eq!(camera.post(&commits(group), &adding).await.status, StatusCode::CREATED);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_commit_must_be_what_the_request_says() {
    let running = Running::start().await;
    let home = running.home().await;
    let group = home.group();
    let other = GroupId::new(home.other_camera.id, 0);
    let camera = running.client.signed_in(&home, &home.camera).await;
    let with = |bytes: Vec<u8>| PostCommit { commit: bytes.into(), ..commit(group, 0) };

    for (bytes, code) in [
        (mls::commit(other, 0), ProblemCode::MessageMismatch),
        (mls::commit(group, 1), ProblemCode::MessageMismatch),
        (mls::public(group, 0, mls::MEMBER, mls::PROPOSAL), ProblemCode::BadMessage),
        (mls::private(group, 0, mls::COMMIT), ProblemCode::BadMessage),
        (mls::public(group, 0, mls::EXTERNAL, mls::COMMIT), ProblemCode::BadMessage),
        (mls::welcome(), ProblemCode::BadMessage),
        (Vec::new(), ProblemCode::BadMessage),
        (mls::commit(group, 0)[..30].to_vec(), ProblemCode::BadMessage),
    ] {
        camera.post(&commits(group), &with(bytes)).await.problem(code);
    }
    let next_generation = GroupId::new(home.camera.id, 1);
    let early = commit(next_generation, 0);
    camera.post(&commits(next_generation), &early).await.problem(ProblemCode::MessageMismatch);
    for welcomes in [
        vec![welcome(Device::new().id)],
        vec![welcome(home.camera.id)],
        vec![welcome(home.viewer.id), welcome(home.viewer.id)],
    ] {
        let adding = PostCommit { welcomes, ..commit(group, 0) };
        camera.post(&commits(group), &adding).await.problem(ProblemCode::MessageMismatch);
    }
    let no_welcome = WelcomeFor { device: home.viewer.id, welcome: mls::key_package().into() };
    let adding = PostCommit { welcomes: vec![no_welcome], ..commit(group, 0) };
    camera.post(&commits(group), &adding).await.problem(ProblemCode::BadMessage);
    let huge = [mls::commit(group, 0), vec![0; 64 * 1024]].concat();
    camera.post(&commits(group), &with(huge)).await.problem(ProblemCode::TooLarge);
    assert!(read(&camera, group, 0).await.messages.is_empty(), "nothing of all that was kept");
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_commit_and_its_list_are_taken_in_together_or_not_at_all() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let phone = Device::new();
    let rival = home.draft(|list| list);
    let list = home.next(|list| list.with(phone.entry(Role::Viewer)).unwrap());

    let adding = PostCommit { welcomes: vec![welcome(phone.id)], ..commit(group, 0) };
    camera.post(&commits(group), &adding).await.problem(ProblemCode::MessageMismatch);
    let with_list = PostCommit { list: Some(list.clone().into()), ..adding };
    assert_eq!(camera.post(&commits(group), &with_list).await.status, StatusCode::CREATED);
    let phone_client = running.client.signed_in(&home, &phone).await;
    let welcomes: Welcomes = phone_client.get("/v1/welcomes").await.ok(StatusCode::OK);
    assert_eq!(welcomes.welcomes.len(), 1);
    assert_eq!((welcomes.welcomes[0].group, welcomes.welcomes[0].seq), (group, 1));

    let with_rival = PostCommit { list: Some(rival.into()), ..commit(group, 1) };
    camera.post(&commits(group), &with_rival).await.problem(ProblemCode::ListVersionTaken);
    let third = home.draft(|list| list);
    let late = PostCommit { list: Some(third.into()), ..commit(group, 0) };
    camera.post(&commits(group), &late).await.problem(ProblemCode::EpochTaken);
    let lists: Lists = camera.get("/v1/lists").await.ok(StatusCode::OK);
    assert_eq!(lists.lists.len(), 2, "no list of a refused commit");
    // A list that the server has is no obstacle.
    let again = PostCommit { list: Some(list.into()), ..commit(group, 1) };
    assert_eq!(camera.post(&commits(group), &again).await.status, StatusCode::CREATED);
    running.server.shutdown().await;
}

#[tokio::test]
async fn welcomes_wait_for_their_device_until_it_took_them() {
    let running = Running::start().await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let guest = running.client.signed_in(&home, &home.guest).await;
    let for_viewer = welcome(home.viewer.id);
    let adding =
        PostCommit { welcomes: vec![for_viewer.clone(), welcome(home.guest.id)], ..commit(group, 0) };
    assert_eq!(camera.post(&commits(group), &adding).await.status, StatusCode::CREATED);

    let welcomes: Welcomes = viewer.get("/v1/welcomes").await.ok(StatusCode::OK);
    assert_eq!(welcomes.welcomes.len(), 1);
    assert_eq!(welcomes.welcomes[0].welcome, for_viewer.welcome);
    let path = format!("/v1/welcomes/{}", welcomes.welcomes[0].id);
    guest.delete(&path).await.problem(ProblemCode::NotFound);
    assert_eq!(viewer.delete(&path).await.status, StatusCode::NO_CONTENT);
    viewer.delete(&path).await.problem(ProblemCode::NotFound);
    viewer.delete("/v1/welcomes/x").await.problem(ProblemCode::BadRequest);
    assert!(viewer.get("/v1/welcomes").await.ok::<Welcomes>(StatusCode::OK).welcomes.is_empty());
    assert_eq!(guest.get("/v1/welcomes").await.ok::<Welcomes>(StatusCode::OK).welcomes.len(), 1);
    running.server.shutdown().await;
}

#[tokio::test]
async fn messages_of_members_keep_the_order_and_stay_inside() {
    let running = Running::start().await;
    let home = running.home().await;
    let stranger = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let guest = running.client.signed_in(&home, &home.guest).await;
    let post = |bytes: Vec<u8>| PostMessage { message: bytes.into() };
    let application = |epoch| mls::private(group, epoch, mls::APPLICATION);

    guest.post(&messages(group), &post(application(0))).await.problem(ProblemCode::NotFound);
    assert_eq!(camera.post(&commits(group), &commit(group, 0)).await.status, StatusCode::CREATED);
    let first: MessageAccepted =
        guest.post(&messages(group), &post(application(1))).await.ok(StatusCode::CREATED);
    assert_eq!(first.seq, 2);
    let proposal = mls::public(group, 1, mls::MEMBER, mls::PROPOSAL);
    let second: MessageAccepted = guest.post(&messages(group), &post(proposal)).await.ok(StatusCode::CREATED);
    assert_eq!(second.seq, 3);

    for (bytes, code) in [
        (mls::public(group, 0, mls::MEMBER, mls::PROPOSAL), ProblemCode::EpochNotCurrent),
        (mls::commit(group, 1), ProblemCode::BadMessage),
        (mls::public(group, 1, mls::MEMBER, mls::APPLICATION), ProblemCode::BadMessage),
        (mls::public(group, 1, mls::EXTERNAL, mls::PROPOSAL), ProblemCode::BadMessage),
        (
            mls::private(GroupId::new(home.other_camera.id, 0), 1, mls::APPLICATION),
            ProblemCode::MessageMismatch,
        ),
        (b"noise".to_vec(), ProblemCode::BadMessage),
    ] {
        guest.post(&messages(group), &post(bytes)).await.problem(code);
    }

    // The guest is of one camera only; the stranger of none.
    let other_group = GroupId::new(home.other_camera.id, 0);
    let other_camera = running.client.signed_in(&home, &home.other_camera).await;
    assert_eq!(
        other_camera.post(&commits(other_group), &commit(other_group, 0)).await.status,
        StatusCode::CREATED
    );
    let foreign = running.client.signed_in(&stranger, &stranger.admin).await;
    for (client, group) in [(&guest, other_group), (&other_camera, group), (&foreign, group)] {
        client.get(&messages(group)).await.problem(ProblemCode::NotFound);
        let message = post(mls::private(group, 1, mls::APPLICATION));
        client.post(&messages(group), &message).await.problem(ProblemCode::NotFound);
    }
    let all = read(&guest, group, 1).await;
    assert_eq!(
        all.messages.iter().map(|message| message.kind).collect::<Vec<_>>(),
        [MessageKind::Application, MessageKind::Proposal]
    );
    guest.get("/v1/groups/nonsense/messages").await.problem(ProblemCode::BadRequest);
    guest.get(&format!("{}?after=-1", messages(group))).await.problem(ProblemCode::BadRequest);
    guest.get(&format!("{}?before=1", messages(group))).await.problem(ProblemCode::BadRequest);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_list_without_the_camera_closes_its_group() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    assert_eq!(camera.post(&commits(group), &commit(group, 0)).await.status, StatusCode::CREATED);
    let gone = home.camera.id;
    let list = home.next(|list| list.without(gone).unwrap());
    let list = PostList { list: list.into() };
    assert_eq!(admin.post("/v1/lists", &list).await.status, StatusCode::CREATED);
    camera.post(&commits(group), &commit(group, 1)).await.problem(ProblemCode::NotSignedIn);
    admin.post(&commits(group), &commit(group, 1)).await.problem(ProblemCode::NotFound);
    admin.get(&messages(group)).await.problem(ProblemCode::NotFound);
    running.server.shutdown().await;
}

#[tokio::test]
async fn what_all_have_read_is_dropped_and_nothing_before() {
    let running = Running::start().await;
    // Long enough for a slow machine to come this far while the guest may come back.
    let guests_end = now() + 10;
    let home = running.register(Home::with_guest_until(guests_end)).await;
    let group = home.group();
    let path = format!("/v1/groups/{group}/cursor");
    let client = &running.client;
    let mut readers = Vec::new();
    for device in [&home.camera, &home.admin, &home.viewer] {
        readers.push(client.signed_in(&home, device).await);
    }
    readers[0].post(&path, &PostCursor { seq: 1 }).await.problem(ProblemCode::NotFound);
    for epoch in 0..4 {
        readers[0].post(&commits(group), &commit(group, epoch)).await;
    }
    let kept = async |client: &Client, seq| -> u64 {
        client.post(&path, &PostCursor { seq }).await.ok::<CursorKept>(StatusCode::OK).seq
    };
    let seqs = async |client: &Client| -> Vec<u64> {
        read(client, group, 0).await.messages.iter().map(|message| message.seq).collect()
    };
    for reader in &readers {
        assert_eq!(kept(reader, 3).await, 3);
    }
    assert_eq!(seqs(&readers[0]).await, [1, 2, 3, 4], "the guest may come back");
    while now() < guests_end {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(kept(&readers[2], 2).await, 3, "a cursor does not move back");
    assert_eq!(seqs(&readers[0]).await, [4], "the guest's time is over");
    assert_eq!(kept(&readers[1], u64::MAX).await, 4, "nor beyond the end");

    // The other camera and a stranger have no say.
    let stranger = running.home().await;
    for (home, device) in [(&home, &home.other_camera), (&stranger, &stranger.admin)] {
        let other = client.signed_in(home, device).await;
        other.post(&path, &PostCursor { seq: 4 }).await.problem(ProblemCode::NotFound);
    }
    assert_eq!(seqs(&readers[0]).await, [4]);
    running.server.shutdown().await;
}

#[tokio::test]
async fn an_application_message_is_small_and_a_proposal_may_be_large() {
    let running = Running::start().await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    camera.post(&commits(group), &commit(group, 0)).await;
    let sized = |message: Vec<u8>, len: usize| {
        let filler = vec![3; len - message.len()];
        PostMessage { message: [message, filler].concat().into() }
    };
    let note = || mls::private(group, 1, mls::APPLICATION);
    let proposal = || mls::public(group, 1, mls::MEMBER, mls::PROPOSAL);
    for (message, code) in [
        (sized(note(), 32 * 1024 + 1), ProblemCode::TooLarge),
        (sized(proposal(), 64 * 1024 + 1), ProblemCode::TooLarge),
    ] {
        camera.post(&messages(group), &message).await.problem(code);
    }
    for message in [sized(note(), 32 * 1024), sized(proposal(), 64 * 1024)] {
        assert_eq!(camera.post(&messages(group), &message).await.status, StatusCode::CREATED);
    }
    running.server.shutdown().await;
}

/// Talking and recordings have keys of their own: who may only do that is no member, for the server as for the clients.
#[tokio::test]
async fn who_may_not_see_the_camera_takes_no_part_in_its_group() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let package = PublishKeyPackages { packages: vec![mls::key_package().into()], last_resort: None };
    assert_eq!(viewer.post("/v1/key-packages", &package).await.status, StatusCode::CREATED);
    let adding = PostCommit { welcomes: vec![welcome(home.viewer.id)], ..commit(group, 0) };
    assert_eq!(camera.post(&commits(group), &adding).await.status, StatusCode::CREATED);

    let (viewers, admins) = (home.viewer.id, home.admin.id);
    let list = home.next(|list| {
        let blind = |id| {
            let mut entry = list.device(id).unwrap().clone();
            entry.rights = Rights::of(&[Right::Talk, Right::History]);
            entry
        };
        let entries = [blind(viewers), blind(admins)];
        entries.into_iter().fold(list, |list, entry| list.with(entry).unwrap())
    });
    assert_eq!(admin.post("/v1/lists", &PostList { list: list.into() }).await.status, StatusCode::CREATED);
    viewer.get("/v1/welcomes").await.problem(ProblemCode::NotSignedIn);
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let waiting: Welcomes = viewer.get("/v1/welcomes").await.ok(StatusCode::OK);
    assert!(waiting.welcomes.is_empty(), "the one that waited leads into a closed group");
    viewer.get(&messages(group)).await.problem(ProblemCode::NotFound);
    let note = PostMessage { message: mls::private(group, 1, mls::APPLICATION).into() };
    viewer.post(&messages(group), &note).await.problem(ProblemCode::NotFound);
    admin.post(&commits(group), &commit(group, 1)).await.problem(ProblemCode::Forbidden);
    let claim = ClaimKeyPackage { device: viewers };
    camera.post("/v1/key-packages/claim", &claim).await.problem(ProblemCode::NotFound);
    let adding = PostCommit { welcomes: vec![welcome(viewers)], ..commit(group, 1) };
    camera.post(&commits(group), &adding).await.problem(ProblemCode::MessageMismatch);

    // With only the right to talk left, it can still be given less.
    let kept = home.other_camera.id;
    let list = home.next(|list| {
        let mut entry = list.device(viewers).unwrap().clone();
        entry.cameras = Some(vec![kept]);
        list.with(entry).unwrap()
    });
    assert_eq!(admin.post("/v1/lists", &PostList { list: list.into() }).await.status, StatusCode::CREATED);
    viewer.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_request_to_be_put_in_anew_reaches_the_camera_and_nobody_else() {
    let running = Running::start().await;
    let home = running.home().await;
    let group = home.group();
    let path = format!("/v1/groups/{group}/rejoin");
    let camera = running.client.signed_in(&home, &home.camera).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let mut socket = Socket::open(&camera).await;
    let request = Rejoin { time: 7, key_package: mls::key_package().into(), signature: vec![1; 64].into() };
    let short = Rejoin { signature: vec![1; 63].into(), ..request.clone() };
    viewer.post(&path, &short).await.problem(ProblemCode::BadMessage);
    assert_eq!(viewer.post(&path, &request).await.status, StatusCode::ACCEPTED);
    let device = home.viewer.id;
    assert_eq!(socket.event().await, Some(Event::Rejoin { group, device, request: request.clone() }));
    viewer.post(&path, &request).await.problem(ProblemCode::RateLimited);

    // Not the camera itself, no device of another camera, and no group that is closed.
    camera.post(&path, &request).await.problem(ProblemCode::NotFound);
    let other = running.client.signed_in(&home, &home.other_camera).await;
    other.post(&path, &request).await.problem(ProblemCode::NotFound);
    let closed = format!("/v1/groups/{}/rejoin", GroupId::new(home.camera.id, group.generation() + 1));
    viewer.post(&closed, &request).await.problem(ProblemCode::NotFound);
    running.server.shutdown().await;
}
