//! The household root signs in: what it may do, and that it may do nothing else.

use latchkey_api::device_list::Role;
use latchkey_api::event::Event;
use latchkey_api::group::PostCursor;
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::problem::ProblemCode;
use latchkey_api::session::{OpenSession, SessionScope};
use reqwest::StatusCode;

use crate::events::Socket;
use crate::home::{Device, Home};
use crate::running::Running;

#[tokio::test]
async fn the_root_brings_a_recovery_list_and_the_lost_admin_is_out_at_once() {
    let running = Running::start().await;
    let home = running.home().await;
    let lost = running.client.signed_in(&home, &home.admin).await;
    let mut lost_socket = Socket::open(&lost).await;
    let mut camera = Socket::open(&running.client.signed_in(&home, &home.camera).await).await;

    let root = running.client.signed_in_as_root(&home).await;
    let lists: Lists = root.get("/v1/lists").await.ok(StatusCode::OK);
    assert_eq!(lists.lists.len(), 1);
    let admin = Device::new();
    let list = PostList { list: home.recovery(&admin).into() };
    let accepted: ListAccepted = root.post("/v1/lists", &list).await.ok(StatusCode::CREATED);
    assert_eq!(accepted.version, 2);
    let again: ListAccepted = root.post("/v1/lists", &list).await.ok(StatusCode::CREATED);
    assert_eq!(again.version, 2);

    assert_eq!(camera.event().await, Some(Event::List { version: 2 }));
    assert_eq!(lost_socket.event().await, Some(Event::Removed));
    lost.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    let lists: Lists =
        running.client.signed_in(&home, &admin).await.get("/v1/lists").await.ok(StatusCode::OK);
    assert_eq!(lists.lists.len(), 2);
    running.server.shutdown().await;
}

#[tokio::test]
async fn the_root_does_nothing_else() {
    let running = Running::start().await;
    let home = running.home().await;
    let root = running.client.signed_in_as_root(&home).await;
    let group = home.group();
    for path in [
        "/v1/audit".to_owned(),
        "/v1/export".into(),
        "/v1/welcomes".into(),
        "/v1/cameras".into(),
        "/v1/events".into(),
        format!("/v1/groups/{group}/messages"),
    ] {
        root.get(&path).await.problem(ProblemCode::Forbidden);
    }
    let session = OpenSession { camera: home.camera.id, scope: SessionScope::View };
    root.post("/v1/sessions", &session).await.problem(ProblemCode::Forbidden);
    root.post(&format!("/v1/groups/{group}/cursor"), &PostCursor { seq: 1 })
        .await
        .problem(ProblemCode::Forbidden);
    root.delete("/v1/welcomes/1").await.problem(ProblemCode::Forbidden);
    // A list of an admin is brought by a device.
    let by_admin = home.draft(|list| list.with(Device::new().entry(Role::Viewer)).unwrap());
    root.post("/v1/lists", &PostList { list: by_admin.into() }).await.problem(ProblemCode::Forbidden);
    assert_eq!(root.get("/v1/lists").await.ok::<Lists>(StatusCode::OK).lists.len(), 1);
    running.server.shutdown().await;
}

#[tokio::test]
async fn only_the_root_key_signs_in_as_the_root() {
    let running = Running::start().await;
    let home = running.home().await;
    let other = Home::new();
    for key in [&home.admin.key, &other.root] {
        let pretender = Device { key: key.clone(), ..home.root_device() };
        let challenge = running.client.challenge(home.id, &pretender).await;
        let answer = running.client.answer(home.id, &pretender, &challenge);
        running.client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    }
    // Nor for a household that is not here, and the root's answer is none of a device.
    let challenge = running.client.challenge(other.id, &other.root_device()).await;
    let answer = running.client.answer(other.id, &other.root_device(), &challenge);
    running.client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    let challenge = running.client.challenge(home.id, &home.admin).await;
    let mut answer = running.client.answer(home.id, &home.root_device(), &challenge);
    answer.device = home.admin.id;
    running.client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    running.server.shutdown().await;
}
