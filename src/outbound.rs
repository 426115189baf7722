//! Connections to servers that an administrator named.

use std::{io, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::config::outbound_address_allowed;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects. Errors: why there is no connection, in words.
pub async fn connect(host: &str, port: u16, allowed: &[IpNet]) -> Result<TcpStream, &'static str> {
    connect_to(&resolve(host, port, allowed).await?).await
}

/// The longest name the DNS has.
pub const LONGEST_HOST: usize = 253;

/// Whether a character may stand in a host name or an address.
pub fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')
}

/// The addresses of a host that are not out of bounds, one at least. They are checked after the name is resolved: a name in
/// DNS can point inside. Errors: why there is none, in words.
pub async fn resolve(host: &str, port: u16, allowed: &[IpNet]) -> Result<Vec<SocketAddr>, &'static str> {
    let Ok(Ok(found)) = timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await else {
        return Err("host name cannot be resolved");
    };
    let within = |address: &SocketAddr| outbound_address_allowed(address.ip(), allowed);
    let addresses: Vec<SocketAddr> = found.filter(within).collect();
    if addresses.is_empty() {
        return Err("address out of bounds, see OUTBOUND_ALLOWED_NETWORKS");
    }
    Ok(addresses)
}

/// Connects to the first of these addresses that lets us. Errors: why the last one did not, in words.
pub async fn connect_to(addresses: &[SocketAddr]) -> Result<TcpStream, &'static str> {
    let mut fault = "cannot connect";
    for address in addresses {
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
