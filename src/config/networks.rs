//! Where outbound connections may go. The host and port of a LIS endpoint are typed in by an administrator, which
//! makes the sender a port scanner of the inside unless some addresses are out of bounds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Where clouds hand out credentials beside link-local addresses: Alibaba, Oracle, and Amazon over IPv6.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether an outbound connection may go to this address: loopback, link-local, cloud metadata, unspecified,
/// multicast and broadcast addresses only when a block of `allowed` holds them.
pub fn outbound_address_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|block| block.contains(&address)) || !out_of_bounds(address)
}

fn out_of_bounds(address: IpAddr) -> bool {
    if METADATA.contains(&address)
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
    {
        return true;
    }
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::BROADCAST || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || translated(v6).is_some_and(out_of_bounds),
    }
}

/// The address behind one that a NAT64 gateway translates (`64:ff9b::/96`).
fn translated(address: Ipv6Addr) -> Option<IpAddr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_metadata_are_out_of_bounds() {
        for text in
            ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:127.0.0.1", "224.0.0.1"]
        {
            assert!(!outbound_address_allowed(text.parse().unwrap(), &[]), "{text}");
        }
        for text in ["10.1.2.3", "192.168.1.5", "203.0.113.9", "2001:db8::1"] {
            assert!(outbound_address_allowed(text.parse().unwrap(), &[]), "{text}");
        }
    }

    #[test]
    fn metadata_is_out_of_bounds_wherever_a_cloud_keeps_it() {
        for text in
            ["100.100.100.200", "192.0.0.192", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1"]
        {
            let address = text.parse().unwrap();
            assert!(!outbound_address_allowed(address, &[]), "{text}");
            assert!(outbound_address_allowed(
                address,
                &["::/0".parse().unwrap(), "0.0.0.0/0".parse().unwrap()]
            ));
        }
        assert!(outbound_address_allowed("64:ff9b::10.1.2.3".parse().unwrap(), &[]));
    }

    #[test]
    fn a_listed_block_opens_its_addresses_only() {
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        assert!(outbound_address_allowed("127.0.0.1".parse().unwrap(), &allowed));
        assert!(!outbound_address_allowed("::1".parse().unwrap(), &allowed));
    }
}
