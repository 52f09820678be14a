//! A relay behind the NAT of a home (a container's is one, too), met from outside.
//!
//! ```text
//! server 192.168.7.2 ─┐
//!                     ├─ router 203.0.113.1 ─── internet ─── 198.51.100.1 carrier ─── phone 10.5.5.2
//! porch  192.168.8.2 ─┘
//! ```
//! Router and carrier hide what is behind them; the router lets one TCP port and the media port in. `internet` knows no
//! private address, and is the place of the STUN server.

use std::time::Instant;

use latchkey_loadtest::household::{Device, Household, Role, is};
use latchkey_loadtest::server::{Server, Setup};
use tempfile::TempDir;

use crate::network::{Holder, Network};
use crate::support::LIMIT;
use crate::{FRAMES, candidates, sending, watch};

const NAME: &str = "cam.example.org";
const OUTSIDE: &str = "203.0.113.1";
const INSIDE: &str = "192.168.7.2";
const STUN: &str = "203.0.113.2";

/// Whether the router brings what is sent from inside to its outside address back in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hairpin {
    Yes,
    No,
}

/// A household with its server at home. Admin and viewers are on the phone, outside.
struct Home {
    household: Household,
    camera: Device,
    server: Server,
    _stun: Holder,
    network: Network,
    dir: TempDir,
}

impl Home {
    fn new(hairpin: Hairpin, public_address: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let network = internet(&dir, hairpin);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/addresses/stun_server.py");
        let stun = network.machine("internet").serve("/usr/bin/python3", &[script, STUN]);
        let mut more = vec!["--public-url".to_owned(), format!("http://{NAME}:9601")];
        if let Some(address) = public_address {
            more.extend(["--public-address".to_owned(), address.to_owned()]);
        }
        let setup = Setup {
            place: network.place("server").clone(),
            listen: "0.0.0.0:9601".to_owned(),
            media: "0.0.0.0:9602".to_owned(),
            ops: "127.0.0.1:0".to_owned(),
            shards: 1,
            cores: Vec::new(),
            more,
        };
        let server = Server::start_with(dir.path(), setup).expect("the server starts");
        let url = format!("http://{NAME}:9601");
        let household =
            Household::create_at(network.place("phone"), dir.path(), &url, "Ada").expect("a household");
        let camera = household.enrol(Role::Camera, "Front door").expect("the camera joins");
        Self { household, camera, server, _stun: stun, network, dir }
    }

    fn camera_at(&self, machine: &str) -> Device {
        self.camera.moved_to(self.network.place(machine))
    }

    /// Watches with `viewer`, lets something happen in between, and prints how long the next frames took. After a change of
    /// the home's address two tries may fail that take 10 s each.
    fn watch_while(&self, viewer: &Device, what: &str, happens: impl FnOnce(&Network)) {
        let mut process = viewer.view(self.dir.path(), &self.camera.id, &[]).expect("a viewer starts");
        let mut frames = |wanted: u64| {
            process
                .wait_for("enough frames", 2 * LIMIT, |event| {
                    let number = |key: &str| event[key].as_u64().unwrap_or_default();
                    let enough = is(event, "stats") && number("opened_video") >= wanted;
                    enough.then(|| (number("opened_video"), number("reconnects")))
                })
                .expect("frames come")
        };
        let (before, reconnects) = frames(FRAMES);
        assert_eq!(reconnects, 0);
        happens(&self.network);
        let begin = Instant::now();
        let (after, reconnects) = frames(before + 2 * FRAMES);
        println!(
            "addresses: {what}: {} further frames opened within {} ms, {reconnects} new connections",
            after - before,
            begin.elapsed().as_millis()
        );
    }
}

/// The provider gives a router another address, and carries nothing to or from the former one any more.
fn another_address(network: &Network, router: &str, former: &str, address: &str, gateway: &str) {
    network.machine("internet").filter(&format!(
        "table ip filter {{
            chain arriving {{
                type filter hook prerouting priority raw
                ip saddr {former} drop
                ip daddr {former} drop
            }}
        }}"
    ));
    let machine = network.machine(router);
    machine.run("ip", "address flush dev internet");
    machine.run("ip", &format!("address add {address}/29 dev internet"));
    machine.run("ip", &format!("route add default via {gateway}"));
}

