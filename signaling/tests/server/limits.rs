//! Token buckets: who asks too often waits, and nobody else does.

use latchkey_api::encoding::to_text;
use latchkey_api::group::{PostCommit, PostMessage};
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;

use crate::home::{Home, random};
use crate::mls;
use crate::running::Running;

#[tokio::test]
async fn an_address_that_asks_too_often_waits() {
    let running = Running::with(|config| {
        config.open_burst = 5;
        config.open_rate = 0.01;
    })
    .await;
    let path = format!("/v1/mailboxes/{}", to_text(&random::<16>()));
    for _ in 0..5 {
        assert_eq!(running.client.get(&path).await.status, StatusCode::OK);
    }
    let refused = running.client.get(&path).await;
    refused.problem(ProblemCode::RateLimited);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    assert_eq!(running.client.get("/livez").await.status, StatusCode::OK, "other routes go on");
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_device_that_asks_too_often_waits_and_no_other_does() {
    let running = Running::with(|config| {
        config.device_burst = 4;
        config.device_rate = 0.01;
    })
    .await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    for _ in 0..4 {
        assert_eq!(viewer.get("/v1/lists").await.status, StatusCode::OK);
    }
    viewer.get("/v1/lists").await.problem(ProblemCode::RateLimited);
    let again = running.client.signed_in(&home, &home.viewer).await;
    again.get("/v1/lists").await.problem(ProblemCode::RateLimited);
    assert_eq!(admin.get("/v1/lists").await.status, StatusCode::OK);
    running.server.shutdown().await;
}

#[tokio::test]
async fn registering_has_a_limit_of_its_own_and_every_request_one_besides() {
    let running = Running::with(|config| {
        config.household_burst = 2;
        config.address_burst = 10;
        config.address_rate = 0.01;
    })
    .await;
    for _ in 0..2 {
        running.home().await;
    }
    let third = running.client.post("/v1/households", &Home::new().registration()).await;
    third.problem(ProblemCode::RateLimited);
    for _ in 3..10 {
        assert_eq!(running.client.get("/livez").await.status, StatusCode::OK);
    }
    running.client.get("/livez").await.problem(ProblemCode::RateLimited);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_full_server_takes_no_new_household_and_knows_the_old_ones() {
    let running = Running::with(|config| config.max_households = 2).await;
    let (first, _) = (running.home().await, running.home().await);
    let third = running.client.post("/v1/households", &Home::new().registration()).await;
    third.problem(ProblemCode::LimitReached);
    let again = running.client.post("/v1/households", &first.registration()).await;
    assert_eq!(again.status, StatusCode::CREATED);
    running.server.shutdown().await;
}

#[tokio::test]
async fn messages_to_a_group_have_a_limit_of_their_own_and_reading_goes_on() {
    let running = Running::with(|config| {
        config.message_burst = 3;
        config.message_rate = 0.01;
    })
    .await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let commit = PostCommit { epoch: 0, commit: mls::commit(group, 0).into(), welcomes: vec![], list: None };
    camera.post(&format!("/v1/groups/{group}/commits"), &commit).await;
    let path = format!("/v1/groups/{group}/messages");
    let note = || PostMessage { message: mls::private(group, 1, mls::APPLICATION).into() };
    for _ in 0..3 {
        assert_eq!(viewer.post(&path, &note()).await.status, StatusCode::CREATED);
    }
    let refused = viewer.post(&path, &note()).await;
    refused.problem(ProblemCode::RateLimited);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(viewer.get(&path).await.status, StatusCode::OK);
    assert_eq!(camera.post(&path, &note()).await.status, StatusCode::CREATED);
    running.server.shutdown().await;
}
