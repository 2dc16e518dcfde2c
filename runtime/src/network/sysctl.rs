//! Settings of the outer and the inner namespace: what their kernel must not believe, answer or do by itself.

use super::policy::Family;
use std::fs;
use std::io;

/// Settings of the outer namespace: it forwards by destination and believes nothing that a packet says otherwise.
const OUTER: [(&str, &str); 22] = [
    ("ipv4/conf/*/accept_redirects", "0"),
    ("ipv4/conf/*/secure_redirects", "0"),
    ("ipv4/conf/*/send_redirects", "0"),
    ("ipv4/conf/*/accept_source_route", "0"),
    ("ipv4/conf/*/route_localnet", "0"),
    ("ipv4/conf/*/accept_local", "0"),
    ("ipv4/conf/*/proxy_arp", "0"),
    ("ipv4/conf/*/bootp_relay", "0"),
    // The rules name the one sender that there may be; a look at the way back would know less.
    ("ipv4/conf/*/rp_filter", "0"),
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_echo_ignore_all", "1"),
    ("ipv6/conf/*/accept_ra", "0"),
    ("ipv6/conf/*/accept_redirects", "0"),
    ("ipv6/conf/*/accept_source_route", "-1"),
    ("ipv6/conf/*/autoconf", "0"),
    ("ipv6/conf/*/proxy_ndp", "0"),
    ("ipv6/conf/*/seg6_enabled", "0"),
    ("ipv6/conf/*/router_solicitations", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv6/icmp/echo_ignore_all", "1"),
    ("ipv6/icmp/echo_ignore_multicast", "1"),
];
/// Settings of interfaces that the step's own namespace is going to have.
const INNER: [(&str, &str); 4] = [
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_redirects", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/router_solicitations", "0"),
];

/// Prepares the outer namespace, which must be this process', before it has interfaces.
pub(crate) fn prepare_outer(version_6: bool) -> io::Result<()> {
    OUTER.iter().try_for_each(|(name, value)| set_all(name, value))?;
    if version_6 { Ok(()) } else { set_all("ipv6/conf/*/disable_ipv6", "1") }
}

/// Prepares the namespace of steps, which must be this process', before it has the interface.
pub(crate) fn prepare_inner() -> io::Result<()> {
    INNER.iter().try_for_each(|(name, value)| set(name, value))
}

/// Begins to forward what has addresses of this family.
pub(crate) fn forward(family: &Family) -> io::Result<()> {
    let version = if family.step.0.is_ipv4() { "ipv4" } else { "ipv6" };
    fs::write(format!("/proc/sys/net/{version}/conf/all/forwarding"), "1")
}

/// Writes a setting for all interfaces, present and future.
fn set_all(name: &str, value: &str) -> io::Result<()> {
    if !name.contains('*') {
        return set(name, value);
    }
    ["all", "default"].iter().try_for_each(|which| set(&name.replace('*', which), value))
}

/// Writes a setting; one that this kernel does not have cannot be on either.
fn set(name: &str, value: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/net/{name}"), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
