//! A step reaches nothing that is closed, whatever its sockets say, on a machine that the test makes.

use crate::Test;
use crate::account::run_as_account;
use crate::machine::{MACHINE, OWN, PUBLIC, World, as_machine, sh};
use crate::place::{Place, entry, place, place_with, snapshot, tar};
use files::tar::EntryKind;
use runtime::{NetworkPolicy, SnapshotId, Step, StepNetwork};
use std::collections::BTreeSet;
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("no_option_of_a_socket_reaches_what_is_closed", || as_machine("options", RESOLVER)),
    ("nor_in_the_sandbox_of_an_ordinary_account", || as_machine("rootless", RESOLVER)),
    ("ten_thousand_tries_reach_nothing_that_is_closed", || as_machine("fuzz", RESOLVER)),
    ("the_resolver_is_asked_for_names_and_nothing_else", || as_machine("resolver", RESOLVER)),
    ("mail_is_not_delivered_and_is_sent_by_submission", || as_machine("mail", RESOLVER)),
    ("addresses_that_the_machine_gets_later_are_closed", || as_machine("later", RESOLVER)),
    ("what_the_operator_allows_is_reached_and_no_more", || as_machine("allowed", RESOLVER)),
    ("a_step_has_no_way_into_the_outer_namespace", || as_machine("handles", RESOLVER)),
];

/// Parts of these tests that run as the machine.
pub(crate) const PARTS: &[Test] = &[
    ("options", options),
    ("rootless", rootless),
    ("room", rootless_room),
    ("fuzz", fuzz),
    ("resolver", resolver),
    ("mail", mail),
    ("later", later),
    ("allowed", allowed),
    ("handles", handles),
];

/// The machine's resolver is elsewhere.
pub(crate) const RESOLVER: &str = "echo nameserver 203.0.113.1 > \"${TMPDIR:-/tmp}\"/reach-resolver-$$; \
     mount --bind \"${TMPDIR:-/tmp}\"/reach-resolver-$$ /etc/resolv.conf; rm \"${TMPDIR:-/tmp}\"/reach-resolver-$$";

/// Addresses that no step may reach: one of each kind, beside the machine's own addresses.
const CLOSED: [&str; 50] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "100.64.0.1",
    "10.0.0.1",
    "10.9.8.1",
    "10.9.8.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "192.168.255.255",
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.1",
    "192.0.0.2",
    "192.0.0.3",
    "192.0.0.8",
    "192.0.0.192",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "203.0.113.255",
    "::1",
    "::",
    "::169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:127.0.0.1",
    "::ffff:203.0.113.7",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:7::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2001:0:a9fe:a9fe::1",
    "100::2",
    "2001:db8:7::",
    "::ffff:0:10.0.0.1",
];

/// A sandbox of this machine with the program that knocks.
pub(crate) struct Room {
    place: Place,
    knock: SnapshotId,
}

