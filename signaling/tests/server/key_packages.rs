//! Key packages: given once, then the last resort; to cameras of the household only.

use latchkey_api::device::{ClaimKeyPackage, ClaimedKeyPackage, KeyPackagesLeft, PublishKeyPackages};
use latchkey_api::event::Event;
use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;

use crate::events::Socket;
use crate::home::Device;
use crate::mls;
use crate::running::Running;

fn packages(count: usize) -> PublishKeyPackages {
    let packages = (0..count).map(|_| mls::key_package().into()).collect();
    PublishKeyPackages { packages, last_resort: None }
}

fn claim(device: DeviceId) -> ClaimKeyPackage {
    ClaimKeyPackage { device }
}

#[tokio::test]
async fn each_is_given_once_even_when_two_ask_at_once_and_then_the_last_resort() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let cameras = [
        running.client.signed_in(&home, &home.camera).await,
        running.client.signed_in(&home, &home.other_camera).await,
    ];
    cameras[0]
        .post("/v1/key-packages/claim", &claim(home.viewer.id))
        .await
        .problem(ProblemCode::NoKeyPackage);
    let last_resort = mls::key_package();
    let published = PublishKeyPackages { last_resort: Some(last_resort.clone().into()), ..packages(10) };
    let left: KeyPackagesLeft = viewer.post("/v1/key-packages", &published).await.ok(StatusCode::CREATED);
    assert_eq!(left.left, 10);
    let mut socket = Socket::open(&viewer).await;

    let claims = (0..12).map(|at| {
        let (camera, device) = (cameras[at % 2].clone(), home.viewer.id);
        tokio::spawn(async move {
            let answer = camera.post("/v1/key-packages/claim", &claim(device)).await;
            answer.ok::<ClaimedKeyPackage>(StatusCode::OK)
        })
    });
    let mut given = Vec::new();
    let mut resorts = 0;
    for claimed in claims.collect::<Vec<_>>() {
        let claimed = claimed.await.unwrap();
        if claimed.last_resort {
            assert_eq!(claimed.key_package.0, last_resort);
            resorts += 1;
        } else {
            given.push(claimed.key_package.0);
        }
    }
    given.sort();
    let mut expected: Vec<_> = published.packages.into_iter().map(|package| package.0).collect();
    expected.sort();
    assert_eq!(given, expected, "each one once");
    assert_eq!(resorts, 2);
    let Some(Event::KeyPackagesLow { left }) = socket.event().await else { panic!("the device is told") };
    assert!(left <= 3);
    let none: KeyPackagesLeft = viewer.post("/v1/key-packages", &packages(0)).await.ok(StatusCode::CREATED);
    assert_eq!(none.left, 0, "an empty one asks how many are left");
    running.server.shutdown().await;
}

#[tokio::test]
async fn only_a_camera_claims_and_only_of_devices_that_may_use_it() {
    let running = Running::start().await;
    let home = running.home().await;
    let stranger = running.home().await;
    let guest = running.client.signed_in(&home, &home.guest).await;
    let _: KeyPackagesLeft = guest.post("/v1/key-packages", &packages(2)).await.ok(StatusCode::CREATED);

    for device in [&home.viewer, &home.admin] {
        let client = running.client.signed_in(&home, device).await;
        client.post("/v1/key-packages/claim", &claim(home.guest.id)).await.problem(ProblemCode::Forbidden);
    }
    let others = [
        running.client.signed_in(&home, &home.other_camera).await,
        running.client.signed_in(&stranger, &stranger.camera).await,
    ];
    for client in others {
        client.post("/v1/key-packages/claim", &claim(home.guest.id)).await.problem(ProblemCode::NotFound);
    }
    let camera = running.client.signed_in(&home, &home.camera).await;
    camera.post("/v1/key-packages/claim", &claim(Device::new().id)).await.problem(ProblemCode::NotFound);
    camera.post("/v1/key-packages/claim", &claim(home.camera.id)).await.problem(ProblemCode::NotFound);
    let _: ClaimedKeyPackage =
        camera.post("/v1/key-packages/claim", &claim(home.guest.id)).await.ok(StatusCode::OK);
    running.server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_key_package_or_too_much_is_refused_whole() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let mut one_bad = packages(3);
    one_bad.packages[1] = mls::welcome().into();
    viewer.post("/v1/key-packages", &one_bad).await.problem(ProblemCode::BadMessage);
    let huge = [&[0, 1, 0, 5][..], &vec![0; 8 * 1024]].concat();
    let huge = PublishKeyPackages { packages: vec![huge.into()], last_resort: None };
    viewer.post("/v1/key-packages", &huge).await.problem(ProblemCode::TooLarge);
    let _: KeyPackagesLeft = viewer.post("/v1/key-packages", &packages(60)).await.ok(StatusCode::CREATED);
    viewer.post("/v1/key-packages", &packages(41)).await.problem(ProblemCode::LimitReached);
    let left: KeyPackagesLeft = viewer.post("/v1/key-packages", &packages(40)).await.ok(StatusCode::CREATED);
    assert_eq!(left.left, 100);
    running.server.shutdown().await;
}
