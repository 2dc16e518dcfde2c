//! A machine of the test's own: a network namespace with addresses of its own, and behind it a second one that stands for
//! everything else and notes what arrives there.

use nix::libc;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Names the test that a process is to run as the machine.
pub(crate) const MACHINE: &str = "SLIPWAY_TEST_MACHINE";
/// Makes a process everything else.
pub(crate) const ELSEWHERE: &str = "SLIPWAY_TEST_ELSEWHERE";
/// Ports on which everybody listens.
pub(crate) const PORTS: [u16; 6] = [80, 53, 25, 465, 587, 853];
/// Addresses elsewhere that are public, by which a test sees that its means work.
pub(crate) const PUBLIC: [&str; 2] = ["198.51.100.1", "2001:db8:99::1"];
/// Addresses elsewhere that answer datagrams, too.
const ANSWERING: [&str; 9] = [
    PUBLIC[0],
    PUBLIC[1],
    "203.0.113.1",
    "10.1.2.3",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "fd00:ec2::254",
    "fd00:8::9",
];
/// The machine's own, public and private.
pub(crate) const OWN: [&str; 4] = ["203.0.113.7", "10.9.8.7", "2001:db8:7::7", "fd00:7::7"];

/// Runs a test as such a machine, in a process of its own.
pub(crate) fn as_machine(name: &str, prepare: &str) {
    assert!(nix::unistd::geteuid().is_root(), "only root can make a machine of its own");
    let script = format!("mount --make-rprivate /; ip link set lo up; {prepare}\nexec \"$@\"");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(MACHINE, name)
        .stdin(Stdio::null())
        .output()
        .expect("unshare is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    print!("{said}");
}

pub(crate) fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

/// The namespace beyond the machine, and a list of what arrived at the machine itself.
pub(crate) struct World {
    elsewhere: Child,
    answers: BufReader<std::process::ChildStdout>,
    arrived_here: Arc<Mutex<BTreeSet<String>>>,
}

impl World {
    /// Connects this process' network namespace, which is the machine, with everything else.
    pub(crate) fn new() -> World {
        let mut elsewhere = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe().unwrap())
            .env(ELSEWHERE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(elsewhere.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        sh(&format!(
            "ip link add wan0 type veth peer name net0 netns {}; ip link set wan0 up
             for a in 203.0.113.7/24 10.9.8.7/24; do ip addr add $a dev wan0; done
             for a in 2001:db8:7::7/64 fd00:7::7/64; do ip addr add $a dev wan0 nodad; done
             echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range
             ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:7::1",
            elsewhere.id()
        ));
        elsewhere.stdin.as_mut().unwrap().write_all(b"begin\n").unwrap();
        answers.read_line(&mut line).unwrap();
        assert_eq!(line, "here\nlistening\n");
        let arrived_here = listen();
        World { elsewhere, answers, arrived_here }
    }

    /// Returns what arrived, as lines of protocol, address and port: at the machine's own programs, and elsewhere.
    pub(crate) fn arrived(mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        // Packets under way may still arrive.
        std::thread::sleep(Duration::from_millis(300));
        drop(self.elsewhere.stdin.take());
        let mut text = String::new();
        self.answers.read_to_string(&mut text).unwrap();
        self.elsewhere.wait().unwrap();
        let here = self.arrived_here.lock().unwrap().clone();
        (here, text.lines().map(str::to_owned).collect())
    }
}

/// Listens on all addresses of this namespace; answers everything and notes it.
fn listen() -> Arc<Mutex<BTreeSet<String>>> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    for port in PORTS {
        // One that listens for version 6 listens for version 4, too.
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
        let noted = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                noted.lock().unwrap().insert(format!("tcp {}", stream.local_addr().unwrap()));
            }
        });
        // A reply has the address that was asked only if the socket has it: elsewhere these are bound one by one, and the
        // machine, which has none of them, listens on all of its own.
        let addresses = ANSWERING.iter().map(|address| address.parse::<IpAddr>().unwrap());
        for address in addresses.chain([Ipv6Addr::UNSPECIFIED.into()]) {
            let Ok(datagrams) = UdpSocket::bind((address, port)) else { continue };
            let noted = seen.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 65_536];
                while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
                    noted.lock().unwrap().insert(format!("udp {}", datagrams.local_addr().unwrap()));
                    let _ = datagrams.send_to(&buffer[..length.min(100)], from);
                }
            });
        }
    }
    seen
}

/// Becomes everything else, which has every address, answers on it, and notes every packet that arrives.
pub(crate) fn be_elsewhere() -> ! {
    println!("here");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    sh("ip link set lo up; ip link set net0 up
        for a in 203.0.113.1/24 10.9.8.1/24; do ip addr add $a dev net0; done
        for a in 2001:db8:7::1/64 fd00:7::1/64 2001:db8:99::1/128 fd00:ec2::254/128 fd00:8::9/128; do ip addr add $a dev net0 nodad; done
        ip addr add 198.51.100.1/32 dev lo
        for net in 10.0.0.0/16 10.1.0.0/16 100.64.0.0/10 168.63.129.16 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16; do
            ip route add local $net dev lo
        done
        ip -6 route add local default dev lo table 200; ip -6 rule add prio 33000 table 200");
    let packets = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
    let _seen = listen();
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = found.clone();
    std::thread::spawn(move || {
        let mut frame = [0; 65_536];
        while let Ok((length, from)) = recvfrom::<LinkAddr>(packets.as_raw_fd(), &mut frame) {
            if from.is_some_and(|from| from.pkttype() != libc::PACKET_OUTGOING) {
                noted.lock().unwrap().extend(destination(&frame[..length]));
            }
        }
    });
    println!("listening");
    let _ = std::io::stdin().read_line(&mut line);
    // A test that asks nothing is gone by now.
    let mut output = std::io::stdout();
    found.lock().unwrap().iter().for_each(|line| drop(writeln!(output, "{line}")));
    std::process::exit(0)
}

/// Returns where a frame goes, if it is not one of those by which neighbours find each other.
fn destination(frame: &[u8]) -> Option<String> {
    let (head, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let (address, protocol, rest): (IpAddr, u8, &[u8]) = match head {
        [8, 0] => {
            // Only the first fragment of a packet has ports.
            let later = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff != 0;
            let address = <[u8; 4]>::try_from(packet.get(16..20).filter(|_| !later)?).ok()?;
            (address.into(), packet[9], packet.get(usize::from(packet[0] & 15) * 4..)?)
        }
        [0x86, 0xdd] => {
            let address = <[u8; 16]>::try_from(packet.get(24..40)?).ok()?;
            (address.into(), packet[6], packet.get(40..)?)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
    match i32::from(protocol) {
        libc::IPPROTO_TCP => Some(format!("tcp {address} {port}")),
        libc::IPPROTO_UDP => Some(format!("udp {address} {port}")),
        libc::IPPROTO_ICMP if rest[0] == 8 => Some(format!("ping {address} 0")),
        libc::IPPROTO_ICMPV6 if rest[0] == 128 => Some(format!("ping {address} 0")),
        // Joining groups, asking for neighbours: the machine's own kernel does.
        libc::IPPROTO_IGMP | libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 | 0 => None,
        other => Some(format!("{other} {address} 0")),
    }
}
