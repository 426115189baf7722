//! Where outbound connections may go. The host and port of a LIS endpoint are typed in by an administrator, which
//! makes the sender a port scanner of the inside unless some addresses are out of bounds.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// Whether an outbound connection may go to this address: loopback, link-local (where cloud metadata lives),
/// unspecified, multicast and broadcast addresses only when a block of `allowed` holds them.
pub fn outbound_address_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|block| block.contains(&address)) || !out_of_bounds(address)
}

fn out_of_bounds(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return true;
    }
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::BROADCAST || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
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
    fn a_listed_block_opens_its_addresses_only() {
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        assert!(outbound_address_allowed("127.0.0.1".parse().unwrap(), &allowed));
        assert!(!outbound_address_allowed("::1".parse().unwrap(), &allowed));
    }
}
