//! A device that watches ten cameras at once, more than the server gives sockets to a device.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests run natively")]

mod stage;

use std::sync::Arc;
use std::time::Instant;

use latchkey_api::device_list::Role;
use latchkey_household::camera::publish::Publishing;
use latchkey_household::event::{Event, Teller};
use latchkey_household::signaling::SignalUpdate;
use latchkey_household::viewer::news::News;
use latchkey_household::viewer::watch::Watching;
use stage::{Stage, in_time};

const CAMERAS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn ten_cameras_are_watched_over_one_socket() {
    let stage = Stage::open().await;
    let ada = stage.found("ada").await;
    let mut cameras = Vec::new();
    for number in 0..CAMERAS {
        cameras.push(stage.add(&ada, Role::Camera, &format!("camera {number}")).await);
    }
    let mut hints = ada.signaling.events();
    let connected = in_time("the socket", hints.next()).await;
    assert_eq!(connected, Some(SignalUpdate::Connected));

    let began = Instant::now();
    let mut watched = Vec::new();
    for camera in &cameras {
        let id = camera.home.lock().await.device();
        let teller = Arc::new(Teller::new());
        let mut watching = Watching::start(&ada.home, &ada.signaling, id, teller).await.unwrap();
        let (news, told) = (watching.take_news().unwrap(), watching.events());
        watched.push((watching, news, told));
    }
    let mut publishing = Vec::new();
    for camera in &cameras {
        let teller = Arc::new(Teller::new());
        publishing.push(Publishing::start(&camera.home, &camera.signaling, teller).await.unwrap());
    }
    for (number, (_, news, _)) in watched.iter_mut().enumerate() {
        let keys = async { while !matches!(news.recv().await, Some(News::Epoch { .. })) {} };
        in_time("keys of each camera", keys).await;
        println!("camera {number}: {:?}", began.elapsed());
    }
    for (_, _, told) in &mut watched {
        while let Ok(event) = told.try_recv() {
            let trouble = matches!(&event, Event::Note { text } if text.contains("used:") || text.contains("limit-reached") || text.contains("anew"));
            assert!(!trouble, "{event:?}");
        }
    }
    println!("keys of {CAMERAS} cameras after {:?}", began.elapsed());

    // A socket that the server takes away for another is one that says so.
    while let Ok(Some(update)) = tokio::time::timeout(std::time::Duration::ZERO, hints.next()).await {
        assert!(!matches!(update, SignalUpdate::Disconnected(_)), "{update:?}");
    }
    // All of them still hear what happens: a new viewer makes a new epoch everywhere.
    let bob = stage.add(&ada, Role::Viewer, "bob").await;
    let joined = Instant::now();
    for (_, _, told) in &mut watched {
        let rekeyed = async {
            loop {
                match told.recv().await.unwrap() {
                    Event::NewEpoch { members: 3, .. } => return,
                    Event::Note { text } => println!("{text}"),
                    _ => {}
                }
            }
        };
        in_time("the epoch with bob", rekeyed).await;
    }
    println!("all in the epoch with bob after {:?}", joined.elapsed());
    let refused = stage.metrics("signal_rate_limited_total{").await;
    assert!(refused.is_empty(), "an honest device asks no more than it may: {refused:?}");
    println!("{:#?}", stage.metrics("signal_requests_total{").await);
    drop(bob);
    for (watching, ..) in watched {
        watching.stop().await;
    }
    for one in publishing {
        one.stop().await;
    }
    stage.server.shutdown().await;
}
