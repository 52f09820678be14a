//! A small internet of network namespaces: machines, cables, names, routers. It is gone when its owner is, however that ends.
//!
//! Each machine is held by a process that waits for the end of its input. So nothing has a name in `/run/netns`, nothing is left
//! when a test panics or is killed, and root is not needed where users may make namespaces of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use latchkey_loadtest::place::Place;

/// Several machines, so that cables can be drawn between them.
pub(crate) struct Network {
    machines: Vec<Machine>,
    dir: PathBuf,
}

/// A network stack and an `/etc/hosts` of its own; all other files are those of this machine.
pub(crate) struct Machine {
    pub(crate) place: Place,
    name: &'static str,
    holder: Holder,
}

/// Who may make machines here.
enum Owner {
    /// This process, being root.
    Root,
    /// Root in a namespace of users, which this process, being anybody, has made.
    User(Holder),
}

/// A process that lives as long as this: one that keeps namespaces alive, or a server in one.
pub(crate) struct Holder(Child);

impl Network {
    /// Makes one machine for each name. Files for them are kept in `dir`.
    ///
    /// # Panics
    /// With a sentence for the person at the keyboard, when this system lets nobody make namespaces.
    pub(crate) fn of<const N: usize>(dir: &Path, names: [&'static str; N]) -> Self {
        for (tool, package) in [("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux")] {
            let there = search_path().split(':').any(|folder| Path::new(folder).join(tool).is_file());
            assert!(
                there,
                "`{tool}` is not here: install the package {package} (on Debian `make test` does)"
            );
        }
        let owner = Owner::find();
        let machines = names.map(|name| {
            let machine = Machine::made_by(&owner, name).expect("what went once goes again");
            machine.run("ip", "link set lo up");
            machine
        });
        // The namespace of users, if there is one, lives as long as the machines in it.
        Self { machines: machines.into(), dir: dir.to_owned() }
    }

    pub(crate) fn machine(&self, name: &str) -> &Machine {
        self.machines.iter().find(|machine| machine.name == name).expect("a machine of this name")
    }

    pub(crate) fn place(&self, name: &str) -> &Place {
        &self.machine(name).place
    }

    /// Draws a cable between two machines and gives its ends these addresses (with the length of the network behind them).
    /// At each of them the interface is called like the other.
    pub(crate) fn cable(&self, one: (&str, &[&str]), other: (&str, &[&str])) {
        let (a, b) = (self.machine(one.0), self.machine(other.0));
        a.run(
            "ip",
            &format!("link add name {} type veth peer name {} netns {}", b.name, a.name, b.holder.0.id()),
        );
        for (machine, peer, addresses) in [(a, b, one.1), (b, a, other.1)] {
            for address in addresses {
                // Without `nodad` an IPv6 address cannot be used for its first second.
                let nodad = if address.contains(':') { "nodad" } else { "" };
                machine.run("ip", &format!("address add {address} dev {} {nodad}", peer.name));
            }
            machine.run("ip", &format!("link set dev {} up", peer.name));
        }
    }

    /// Lets `name` mean these addresses from now on, and no other name anything, on one machine.
    pub(crate) fn call(&self, machine: &str, name: &str, addresses: &[&str]) {
        let lines: String = addresses.iter().map(|address| format!("{address} {name}\n")).collect();
        let file = self.dir.join(format!("hosts-{machine}"));
        let there = file.exists();
        fs::write(&file, format!("127.0.0.1 localhost\n::1 localhost\n{lines}")).expect("a hosts file");
        if !there {
            self.machine(machine).run("mount", &format!("--bind {} /etc/hosts", file.display()));
        }
    }
}

impl Machine {
    /// Runs a program there to its end and returns what it printed; `words` are its arguments, parted by spaces.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub(crate) fn run(&self, program: &str, words: &str) -> String {
        self.run_with(program, words.split_whitespace(), "")
    }

