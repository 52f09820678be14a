//! What the server has about a household: read out whole, and deleted so that nothing of it is left.

use std::path::Path;

use latchkey_api::audit::{AuditHead, AuditKind, AuditRows};
use latchkey_api::device::PublishKeyPackages;
use latchkey_api::encoding::to_text;
use latchkey_api::event::Event;
use latchkey_api::export::Export;
use latchkey_api::group::{PostCommit, PostCursor, PostMessage, WelcomeFor};
use latchkey_api::household::DeleteHousehold;
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::problem::ProblemCode;
use latchkey_signaling_core::names::{handle_of, room_of};
use reqwest::StatusCode;

use crate::client::Client;
use crate::events::Socket;
use crate::home::{Device, Home};
use crate::mls;
use crate::running::Running;

/// Something of every kind that a server keeps; returns bytes that stand in it.
async fn live(running: &Running, home: &mut Home, rounds: u64) -> Vec<Vec<u8>> {
    let group = home.group();
    let client = &running.client;
    let camera = client.signed_in(home, &home.camera).await;
    let admin = client.signed_in(home, &home.admin).await;
    let viewer = client.signed_in(home, &home.viewer).await;
    let mut marks: Vec<Vec<u8>> = [&home.camera, &home.other_camera, &home.admin, &home.viewer, &home.guest]
        .iter()
        .flat_map(|device| [device.id.0.to_vec(), device.key.verifying_key().to_bytes().to_vec()])
        .collect();
    marks.push(home.id.0.to_vec());
    marks.push(home.root.verifying_key().to_bytes().to_vec());
    for epoch in 0..rounds {
        let welcome = mls::welcome();
        let commit = mls::commit(group, epoch);
        let note = [mls::private(group, epoch + 1, mls::APPLICATION), vec![7; 700]].concat();
        marks.extend([&welcome, &commit, &note].map(|bytes| bytes[bytes.len().min(40) - 8..].to_vec()));
        let welcomes = vec![WelcomeFor { device: home.viewer.id, welcome: welcome.into() }];
        let commit = PostCommit { epoch, commit: commit.into(), welcomes, list: None };
        let path = format!("/v1/groups/{group}");
        assert_eq!(camera.post(&format!("{path}/commits"), &commit).await.status, StatusCode::CREATED);
        let note = PostMessage { message: note.into() };
        assert_eq!(viewer.post(&format!("{path}/messages"), &note).await.status, StatusCode::CREATED);
        let cursor = PostCursor { seq: 2 };
        assert_eq!(viewer.post(&format!("{path}/cursor"), &cursor).await.status, StatusCode::OK);
        let package = mls::key_package();
        marks.push(package[8..].to_vec());
        let last_resort = (epoch == 0).then(|| mls::key_package().into());
        let packages = PublishKeyPackages { packages: vec![package.into()], last_resort };
        assert_eq!(viewer.post("/v1/key-packages", &packages).await.status, StatusCode::CREATED);
        let list = home.next(|list| list);
        marks.push(list[list.len() - 32..].to_vec());
        let list = PostList { list: list.into() };
        let _: ListAccepted = admin.post("/v1/lists", &list).await.ok(StatusCode::CREATED);
    }
    marks
}

/// How often one of `marks` stands in a file of the folder, raw or as text.
fn found(folder: &Path, marks: &[Vec<u8>]) -> usize {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let marks: Vec<Vec<u8>> =
        marks.iter().flat_map(|mark| [mark.clone(), to_text(mark).into_bytes(), hex(mark)]).collect();
    let mut times = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        // By the first eight bytes, then the whole: many marks over many bytes.
        let heads: std::collections::HashSet<&[u8]> = marks.iter().map(|mark| &mark[..8]).collect();
        for (at, head) in bytes.windows(8).enumerate() {
            if heads.contains(head) {
                times += marks.iter().filter(|mark| bytes[at..].starts_with(mark)).count();
            }
        }
    }
    times
}