/// All mappings of the carrier's NAT are new, as every night at many homes.
fn the_carrier_moves(network: &Network) {
    another_address(network, "carrier", "198.51.100.1", "198.51.100.3", "198.51.100.2");
}

fn internet(dir: &TempDir, hairpin: Hairpin) -> Network {
    let network = Network::of(dir.path(), ["server", "porch", "router", "internet", "carrier", "phone"]);
    network.cable(("server", &["192.168.7.2/24"]), ("router", &["192.168.7.1/24"]));
    network.cable(("porch", &["192.168.8.2/24"]), ("router", &["192.168.8.1/24"]));
    network.cable(("router", &["203.0.113.1/29"]), ("internet", &["203.0.113.2/29"]));
    network.cable(("carrier", &["198.51.100.1/29"]), ("internet", &["198.51.100.2/29"]));
    network.cable(("phone", &["10.5.5.2/24"]), ("carrier", &["10.5.5.1/24"]));
    for (machine, gateway) in [
        ("server", "192.168.7.1"),
        ("porch", "192.168.8.1"),
        ("router", "203.0.113.2"),
        ("carrier", "198.51.100.2"),
        ("phone", "10.5.5.1"),
    ] {
        network.machine(machine).run("ip", &format!("route add default via {gateway}"));
    }
    for machine in ["router", "internet", "carrier"] {
        network.machine(machine).forward();
    }
    let (from, back) = match hairpin {
        Hairpin::Yes => ("", "ip saddr 192.168.0.0/16 ct status dnat masquerade"),
        Hairpin::No => ("iifname internet", ""),
    };
    // Port 7000 is a forward that changes the port.
    network.machine("router").filter(&format!(
        "table ip nat {{
            chain arriving {{
                type nat hook prerouting priority dstnat
                {from} fib daddr type local tcp dport 9601 dnat to {INSIDE}
                {from} fib daddr type local udp dport 9602 dnat to {INSIDE}
                {from} fib daddr type local udp dport 7000 dnat to {INSIDE}:9602
            }}
            chain leaving {{
                type nat hook postrouting priority srcnat
                oifname internet masquerade random
                {back}
            }}
        }}
        table ip filter {{
            chain passing {{
                type filter hook forward priority filter; policy drop
                ct state established,related accept
                ct status dnat accept
                iifname != internet accept
            }}
        }}"
    ));
    network.machine("carrier").filter(
        "table ip nat {
            chain leaving {
                type nat hook postrouting priority srcnat
                oifname internet masquerade random
            }
        }
        table ip filter {
            chain passing {
                type filter hook forward priority filter; policy drop
                ct state established,related accept
                iifname phone accept
            }
        }",
    );
    let at_home = if hairpin == Hairpin::Yes { OUTSIDE } else { INSIDE };
    for (machine, address) in [("porch", at_home), ("internet", OUTSIDE), ("phone", OUTSIDE)] {
        network.call(machine, NAME, &[address]);
    }
    network
}

#[test]
fn a_fixed_address_is_met_from_outside() {
    let home = Home::new(Hairpin::Yes, Some(OUTSIDE));
    for machine in ["porch", "internet"] {
        let camera = home.camera_at(machine);
        let _sending = sending(&camera, home.dir.path());
        let took = watch(&home.household.admin, &camera, home.dir.path());
        println!(
            "addresses: --public-address {OUTSIDE}, camera on the {machine}: {FRAMES} frames opened outside after {} ms",
            took.as_millis()
        );
    }
}