    /// Passes packets on, as a router does.
    pub(crate) fn forward(&self) {
        for knob in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            self.run_with("sh", ["-c", &format!("echo 1 > /proc/sys/net/{knob}")], "");
        }
    }

    /// Sets its packet filter to these rules and no others.
    pub(crate) fn filter(&self, rules: &str) {
        self.run_with("nft", ["-f", "-"], &format!("flush ruleset\n{rules}"));
    }

    pub(crate) fn run_with<'a>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> String {
        let args: Vec<&str> = args.into_iter().collect();
        let mut command = self.place.command(program);
        command.args(&args).env("PATH", search_path());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads its input");
        let done = child.wait_with_output().expect("it ends");
        assert!(
            done.status.success(),
            "{}: {program} {}: {}",
            self.name,
            args.join(" "),
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Starts a program there and returns it once it has said its first line.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub(crate) fn serve(&self, program: &str, args: &[&str]) -> Holder {
        Holder::start(self.place.command(program).args(args))
            .unwrap_or_else(|complaint| panic!("{}: {program} {}: {complaint}", self.name, args.join(" ")))
    }

    fn made_by(owner: &Owner, name: &'static str) -> Result<Self, String> {
        let mut command = match owner {
            Owner::Root => Command::new("unshare"),
            Owner::User(holder) => holder.entered(&["user"]).command("unshare"),
        };
        let holder = Holder::start(command.args(["--net", "--mount"]).args(HOLD))?;
        let place = match owner {
            Owner::Root => holder.entered(&["net", "mount"]),
            Owner::User(_) => holder.entered(&["user", "net", "mount"]),
        };
        Ok(Self { place, name, holder })
    }
}

impl Owner {
    fn find() -> Self {
        let Err(as_root) = Machine::made_by(&Self::Root, "trial") else { return Self::Root };
        let as_user = Holder::start(Command::new("unshare").args(["--user", "--map-root-user"]).args(HOLD))
            .and_then(|holder| {
                let owner = Self::User(holder);
                Machine::made_by(&owner, "trial").map(|_| owner)
            });
        as_user.unwrap_or_else(|as_user| {
            panic!(
                "this test makes networks of its own and has no leave to: run it as root, or let users make namespaces \
                 (sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, and with AppArmor \
                 kernel.apparmor_restrict_unprivileged_userns=0). As root: {as_root}. As a user: {as_user}."
            )
        })
    }
}

impl Holder {
    /// Starts `command` and waits for its first line; returns what it complains of when that does not come.
    fn start(command: &mut Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut holder = Self(child.map_err(|error| error.to_string())?);
        let mut said = String::new();
        let stdout = holder.0.stdout.take().expect("a pipe");
        let _ = BufReader::new(stdout).read_line(&mut said);
        if said.ends_with('\n') {
            return Ok(holder);
        }
        let mut complaint = String::new();
        let _ = holder.0.stderr.take().expect("a pipe").read_to_string(&mut complaint);
        Err(complaint.trim().to_owned())
    }

    /// The place that these of its namespaces are. A process there ends with the thread that started it, even when nobody
    /// is left to end it.
    fn entered(&self, spaces: &[&str]) -> Place {
        let mut words = vec!["nsenter".to_owned()];
        for space in spaces {
            let file = if *space == "mount" { "mnt" } else { space };
            words.push(format!("--{space}=/proc/{}/ns/{file}", self.0.id()));
        }
        if spaces.contains(&"user") {
            // Only root may give up the groups it has here.
            words.push("--preserve-credentials".to_owned());
        }
        Place::entered_by(words.into_iter().chain(["setpriv", "--pdeathsig", "KILL"].map(str::to_owned)))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says that it is there, then waits for the end of its input, which comes with the end of the test, however that ends.
const HOLD: [&str; 3] = ["sh", "-c", "echo held; exec cat"];

/// The folders of programs, those for administrators included: a user's shell may leave them out.
fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
