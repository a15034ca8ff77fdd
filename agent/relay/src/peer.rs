//! Who came to a port of this machine. Another user of the box must not get a camera's pictures by
//! connecting before ffmpeg does.

use std::net::SocketAddr;

/// Whether the process at the other end of a connection within this machine runs as our own user.
/// Where the kernel's table cannot be read, nothing is known, and it is taken for our own.
pub(crate) fn is_ours(peer: SocketAddr, here: SocketAddr) -> bool {
    let us = rustix::process::geteuid().as_raw();
    match std::fs::read_to_string("/proc/self/net/tcp") {
        Ok(table) => owner(&table, peer, here).is_none_or(|user| user == us),
        Err(_) => true,
    }
}

/// The user of the connection `from` -> `to` in the text of `/proc/net/tcp`.
fn owner(table: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let coded = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => {
            // The address in the machine's byte order, the port in the network's.
            let ip = u32::from_ne_bytes(v4.ip().octets());
            Some(format!("{ip:08X}:{:04X}", v4.port()))
        }
        SocketAddr::V6(_) => None,
    };
    let (from, to) = (coded(from)?, coded(to)?);
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&from.as_str()) && fields.get(2) == Some(&to.as_str());
        is_it.then(|| fields.get(7)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_connection_is_found_in_the_kernels_table() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let stream = TcpStream::connect(here).unwrap();
        let (_accepted, peer) = listener.accept().unwrap();
        assert_eq!(stream.local_addr().unwrap(), peer);
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert_eq!(owner(&table, peer, here), Some(us));
        assert!(is_ours(peer, here));
        let other = table.replace(&format!(" {us} "), " 4711 ");
        assert_ne!(owner(&other, peer, here), Some(us));
    }
}
