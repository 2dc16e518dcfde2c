//! The network of a step: it reaches public addresses and names; never this machine, its neighbours, or another build.

use crate::Test;
use crate::place::{Place, place, place_with};
use runtime::{Exit, NetworkPolicy, Step, StepNetwork};
use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Command;

pub(crate) const TESTS: &[Test] = &[
    ("a_step_without_network_has_none", none),
    ("a_step_reaches_the_network_but_not_this_machine", machine),
    ("private_link_local_and_metadata_addresses_are_closed", closed),
    ("allowed_networks_are_open", allowed),
    ("names_are_looked_up_and_the_mirror_answers", mirror),
    ("builds_do_not_meet", builds),
    ("a_step_cannot_open_what_is_closed", cannot_open),
];

/// Tells whether this machine has a network to give; without one there is nothing to reach and nothing to close.
fn machine_has_network() -> bool {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let has = routes.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    if !has {
        println!("this machine has no network: nothing to reach");
    }
    has
}

fn networked(place: &Place, script: &str) -> Step {
    Step { network: StepNetwork::Default, ..place.step(script) }
}

/// Returns the address that this machine has in its network.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.77:9").unwrap();
    socket.local_addr().unwrap().ip()
}

fn none() {
    // DF-119
    let place = place();
    assert_eq!(place.sh("ip -o link | wc -l; ip route | wc -l; cat /etc/resolv.conf | wc -c"), "1\n0\n0\n");
    assert_eq!(place.sh("ip addr show lo | grep -c 127.0.0.1"), "1\n");
    // Its loopback is its own, and works.
    assert_eq!(place.sh("echo there | nc -l -p 8000 & sleep 0.2; nc 127.0.0.1 8000 </dev/null"), "there\n");
}

fn machine() {
    // RT-31, RT-32, RT-33
    if !machine_has_network() {
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind("0.0.0.0:0").unwrap();
    let datagram_port = datagrams.local_addr().unwrap().port();
    let own = own_address();
    let place = place();
    let addresses = format!("127.0.0.1 127.0.0.53 {own} 10.0.2.2 192.0.0.1 192.0.0.8 192.0.0.2 0.0.0.0");
    let script = format!(
        "for a in {addresses}; do nc -w 1 $a {port} </dev/null && echo reached $a; echo x | nc -u -w 1 $a {datagram_port}; done; ip route; cat /etc/resolv.conf; exit 0"
    );
    let output = place.succeeds(&networked(&place, &script));
    assert!(!output.contains("reached"), "{output}");
    assert!(output.contains("default via 192.0.0.1") && output.contains("nameserver 192.0.0.8"), "{output}");
    let told = place.succeeds(&networked(&place, "ip addr; ip route; ip -6 route; ip rule; cat /proc/net/fib_trie"));
    assert!(!told.contains(&own.to_string()), "this machine's address is told: {told}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a step reached this machine");
    datagrams.set_nonblocking(true).unwrap();
    assert!(datagrams.recv(&mut [0; 16]).is_err(), "a datagram reached this machine");
}

/// Addresses that nobody may reach unless the operator says so, and some that nobody may reach at all.
const CLOSED: [&str; 14] = [
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "10.255.255.53",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "100.64.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "169.254.0.1",
];

fn closed() {
    // RT-34, RT-35
    if !machine_has_network() {
        return;
    }
    let place = place();
    let script = format!(
        "for a in {}; do nc -w 2 $a 80 </dev/null 2>&1 | head -n 1; done; ip route get 10.1.2.3 2>&1; nc -w 2 203.0.113.1 25 2>&1 </dev/null; exit 0",
        CLOSED.join(" ")
    );
    let output = place.succeeds(&networked(&place, &script));
    let refused = output.lines().filter(|line| line.contains("unreachable") || line.contains("No route")).count();
    assert_eq!(refused, CLOSED.len() + 2, "all refused at once: {output}");
}

fn allowed() {
    if !machine_has_network() {
        return;
    }
    let route = |policy: NetworkPolicy, address: &str| {
        let place = place_with(|settings| settings.network = policy);
        place.succeeds(&networked(&place, &format!("ip route get {address} 2>&1; exit 0")))
    };
    let closed = |told: String| told.contains("unreachable") || told.contains("No route");
    let some = || NetworkPolicy { private: false, allowed: vec!["10.1.0.0/16".into(), "192.168.7.7".into()] };
    assert!(route(some(), "10.1.2.3").contains("via 192.0.0.1"));
    assert!(route(some(), "192.168.7.7").contains("via 192.0.0.1"));
    assert!(closed(route(some(), "10.2.0.1")));
    let all = || NetworkPolicy { private: true, allowed: Vec::new() };
    assert!(route(all(), "10.2.0.1").contains("via 192.0.0.1"));
    assert!(closed(route(all(), "169.254.169.254")));
}

/// Returns host and path of the package mirror that this machine reaches.
fn reached_mirror() -> Option<(String, String)> {
    let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        text.push('\n');
    }
    let mut words = text.split_whitespace().filter(|word| word.starts_with("http://"));
    let mirror = words.find(|word| word.trim_end_matches('/').ends_with("/debian"))?.trim_end_matches('/');
    let release = format!("{mirror}/dists/stable/Release");
    let reached = Command::new("curl").args(["-sfI", "--max-time", "20", &release]).output().unwrap();
    let (host, path) = release.strip_prefix("http://")?.split_once('/')?;
    reached.status.success().then(|| (host.to_owned(), path.to_owned()))
}

fn mirror() {
    // RT-36
    let Some((host, path)) = reached_mirror() else {
        println!("this machine reaches no package mirror");
        return;
    };
    let place = place();
    let script = format!(
        "a=$(nslookup {host} | sed -n '/^Name:/,$s/^Address[^0-9]*\\([0-9.]*\\)$/\\1/p' | head -n 1); wget -q -O - --header 'Host: {host}' http://$a/{path} | grep -c ^Suite"
    );
    assert_eq!(place.succeeds(&networked(&place, &script)), "1\n");
}

fn builds() {
    // RT-39
    if !machine_has_network() {
        return;
    }
    let (one, other) = (place(), place());
    std::thread::scope(|scope| {
        let server = scope.spawn(|| one.run(&networked(&one, "echo secret | timeout 3 nc -l -p 8000; exit 0")));
        std::thread::sleep(std::time::Duration::from_millis(700));
        let script = "for a in 127.0.0.1 192.0.0.2 192.0.0.1; do nc -w 1 $a 8000 </dev/null; done; exit 0";
        let output = other.succeeds(&networked(&other, script));
        assert!(!output.contains("secret"), "{output}");
        server.join().unwrap();
    });
}

fn cannot_open() {
    if !machine_has_network() {
        return;
    }
    let place = place();
    for script in [
        "ip route del unreachable 169.254.0.0/16",
        "ip route add 169.254.169.254 via 192.0.0.1",
        "ip rule del prio 100",
        "ip link set eth0 down",
        "ip addr add 10.0.0.1/8 dev eth0",
        "nc -l -p 80 & sleep 0.1; kill $! && ping -c 1 -w 1 169.254.169.254",
    ] {
        let (exit, output, _) = place.run(&networked(&place, script));
        assert_ne!(exit, Exit::Code(0), "{script}: {output}");
    }
}