#[tokio::test]
async fn an_admin_reads_out_everything() {
    let running = Running::with(|config| config.device_burst = 10_000).await;
    let mut home = running.home().await;
    live(&running, &mut home, 6).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let answer = admin.get("/v1/export").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let export: Export = answer.ok(StatusCode::OK);
    assert_eq!(export.household, home.id);
    assert_eq!(export.root_public.0, home.root.verifying_key().to_bytes());
    let lists: Lists = admin.get("/v1/lists").await.ok(StatusCode::OK);
    assert_eq!((export.lists.len(), &export.lists), (7, &lists.lists));
    let audit: AuditRows = admin.get("/v1/audit").await.ok(StatusCode::OK);
    assert_eq!(export.audit, audit.rows);
    AuditHead::default().follow(&home.id, &export.audit).unwrap();
    let last = export.audit.last().unwrap();
    assert_eq!((last.known_kind(), last.actor), (Some(AuditKind::Exported), Some(home.admin.id)));
    let [group] = export.groups.as_slice() else { panic!("{} groups", export.groups.len()) };
    assert_eq!((group.group, group.next_epoch, group.last_seq), (home.group(), 6, 12));
    assert_eq!(group.messages.len(), 12);
    assert_eq!(group.cursors.iter().map(|it| (it.device, it.seq)).collect::<Vec<_>>(), [(home.viewer.id, 2)]);
    assert_eq!(export.welcomes.len(), 1);
    assert_eq!((export.welcomes[0].device, export.welcomes[0].welcomes.len()), (home.viewer.id, 1));
    let [packages] = export.key_packages.as_slice() else { panic!("one device left some") };
    assert_eq!((packages.single_use, packages.last_resort), (6, true));
    assert_eq!(export.sessions.len(), 4);

    // Others do not, and it cannot be asked for again and again.
    for device in [&home.camera, &home.viewer, &home.guest] {
        let other = running.client.signed_in(&home, device).await;
        other.get("/v1/export").await.problem(ProblemCode::Forbidden);
    }
    for _ in 0..2 {
        assert_eq!(admin.get("/v1/export").await.status, StatusCode::OK);
    }
    admin.get("/v1/export").await.problem(ProblemCode::RateLimited);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_long_export_comes_in_pieces() {
    let running = Running::with(|config| {
        config.device_burst = 10_000;
        config.address_burst = 10_000;
        config.message_burst = 10_000;
    })
    .await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let commit = PostCommit { epoch: 0, commit: mls::commit(group, 0).into(), welcomes: vec![], list: None };
    camera.post(&format!("/v1/groups/{group}/commits"), &commit).await;
    let mut sent = Vec::new();
    for _ in 0..80 {
        let note = [mls::private(group, 1, mls::APPLICATION), vec![5; 31_000]].concat();
        sent.push(note.clone());
        let note = PostMessage { message: note.into() };
        let path = format!("/v1/groups/{group}/messages");
        assert_eq!(camera.post(&path, &note).await.status, StatusCode::CREATED);
    }
    let admin = running.client.signed_in(&home, &home.admin).await;
    let export: Export = admin.get("/v1/export").await.ok(StatusCode::OK);
    let read: Vec<_> = export.groups[0].messages[1..].iter().map(|it| it.message.0.clone()).collect();
    assert!(read == sent, "all {} of {}", read.len(), sent.len());
    running.server.shutdown().await;
}

/// Rows of both households lie mixed in the same pages of the file.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_household_nothing_is_left_in_any_file() {
    let running = Running::with(|config| {
        config.device_burst = 100_000;
        config.address_burst = 100_000;
        config.message_burst = 100_000;
    })
    .await;
    let (mut home, mut neighbour) = (running.home().await, running.home().await);
    let (marks, kept) = tokio::join!(live(&running, &mut home, 60), live(&running, &mut neighbour, 60));
    let before = (found(running.folder(), &marks), found(running.folder(), &kept));
    assert!(
        before.0 > marks.len() / 2 && before.1 > kept.len() / 2,
        "the search finds what is there: {before:?}"
    );

    let admin = running.client.signed_in(&home, &home.admin).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let mut sockets = [Socket::open(&admin).await, Socket::open(&viewer).await];
    let deletion = admin.deletion(&home, &home.admin).await;
    let done = admin.post("/v1/households/self/deletion", &deletion).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);

    println!("{} marks, found {before:?} times before", marks.len());
    assert_eq!(found(running.folder(), &marks), 0, "while the server runs");
    for socket in &mut sockets {
        assert_eq!(socket.event().await, Some(Event::Removed));
        assert_eq!(socket.event().await, None);
    }
    let cuts = running.relay.cuts();
    for device in [&home.camera, &home.admin, &home.viewer, &home.guest] {
        let leg = (room_of(&home.id, &home.camera.id), handle_of(&home.id, &device.id));
        assert!(cuts.contains(&leg));
    }
    for client in [&admin, &viewer] {
        client.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    }
    let challenge = running.client.challenge(home.id, &home.admin).await;
    let answer = running.client.answer(home.id, &home.admin, &challenge);
    running.client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    let neighbours = running.client.signed_in(&neighbour, &neighbour.viewer).await;
    assert_eq!(neighbours.get("/v1/lists").await.ok::<Lists>(StatusCode::OK).lists.len(), 50);
    let folder = running.folder().to_owned();
    running.server.shutdown().await;
    assert_eq!(found(&folder, &marks), 0, "after it ended");
    assert!(found(&folder, &kept) > kept.len() / 2, "the neighbour's is all there");
}

