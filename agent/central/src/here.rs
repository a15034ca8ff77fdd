//! Addresses of this machine: those that it opens, and those that lead nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use url::Host;

const AGAIN: Duration = Duration::from_secs(2);

/// What is sent there stays on this machine.
pub fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Listens at the address that `key` of the config names, as soon as that can be: another process of
/// this machine may have it, and lose it.
pub async fn listener(address: SocketAddr, key: &str) -> TcpListener {
    let mut is_told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                if !is_told {
                    tracing::warn!(
                        %address, %error,
                        "{key} cannot be opened; another process may have it, or it is no address of this machine; it is tried again"
                    );
                }
                is_told = true;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
