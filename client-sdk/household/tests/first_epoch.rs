//! The first camera of a new household, and an admin who looks at once: how long it takes until she holds its keys.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests run natively; times are printed"
)]

mod stage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_e2ee::enrol::{Kind, Terms};
use latchkey_household::camera::publish::Publishing;
use latchkey_household::enrol::{Arrival, ArrivalConfig, LetIn};
use latchkey_household::event::Teller;
use latchkey_household::viewer::news::News;
use latchkey_household::viewer::watch::Watching;
use stage::{Device, Stage, in_memory, in_time};

async fn publish(device: &Device) -> Publishing {
    Publishing::start(&device.home, &device.signaling, Arc::new(Teller::new())).await.unwrap()
}

/// Watches until the keys of an epoch have come, and returns how it was told on the way.
async fn keys_of(admin: &Device, camera: &Device, began: Instant) -> Watching {
    let id = camera.home.lock().await.device();
    let teller = Arc::new(Teller::new());
    let mut told = teller.listen();
    let mut watching = Watching::start(&admin.home, &admin.signaling, id, teller).await.unwrap();
    let mut news = watching.take_news().unwrap();
    let came = async {
        loop {
            tokio::select! {
                Some(news) = news.recv() => if let News::Epoch { keys, .. } = news {
                    println!("  {:?}: keys of epoch {}", began.elapsed(), keys.epoch());
                    return;
                },
                Ok(event) = told.recv() => println!("  {:?}: {event:?}", began.elapsed()),
            }
        }
    };
    in_time("the keys of the first epoch", came).await;
    watching
}

/// `admin` lists a device that goes away before it has left a key package.
async fn add_one_that_goes_away(stage: &Stage, admin: &Device) {
    let config = ArrivalConfig::new(stage.url(), Kind::Viewer);
    let (mut arrival, offer) = Arrival::by_code(in_memory(), config).await.unwrap();
    let mut home = admin.home.lock().await;
    let mut let_in = LetIn::by_code(&home, &offer, Terms::unlimited(Role::Viewer, "gone")).unwrap();
    let_in.meet().await.unwrap();
    let_in.invite(&mut home).await.unwrap();
    let (accepted, invited) = tokio::join!(let_in.accepted(), async { arrival.invited().await.map(drop) });
    invited.unwrap();
    accepted.unwrap().sign(&mut home).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_holds_keys_soon_whoever_is_first() {
    let stage = Stage::open().await;
    let ada = stage.found("ada").await;
    for (name, camera_after, admin_after) in [("door", 0, 0), ("yard", 400, 0), ("cellar", 0, 400)] {
        let camera = stage.add(&ada, Role::Camera, name).await;
        let began = Instant::now();
        let sends = async {
            tokio::time::sleep(Duration::from_millis(camera_after)).await;
            publish(&camera).await
        };
        let watches = async {
            tokio::time::sleep(Duration::from_millis(admin_after)).await;
            keys_of(&ada, &camera, began).await
        };
        let (publishing, watching) = tokio::join!(sends, watches);
        watching.stop().await;
        publishing.stop().await;
    }
    stage.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_key_packages_keeps_no_newcomer_waiting() {
    let stage = Stage::open().await;
    let ada = stage.found("ada").await;
    let door = stage.add(&ada, Role::Camera, "door").await;
    add_one_that_goes_away(&stage, &ada).await;
    let publishing = publish(&door).await;
    keys_of(&ada, &door, Instant::now()).await.stop().await;
    // By then the camera asks for the missing one's only every ten seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let bob = stage.add(&ada, Role::Viewer, "bob").await;
    let began = Instant::now();
    keys_of(&bob, &door, began).await.stop().await;
    println!("a newcomer beside one without key packages has keys after {:?}", began.elapsed());
    publishing.stop().await;
    stage.server.shutdown().await;
}
