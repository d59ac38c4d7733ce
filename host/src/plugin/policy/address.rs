//! Classifies IP addresses by the network that they belong to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// The internet.
    Public,
    /// A private network: a machine there may trust everyone who reaches it.
    Private,
    /// This machine.
    ThisMachine,
    /// Not a service: link-local addresses (which include the metadata services of clouds), multicast, documentation
    /// and unassigned addresses.
    Nowhere,
}

impl Region {
    /// The region of an address. An IPv4 address inside an IPv6 address counts as that IPv4 address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// Follows IANA's registry of special-purpose addresses.
    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::ThisMachine,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
                Self::Private
            }
            [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => Self::Nowhere,
            [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    /// Only 2000::/3 is assigned to the internet.
    fn of_v6(address: Ipv6Addr) -> Self {
        if address == Ipv6Addr::LOCALHOST {
            return Self::ThisMachine;
        }
        let [a, b, .., y, z] = address.segments();
        let v4 = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            // Mapped, NAT64 and 6to4: the target has an IPv4 address.
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(y, z),
            [0x2002, high, low, ..] => v4(high, low),
            // The address of AWS's metadata service, which serves credentials as link-local addresses do.
            [0xfd00, 0xec2, ..] => Self::Nowhere,
            [0xfc00..=0xfdff, ..] => Self::Private,
            _ if a == 0x2001 && (b < 0x200 || b == 0xdb8) => Self::Nowhere,
            [0x3fff, 0..=0xfff, ..] => Self::Nowhere,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_the_region_of_the_iana_registry() {
        for (region, addresses) in [
            (
                Region::Public,
                &["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"][..],
            ),
            (Region::Public, &["::ffff:8.8.8.8", "2002:808:808::1", "2001:4860::8888", "192.0.1.1"]),
            (Region::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"]),
            (Region::Private, &["100.100.100.200", "fd00::1", "fc00::1", "198.18.0.1", "::ffff:10.0.0.1"]),
            (Region::Private, &["64:ff9b::c0a8:1", "2002:a00:1::1"]),
            (
                Region::ThisMachine,
                &["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
            ),
            (Region::Nowhere, &["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"]),
            (Region::Nowhere, &["fe80::1", "ff02::1", "::", "::7f00:1", "2001:db8::1", "2001::1", "3fff::1"]),
            (Region::Nowhere, &["fd00:ec2::254", "fec0::1", "100::1", "5f00::1", "::ffff:169.254.169.254"]),
            (Region::Nowhere, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "192.0.0.8", "192.88.99.1"]),
        ] {
            for address in addresses {
                assert_eq!(Region::of(address.parse().unwrap()), region, "{address}");
            }
        }
    }
}