impl Room {
    pub(crate) fn new(place: Place) -> Room {
        let directory = tempfile::tempdir().unwrap();
        let (source, program) = (directory.path().join("knock.c"), directory.path().join("knock"));
        std::fs::write(&source, include_str!("knock.c")).unwrap();
        let output = Command::new("gcc")
            .args(["-static", "-O1", "-o"])
            .arg(&program)
            .arg(source)
            .output()
            .expect("gcc is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (bytes, knock) = (std::fs::read(program).unwrap(), snapshot(0xa));
        let file = entry("bin/knock", EntryKind::File { size: bytes.len() as u64 }, 0o755);
        let layer = tar(&[(entry("bin", EntryKind::Directory, 0o755), b""), (file, &bytes)]);
        place.sandbox().unpack(&knock, &mut layer.as_slice()).unwrap();
        Room { place, knock }
    }

    /// Runs a script as a user, and returns what it printed.
    pub(crate) fn run(&self, user: &str, script: &str) -> String {
        let layers = vec![self.place.base.clone(), self.knock.clone()];
        let step = Step { network: StepNetwork::Default, layers, user: user.to_owned(), ..self.place.step(script) };
        self.place.succeeds(&step)
    }
}

/// Returns the arguments that name all addresses, those that may be reached with a mark.
fn addresses() -> String {
    let marked = PUBLIC.iter().map(|address| format!("+{address}"));
    CLOSED.iter().chain(&OWN).map(|address| (*address).to_owned()).chain(marked).collect::<Vec<_>>().join(" ")
}

/// Returns what was reached that should not have been; a step's own addresses answer its own pings.
fn wrong(said: &str) -> Vec<&str> {
    let own = ["127.", "0.0.0.0 ping", "ff02::1 ping", "192.0.0.2 ping", "::1 ping", ":: ping", "100::2 ping"];
    let reached = said.lines().filter_map(|line| line.strip_prefix("REACHED "));
    reached.filter(|line| !(line.contains(" ping") && own.iter().any(|own| line.starts_with(own)))).collect()
}

/// Returns what is said of an address.
fn of(said: &str, address: &str) -> String {
    said.lines().filter(|line| line.contains(address)).collect::<Vec<_>>().join("; ")
}

/// Asserts that nothing arrived but what may be reached.
pub(crate) fn nothing_else_arrived(world: World, more: &[&str]) {
    let (here, elsewhere) = world.arrived();
    assert!(here.is_empty(), "the machine itself was reached: {here:?}");
    let strange: BTreeSet<_> = elsewhere
        .iter()
        // The machine itself looks names up.
        .filter(|line| {
            *line != "udp 203.0.113.1 53"
                && !PUBLIC.iter().chain(more).any(|open| line.split(' ').nth(1) == Some(*open))
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(elsewhere.iter().any(|line| line.starts_with("tcp 198.51.100.1")), "nothing arrives at all: {elsewhere:?}");
}

fn options() {
    // SEC-B1
    let world = World::new();
    let room = Room::new(place());
    for user in ["0", "1000"] {
        let said = room.run(user, &format!("knock table 80 {}", addresses()));
        assert_eq!(wrong(&said), Vec::<&str>::new(), "as {user}");
        let options = ["plain", "SO_BINDTODEVICE", "SO_BINDTOIFINDEX", "UNICAST_IF", "PKTINFO", "SO_PRIORITY"];
        for (address, option) in PUBLIC.iter().flat_map(|address| options.map(|option| (address, option))) {
            for protocol in ["tcp", "udp"] {
                let line = format!("allowed {address} {protocol} {option}");
                assert!(said.lines().any(|said| said == line), "`{line}` is missing as {user}: {}", of(&said, address));
            }
            assert!(said.contains(&format!("allowed {address} ping plain")), "{}", of(&said, address));
        }
    }
    nothing_else_arrived(world, &[]);
}

fn rootless() {
    // SEC-B1
    let world = World::new();
    let output = run_as_account(&[], &[(MACHINE, "room")]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    nothing_else_arrived(world, &[]);
}

/// The account's part of the test, on that machine.
fn rootless_room() {
    assert!(!nix::unistd::geteuid().is_root());
    let room = Room::new(place());
    for user in ["0", "1000"] {
        let said = room.run(user, &format!("knock table 80 {}; knock fuzz 80 3 1000 {}", addresses(), addresses()));
        assert_eq!(wrong(&said), Vec::<&str>::new(), "as {user}");
        for address in PUBLIC {
            assert!(said.contains(&format!("allowed {address} tcp SO_BINDTODEVICE\n")), "{}", of(&said, address));
        }
    }
}

fn fuzz() {
    // SEC-B1
    let world = World::new();
    let room = Room::new(place());
    for (user, seed) in [("0", 1), ("1000", 2)] {
        let said = room.run(user, &format!("knock fuzz 80 {seed} 5000 {} +198.51.100.1 +2001:db8:99::1", addresses()));
        assert_eq!(wrong(&said), Vec::<&str>::new(), "as {user}");
        assert!(said.contains("tries 5000"), "{said}");
        let allowed = said.lines().filter(|line| line.starts_with("allowed")).count();
        assert!(allowed > 50, "only {allowed} of those that are allowed were reached: {said}");
    }
    nothing_else_arrived(world, &[]);
}

fn resolver() {
    // SEC-B1
    let world = World::new();
    let room = Room::new(place());
    let said =
        room.run("0", "for p in 80 853 465; do knock table $p 192.0.0.8 192.0.0.1; done; knock table 53 +192.0.0.8");
    assert_eq!(wrong(&said), Vec::<&str>::new());
    let control = room.run("0", "knock table 80 +198.51.100.1");
    let (here, elsewhere) = world.arrived();
    assert!(said.contains("allowed 192.0.0.8 udp plain"), "{said} {control} {elsewhere:?}");
    assert!(here.is_empty(), "{here:?}");
    // Old versions of `pasta` translate datagrams only.
    let asked: Vec<_> = elsewhere.iter().filter(|line| line.contains(" 203.0.113.1 ")).collect();
    assert!(asked.iter().all(|line| line.ends_with(" 203.0.113.1 53")), "{asked:?}");
}

fn mail() {
    // SEC-B1: port 25
    let world = World::new();
    let room = Room::new(place());
    let public = PUBLIC.join(" ");
    for user in ["0", "1000"] {
        let said = room.run(user, &format!("knock table 25 {public}"));
        let reached: Vec<_> = wrong(&said).into_iter().filter(|line| !line.contains(" ping")).collect();
        assert_eq!(reached, Vec::<&str>::new(), "as {user}");
        for (port, address) in [465, 587].into_iter().flat_map(|port| PUBLIC.map(|address| (port, address))) {
            let said = room.run(user, &format!("knock table {port} +{address}"));
            assert!(said.contains(&format!("allowed {address} tcp SO_BINDTODEVICE")), "{said}");
        }
    }
    room.run("0", "knock table 80 +198.51.100.1");
    let (_, elsewhere) = world.arrived();
    assert!(!elsewhere.iter().any(|line| line.ends_with(" 25")), "{elsewhere:?}");
}

fn later() {
    // SEC-B1: addresses that come while a build runs
    let world = World::new();
    let room = Room::new(place_with(|settings| settings.network.private = true));
    let (new, knock) = ("192.168.44.4 203.0.113.44 2001:db8:7::44", "knock table 80");
    room.run("0", &format!("{knock} +198.51.100.1"));
    sh("ip addr add 192.168.44.4/24 dev wan0; ip addr add 203.0.113.44/32 dev lo; ip route add local 203.0.114.0/24 dev lo
        ip addr add 2001:db8:7::44/64 dev wan0 nodad; sleep 0.2");
    let said = room.run(
        "0",
        &format!(
            "{knock} {new} 203.0.114.9 10.9.8.7 127.0.0.1 169.254.169.254 fd00:7::7 64:ff9b::a9fe:a9fe 64:ff9b::7f00:1"
        ),
    );
    assert_eq!(wrong(&said), Vec::<&str>::new());
    nothing_else_arrived(world, &[]);
}

fn allowed() {
    let world = World::new();
    let policy = NetworkPolicy { private: false, allowed: vec!["10.1.0.0/16".into(), "fd00:8::/32".into()] };
    let room = Room::new(place_with(|settings| settings.network = policy));
    let said =
        room.run("0", "knock table 80 +10.1.2.3 +fd00:8::9 10.2.0.1 fd00:9::9 10.9.8.7 fd00:ec2::254 +198.51.100.1");
    assert_eq!(wrong(&said), Vec::<&str>::new());
    for line in ["allowed 10.1.2.3 tcp SO_BINDTODEVICE", "allowed fd00:8::9 tcp plain"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    nothing_else_arrived(world, &["10.1.2.3", "fd00:8::9"]);
}

fn handles() {
    // SEC-B1: no process, no descriptor, no name leads there, and a socket tells its own namespace to nobody
    let _world = World::new();
    let room = Room::new(place());
    let script = "ls -l /proc/*/ns/net 2>/dev/null | sed 's/.*-> //' | sort -u | wc -l
        ls -l /proc/self/fd /proc/1/fd 2>/dev/null | grep -c 'net:\\['
        ls /sys/class/net | sort | tr '\\n' ' '
        cat /proc/sys/net/ipv4/ip_forward /proc/net/arp | head -n 1
        for c in 'link set eth0 down' 'link add v0 type veth peer name v1' 'neigh add 192.0.0.5 lladdr 02:00:00:00:00:01 dev eth0' \
            'addr add 10.0.0.9/8 dev eth0' 'route add 10.0.0.0/8 dev eth0' 'rule del prio 100' 'netns add x' 'link set eth0 netns 1'; do
            ip $c 2>/dev/null && echo did $c; done
        knock handles 0 0; exit 0";
    for user in ["0", "1000"] {
        let said = room.run(user, script);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[..4], ["1", "0", "eth0 lo 0", "SIOCGSKNS refused"], "as {user}: {said}");
        assert_eq!(lines.len(), 4, "as {user}: {said}");
    }
}
