//! IPv6 works like IPv4, alone and beside it, and a machine in several networks is met in each.

use latchkey_loadtest::household::{Household, Role};
use latchkey_loadtest::server::{Server, Setup};

use crate::network::Network;
use crate::{FRAMES, candidates, sending, watch};

/// Loopback of a namespace: there even where this machine has no IPv6 address.
#[test]
fn everything_on_ipv6() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let network = Network::of(dir.path(), ["alone"]);
    let alone = network.machine("alone");
    alone.run("ip", "-4 address flush dev lo");
    let any = || "[::1]:0".to_owned();
    let setup =
        Setup { place: alone.place.clone(), listen: any(), media: any(), ops: any(), ..Setup::default() };
    let mut server = Server::start_with(dir.path(), setup).expect("the server starts");
    let doors = server.doors().clone();
    for door in [&doors.signaling_url, &doors.door_url, &doors.ops_url] {
        assert!(door.starts_with("http://[::1]:"), "{door}");
    }
    assert!(doors.media.starts_with("[::1]:") && candidates(&mut server).contains(&doors.media));

    let household =
        Household::create_at(&alone.place, dir.path(), &doors.signaling_url, "Ada").expect("a household");
    let camera = household.enrol(Role::Camera, "Front door").expect("the camera joins");
    let viewer = household.enrol(Role::Viewer, "Tablet").expect("the viewer joins");
    let _sending = sending(&camera, dir.path());
    let took = watch(&viewer, &camera, dir.path());
    println!("addresses: all on [::1], {FRAMES} frames opened after {} ms", took.as_millis());

    let port = doors.ops_url.trim_end_matches('/').rsplit(':').next().expect("a port").to_owned();
    let ask = format!(
        "exec 3<>/dev/tcp/::1/{port}; printf 'GET /metrics HTTP/1.0\\r\\nHost: [::1]\\r\\n\\r\\n' >&3; cat <&3"
    );
    let metrics = alone.run_with("bash", ["-c", &ask], "");
    assert!(metrics.starts_with("HTTP/1.0 200") || metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("\nrelay_"), "the relay's figures are there: {metrics}");
}

/// One server with both families, one viewer that has only IPv4, one that has only IPv6; the camera has IPv6.
#[test]
fn one_server_for_both_families() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let network = Network::of(dir.path(), ["server", "ipv4", "ipv6"]);
    network.cable(("server", &["10.77.4.1/24"]), ("ipv4", &["10.77.4.2/24"]));
    network.cable(("server", &["fd77:6::1/64"]), ("ipv6", &["fd77:6::2/64"]));
    network.machine("server").run("ip", "-4 route add default via 10.77.4.2");
    network.machine("server").run("ip", "-6 route add default via fd77:6::2");
    for machine in ["ipv4", "ipv6"] {
        network.call(machine, "cam.home.arpa", &["10.77.4.1", "fd77:6::1"]);
    }
    let both = |port: u16| format!("[::]:{port}");
    let setup = Setup {
        place: network.place("server").clone(),
        listen: both(9601),
        media: both(9602),
        ops: "127.0.0.1:0".to_owned(),
        shards: 1,
        cores: Vec::new(),
        more: Vec::new(),
    };
    let mut server = Server::start_with(dir.path(), setup).expect("the server starts");
    let offered = candidates(&mut server);
    assert!(offered.contains("10.77.4.1:9602") && offered.contains("[fd77:6::1]:9602"), "{offered}");

    let url = "http://cam.home.arpa:9601";
    let household = Household::create_at(network.place("ipv6"), dir.path(), url, "Ada").expect("a household");
    let camera = household.enrol(Role::Camera, "Front door").expect("the camera joins");
    let tablet = household.enrol(Role::Viewer, "Tablet").expect("the viewer joins");
    let _sending = sending(&camera, dir.path());
    let (old, new) = (tablet.moved_to(network.place("ipv4")), &household.admin);
    let (over_ipv4, over_ipv6) = std::thread::scope(|scope| {
        let ipv4 = scope.spawn(|| watch(&old, &camera, dir.path()));
        let ipv6 = watch(new, &camera, dir.path());
        (ipv4.join().expect("the viewer over IPv4 watches"), ipv6)
    });
    println!(
        "addresses: [::] serves a camera over IPv6; {FRAMES} frames opened over IPv4 after {} ms, over IPv6 after {} ms",
        over_ipv4.as_millis(),
        over_ipv6.as_millis()
    );
}

/// A recorder with two network cards and no internet, as cameras that nobody trusts are kept: camera and viewer are in two
/// networks that do not know each other. Nothing is configured but the ports.
#[test]
fn one_server_in_two_networks_without_a_way_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let network = Network::of(dir.path(), ["server", "porch", "kitchen"]);
    network.cable(("server", &["192.168.50.1/24"]), ("porch", &["192.168.50.2/24"]));
    network.cable(("server", &["192.168.1.5/24"]), ("kitchen", &["192.168.1.2/24"]));
    network.call("porch", "nas.lan", &["192.168.50.1"]);
    network.call("kitchen", "nas.lan", &["192.168.1.5"]);
    let setup = Setup {
        place: network.place("server").clone(),
        listen: "0.0.0.0:9601".to_owned(),
        media: "0.0.0.0:9602".to_owned(),
        ops: "127.0.0.1:0".to_owned(),
        shards: 1,
        cores: Vec::new(),
        more: Vec::new(),
    };
    let _server = Server::start_with(dir.path(), setup).expect("the server starts");
    let household = Household::create_at(network.place("kitchen"), dir.path(), "http://nas.lan:9601", "Ada")
        .expect("a household");
    let camera = household.enrol(Role::Camera, "Front door").expect("the camera joins");
    let camera = camera.moved_to(network.place("porch"));
    let _sending = sending(&camera, dir.path());
    let took = watch(&household.admin, &camera, dir.path());
    println!("addresses: two networks, no way out: {FRAMES} frames opened after {} ms", took.as_millis());
}