#[test]
fn a_forward_may_change_the_port() {
    let home = Home::new(Hairpin::Yes, Some("203.0.113.1:7000"));
    let camera = home.camera_at("porch");
    let _sending = sending(&camera, home.dir.path());
    let took = watch(&home.household.admin, &camera, home.dir.path());
    println!(
        "addresses: port 7000 forwarded to 9602: {FRAMES} frames opened outside after {} ms",
        took.as_millis()
    );
}

/// With a router that brings nothing back in, and a name that means the server's own address at home.
#[test]
fn both_addresses_are_named_where_the_router_brings_nothing_back() {
    let home = Home::new(Hairpin::No, Some(&format!("{OUTSIDE},{INSIDE}")));
    let camera = home.camera_at("porch");
    let _sending = sending(&camera, home.dir.path());
    let took = watch(&home.household.admin, &camera, home.dir.path());
    println!(
        "addresses: no hairpin, both addresses named: {FRAMES} frames opened outside after {} ms",
        took.as_millis()
    );
}

#[test]
fn stun_finds_the_address() {
    let mut home = Home::new(Hairpin::Yes, Some(&format!("stun:{STUN}:3478")));
    let found = candidates(&mut home.server);
    assert!(found.contains("203.0.113.1:9602") && !found.contains(INSIDE), "{found}");
    let camera = home.camera_at("porch");
    let _sending = sending(&camera, home.dir.path());
    let took = watch(&home.household.admin, &camera, home.dir.path());
    println!("addresses: found by STUN, {FRAMES} frames opened outside after {} ms", took.as_millis());
}

/// The provider gives the home another address and the name follows: nobody has to start the server again.
#[test]
fn a_home_whose_address_changes_is_found_anew() {
    let mut home = Home::new(Hairpin::Yes, Some(&format!("stun:{STUN}:3478")));
    let camera = home.camera_at("porch");
    let _sending = sending(&camera, home.dir.path());
    home.watch_while(&home.household.admin, "the home has another address, found by STUN", |network| {
        another_address(network, "router", OUTSIDE, "203.0.113.3", STUN);
        for machine in ["porch", "phone"] {
            network.call(machine, NAME, &["203.0.113.3"]);
        }
    });
    let log = std::fs::read_to_string(home.server.process().log()).expect("the server's log");
    assert!(log.contains("203.0.113.3:9602"), "the server says that it has found its new address: {log}");
}

/// What a person sees who forgot `--public-address`: media does not come, and the doctor says which step and which option.
#[test]
fn without_it_the_doctor_names_the_step() {
    let home = Home::new(Hairpin::Yes, None);
    let camera = home.camera_at("porch");
    // At home all is well: the way from outside is what is missing.
    let _sending = sending(&camera, home.dir.path());
    let admin = &home.household.admin;
    let mut doctor = admin.doctor(home.dir.path(), &["--patience", "10"]).expect("the doctor starts");
    let mut well = Vec::new();
    let (step, advice) = doctor
        .wait_for("what is wrong", LIMIT, |event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            if event["ok"] == true {
                well.push(text("step"));
            }
            (event["ok"] == false).then(|| (text("step"), text("advice")))
        })
        .expect("the doctor finds something");
    assert_eq!(step, "ice");
    assert!(advice.contains("--public-address"), "{advice}");
    assert!(well.iter().any(|step| step == "relay"), "{well:?}");
    assert_eq!(doctor.wait(LIMIT).expect("the doctor ends"), Some(1));
}

#[test]
fn a_viewer_whose_nat_moves_goes_on() {
    let home = Home::new(Hairpin::Yes, Some(OUTSIDE));
    let camera = home.camera_at("porch");
    let _sending = sending(&camera, home.dir.path());
    home.watch_while(&home.household.admin, "the NAT of the viewer moved", the_carrier_moves);
}

#[test]
fn a_camera_whose_nat_moves_goes_on() {
    let home = Home::new(Hairpin::Yes, Some(OUTSIDE));
    let _sending = sending(&home.camera, home.dir.path());
    let viewer = home.household.admin.moved_to(home.network.place("internet"));
    home.watch_while(&viewer, "the NAT of the camera moved", the_carrier_moves);
}