#[tokio::test]
async fn a_household_is_deleted_by_a_fresh_signature_of_an_admin_only() {
    let running = Running::start().await;
    let home = running.home().await;
    let path = "/v1/households/self/deletion";
    let client = &running.client;
    let admin = client.signed_in(&home, &home.admin).await;
    let viewer = client.signed_in(&home, &home.viewer).await;
    let by_viewer = viewer.deletion(&home, &home.viewer).await;
    viewer.post(path, &by_viewer).await.problem(ProblemCode::Forbidden);
    client.post(path, &by_viewer).await.problem(ProblemCode::NotSignedIn);

    let good = admin.deletion(&home, &home.admin).await;
    let mut altered = good.clone();
    altered.signature.0[3] ^= 1;
    let made_up = DeleteHousehold { nonce: vec![1; 32].into(), ..good.clone() };
    // A sign-in is no deletion, and another device's signature none of this one.
    let challenge = client.challenge(home.id, &home.admin).await;
    let sign_in = client.answer(home.id, &home.admin, &challenge);
    let sign_in = DeleteHousehold { nonce: sign_in.nonce, signature: sign_in.signature };
    let impostor = Device { key: home.viewer.key.clone(), ..home.admin.clone() };
    let by_impostor = admin.deletion(&home, &impostor).await;
    let elsewhere = Client { base: "http://10.0.0.9:9601".into(), ..admin.clone() };
    let nonce = client.challenge(home.id, &home.admin).await.nonce;
    let elsewhere = {
        use ed25519_dalek::Signer as _;
        let audience = latchkey_api::auth::audience_of(&elsewhere.base);
        let input = latchkey_api::auth::deletion_input(&audience, &home.id, &home.admin.id, nonce.as_slice());
        DeleteHousehold { nonce, signature: home.admin.key.sign(&input).to_bytes().to_vec().into() }
    };
    for bad in [altered, made_up, sign_in, by_impostor, elsewhere] {
        admin.post(path, &bad).await.problem(ProblemCode::SignInFailed);
    }
    assert_eq!(admin.get("/v1/lists").await.status, StatusCode::OK, "it is still there");
    assert_eq!(admin.post(path, &good).await.status, StatusCode::NO_CONTENT);
    admin.post(path, &good).await.problem(ProblemCode::NotSignedIn);
    // It may begin anew, with its first list, and has no past.
    assert_eq!(client.post("/v1/households", &home.registration()).await.status, StatusCode::CREATED);
    let admin = client.signed_in(&home, &home.admin).await;
    let audit: AuditRows = admin.get("/v1/audit").await.ok(StatusCode::OK);
    assert_eq!(audit.rows.len(), 2);
    // The root deletes it as well.
    let root = client.signed_in_as_root(&home).await;
    let by_root = root.deletion(&home, &home.root_device()).await;
    assert_eq!(root.post(path, &by_root).await.status, StatusCode::NO_CONTENT);
    admin.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    running.server.shutdown().await;
}

/// Requests that run while the household goes away end somehow, and leave nothing behind that a new beginning meets.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_beside_a_deletion_leaves_nothing_behind() {
    let running = Running::with(|config| {
        config.device_burst = 100_000;
        config.household_burst = 1_000;
        config.address_burst = 100_000;
    })
    .await;
    for _ in 0..10 {
        let mut home = running.home().await;
        let registration = home.registration();
        let admin = running.client.signed_in(&home, &home.admin).await;
        let deletion = admin.deletion(&home, &home.admin).await;
        let lists: Vec<_> = (0..10).map(|_| home.next(|list| list)).collect();
        let poster = {
            let admin = admin.clone();
            tokio::spawn(async move {
                for list in lists {
                    admin.post("/v1/lists", &PostList { list: list.into() }).await;
                }
            })
        };
        let reader = {
            let admin = admin.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    admin.get("/v1/lists").await;
                }
            })
        };
        let deleted = admin.post("/v1/households/self/deletion", &deletion).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        poster.await.unwrap();
        reader.await.unwrap();
        admin.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
        let anew = running.client.post("/v1/households", &registration).await;
        assert_eq!(anew.status, StatusCode::CREATED);
        let admin = running.client.signed_in(&home, &home.admin).await;
        assert_eq!(admin.get("/v1/lists").await.ok::<Lists>(StatusCode::OK).lists.len(), 1);
        // The list after the first one is taken in: the server knows of no later one.
        let mut chain = latchkey_api::device_list::ListChain::new(home.chain.root_public()).unwrap();
        chain.accept(registration.list.as_slice(), None).unwrap();
        let second = Home { chain, ..home };
        let second = PostList { list: second.draft(|list| list).into() };
        assert_eq!(admin.post("/v1/lists", &second).await.ok::<ListAccepted>(StatusCode::CREATED).version, 2);
    }
    running.server.shutdown().await;
}
