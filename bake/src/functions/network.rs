//! Functions on addresses of networks.

use super::table::{ANY, Facts, Function};
use crate::Error;
use crate::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("cidrhost", 2, 2, cidrhost),
    ("cidrnetmask", 1, 1, cidrnetmask),
    ("cidrsubnet", 3, 3, cidrsubnet),
    ("cidrsubnets", 2, ANY, cidrsubnets),
];

/// A range of addresses.
struct Network {
    address: u128,
    prefix: u32,
    bits: u32,
}

impl Network {
    fn parse(value: &Value) -> Result<Network, Error> {
        let text = value.to_text()?;
        let wrong = || Error::new(format!("`{text}` is not a network; ADDRESS/BITS is expected, as in 10.0.0.0/8"));
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let (address, bits) = match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(wrong)?;
        Ok(Network { address: address & !low(bits - prefix), prefix, bits })
    }

    fn write(&self, address: u128) -> String {
        match u32::try_from(address).ok().filter(|_| self.bits == 32) {
            Some(address) => Ipv4Addr::from(address).to_string(),
            None => Ipv6Addr::from(address).to_string(),
        }
    }

    /// Returns the subnet of that number whose prefix is longer by so many bits.
    fn subnet(&self, more: u32, number: u128) -> Result<Network, Error> {
        let prefix = self.prefix.saturating_add(more);
        if prefix > self.bits {
            return Err(Error::new(format!("a prefix of {} bits has no place for {more} more", self.prefix)));
        }
        if number > low(more) {
            return Err(Error::new(format!("{number} does not fit into {more} bits")));
        }
        let shifted = number.checked_shl(self.bits - prefix).unwrap_or(0);
        Ok(Network { address: self.address | shifted, prefix, bits: self.bits })
    }
}

/// Returns a number of so many ones.
fn low(bits: u32) -> u128 {
    1_u128.checked_shl(bits).map_or(u128::MAX, |number| number - 1)
}

fn cidrhost(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (network, number) = (Network::parse(&arguments[0])?, arguments[1].to_whole()?);
    let last = low(network.bits - network.prefix);
    // A number below 0 counts from the end.
    let offset = match u128::try_from(number) {
        Ok(number) => Some(number).filter(|number| *number <= last),
        Err(_) => last.checked_sub(u128::from(number.unsigned_abs()) - 1),
    };
    let offset = offset.ok_or_else(|| Error::new(format!("the network has no host {number}")))?;
    Ok(Value::Text(network.write(network.address | offset)))
}

fn cidrnetmask(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let network = Network::parse(&arguments[0])?;
    match network.bits {
        32 => Ok(Value::Text(network.write(low(32) & !low(32 - network.prefix)))),
        _ => Err(Error::new("only IPv4 has masks")),
    }
}

fn bits(value: &Value) -> Result<u32, Error> {
    u32::try_from(value.to_whole()?).map_err(|_| Error::new("a number of bits is expected"))
}

fn cidrsubnet(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let number = u128::try_from(arguments[2].to_whole()?).map_err(|_| Error::new("a number from 0 is expected"))?;
    let subnet = Network::parse(&arguments[0])?.subnet(bits(&arguments[1])?, number)?;
    Ok(Value::Text(format!("{}/{}", subnet.write(subnet.address), subnet.prefix)))
}

fn cidrsubnets(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let network = Network::parse(&arguments[0])?;
    let (mut next, mut list) = (0_u128, Vec::new());
    for more in &arguments[1..] {
        let more = bits(more)?;
        let size_bits = network.bits.checked_sub(network.prefix.saturating_add(more));
        let size = size_bits.and_then(|bits| 1_u128.checked_shl(bits)).ok_or_else(|| Error::new("no place is left"))?;
        // A subnet begins at a multiple of its size.
        let start = next.div_ceil(size).saturating_mul(size);
        let subnet = network.subnet(more, start / size)?;
        list.push(Value::Text(format!("{}/{}", subnet.write(subnet.address), subnet.prefix)));
        next = start.saturating_add(size);
    }
    Ok(Value::List(list))
}
