//! Connections to servers that an administrator named.

use std::{io, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::config::outbound_address_allowed;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects. The address is checked after the name is resolved: a name in DNS can point inside. Errors: why there is no
/// connection, in words.
pub async fn connect(host: &str, port: u16, allowed: &[IpNet]) -> Result<TcpStream, &'static str> {
    let resolve = timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match resolve {
        Ok(Ok(addresses)) => addresses.collect(),
        _ => return Err("host name cannot be resolved"),
    };
    let mut fault = "address out of bounds, see OUTBOUND_ALLOWED_NETWORKS";
    for address in addresses {
        if !outbound_address_allowed(address.ip(), allowed) {
            continue;
        }
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => fault = refusal(&error),
            Err(_) => fault = "connect timed out",
        }
    }
    Err(fault)
}

fn refusal(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route",
        _ => "cannot connect",
    }
}
