//! Where on the network an address lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who could answer at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// The internet.
    Public,
    /// The user's own networks: a machine there may trust whoever reaches it.
    Private,
    /// This very machine.
    ThisMachine,
    /// No service: link-local addresses (where clouds tell a machine its credentials), multicast, documentation, and
    /// what is not given out.
    Nowhere,
}

impl Region {
    /// IPv4 within IPv6 counts as what it carries.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// By IANA's registry of special-purpose addresses.
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

    /// Only 2000::/3 is given out to the internet.
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
            // Mapped, NAT64, and 6to4: the machine that is meant has an IPv4 address.
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(y, z),
            [0x2002, high, low, ..] => v4(high, low),
            // Link-local in all but its number: where AWS tells a machine its credentials.
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
    fn each_address_is_where_the_registry_has_it() {
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
