//! A device whose event socket never opens, as behind a proxy that lets none through: it asks by itself what is new.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests run natively")]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use latchkey_api::device_list::Role;
use latchkey_household::camera::publish::Publishing;
use latchkey_household::enrol::create;
use latchkey_household::event::{Event, Teller};
use latchkey_household::signaling::SignalUpdate;
use latchkey_household::viewer::watch::Watching;
use stage::{Device, Stage, in_memory, in_time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_a_socket_gets_its_keys_and_those_of_the_next_epoch() {
    let stage = Stage::open().await;
    let proxy = Proxy::before(stage.url()).await;
    let (home, _) = create(in_memory(), &proxy.url, "ada").await.unwrap();
    let ada = Device::of(home);
    let camera = stage.add(&ada, Role::Camera, "porch").await;
    let teller = Arc::new(Teller::new());
    let mut told = teller.listen();
    let publishing = Publishing::start(&camera.home, &camera.signaling, teller).await.unwrap();
    in_time("the camera's group", epoch_of(&mut told, 2)).await;
    let mut hints = camera.signaling.events();
    assert_eq!(in_time("the camera's socket", hints.next()).await, Some(SignalUpdate::Connected));

    proxy.let_sockets_through(false);
    let bob = stage.add(&ada, Role::Viewer, "bob").await;
    let began = Instant::now();
    let id = camera.home.lock().await.device();
    let teller = Arc::new(Teller::new());
    let mut heard = teller.listen();
    let watching = Watching::start(&bob.home, &bob.signaling, id, teller).await.unwrap();
    in_time("bob's keys", epoch_of(&mut heard, 3)).await;
    println!("keys without a socket after {:?}", began.elapsed());

    let carol = stage.add(&ada, Role::Viewer, "carol").await;
    let began = Instant::now();
    in_time("the epoch with carol", epoch_of(&mut heard, 4)).await;
    println!("the next epoch after {:?}", began.elapsed());
    let mut hints = bob.signaling.events();
    assert!(
        matches!(in_time("bob's socket", hints.next()).await, Some(SignalUpdate::Disconnected(_))),
        "a socket came through"
    );

    drop(carol);
    watching.stop().await;
    publishing.stop().await;
    stage.server.shutdown().await;
}

/// Waits for an epoch with so many members.
async fn epoch_of(told: &mut tokio::sync::broadcast::Receiver<Event>, wanted: usize) {
    loop {
        match told.recv().await.unwrap() {
            Event::NewEpoch { members, .. } if members == wanted => return,
            _ => {}
        }
    }
}

/// Passes connections on, but for new event sockets while it lets none through.
struct Proxy {
    url: String,
    open: Arc<AtomicBool>,
}

impl Proxy {
    async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let open = Arc::new(AtomicBool::new(true));
        let lets = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, to.clone(), Arc::clone(&lets)));
            }
        });
        Self { url, open }
    }

    fn let_sockets_through(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

async fn pass(mut client: TcpStream, to: String, open: Arc<AtomicBool>) {
    let mut begun = vec![0; 4096];
    let Ok(read @ 1..) = client.read(&mut begun).await else { return };
    if begun.starts_with(b"GET /v1/events ") && !open.load(Ordering::Relaxed) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    if server.write_all(&begun[..read]).await.is_ok() {
        // Either side may end it.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
