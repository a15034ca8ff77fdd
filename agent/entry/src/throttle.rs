//! What is tried too often. Wrong passwords are counted for a name at an address and for an address:
//! whoever guesses waits longer each time, and cannot lock anybody out from elsewhere. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// So many wrong passwords of one name from one address cost nothing; then the wait begins.
const FREE: u32 = 5;
/// The same for one address, whatever the names.
const FREE_ADDRESS: u32 = 20;
const WAIT_FIRST: Duration = Duration::from_secs(30);
const WAIT_MOST: Duration = Duration::from_secs(900);
/// A wrong password is forgotten after this.
const FORGET: Duration = Duration::from_secs(3600);
/// Of more, the oldest are forgotten.
const REMEMBERED: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    NameAt(String, IpAddr),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    times: u32,
    last: Duration,
}

#[derive(Debug, Default)]
pub struct Throttle {
    wrong: HashMap<Who, Wrong>,
}

/// Whoever comes by a tunnel or a proxy has the address of this machine itself: it says nothing of
/// who it is.
fn both(name: &str, address: IpAddr) -> impl Iterator<Item = (Who, u32)> {
    let of_address = (!address.is_loopback()).then_some((Who::Address(address), FREE_ADDRESS));
    std::iter::once((Who::NameAt(name.to_owned(), address), FREE)).chain(of_address)
}

impl Throttle {
    /// How long who tries this has to wait; `None`: not at all.
    pub fn wait(&self, name: &str, address: IpAddr, now: Duration) -> Option<Duration> {
        let left = |(who, free): (Who, u32)| {
            let wrong = self.wrong.get(&who)?;
            let beyond = wrong.times.checked_sub(free)?;
            let wait = WAIT_FIRST
                .checked_mul(1 << beyond.min(10))
                .unwrap_or(WAIT_MOST)
                .min(WAIT_MOST);
            (wrong.last + wait)
                .checked_sub(now)
                .filter(|d| !d.is_zero())
        };
        both(name, address).filter_map(left).max()
    }

    /// A wrong password. Returns how often in a row.
    pub fn wrong(&mut self, name: &str, address: IpAddr, now: Duration) -> u32 {
        self.wrong
            .retain(|_, w| now.saturating_sub(w.last) < FORGET);
        // Room for the two that follow.
        while self.wrong.len() + 2 > REMEMBERED {
            let oldest = self.wrong.iter().min_by_key(|(_, w)| w.last);
            let Some(oldest) = oldest.map(|(who, _)| who.clone()) else {
                break;
            };
            self.wrong.remove(&oldest);
        }
        let mut times = 0;
        for (who, _) in both(name, address) {
            let wrong = self.wrong.entry(who).or_insert(Wrong {
                times: 0,
                last: now,
            });
            wrong.times = wrong.times.saturating_add(1);
            wrong.last = now;
            times = times.max(wrong.times);
        }
        times
    }

    /// The right password: the name begins anew. The address does not, or one known password would
    /// free it to guess others.
    pub fn right(&mut self, name: &str, address: IpAddr) {
        self.wrong.remove(&Who::NameAt(name.to_owned(), address));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_guesses_waits_longer_each_time_and_nobody_elsewhere_does() {
        let mut throttle = Throttle::default();
        for n in 1..=4 {
            assert_eq!(throttle.wrong("li", HERE, at(n)), n as u32);
            assert_eq!(throttle.wait("li", HERE, at(n)), None);
        }
        throttle.wrong("li", HERE, at(5));
        assert_eq!(throttle.wait("li", HERE, at(5)), Some(at(30)));
        assert_eq!(throttle.wait("li", HERE, at(34)), Some(at(1)));
        assert_eq!(throttle.wait("li", HERE, at(35)), None);
        assert_eq!(throttle.wait("li", THERE, at(5)), None);
        assert_eq!(throttle.wait("wang", HERE, at(5)), None);
        throttle.wrong("li", HERE, at(35));
        assert_eq!(throttle.wait("li", HERE, at(35)), Some(at(60)));
        throttle.right("li", HERE);
        assert_eq!(throttle.wait("li", HERE, at(36)), None);
    }

    #[test]
    fn an_address_that_tries_many_names_waits_and_never_longer_than_the_most() {
        let mut throttle = Throttle::default();
        for n in 0..20 {
            throttle.wrong(&format!("name-{n}"), HERE, at(n));
        }
        assert!(throttle.wait("anybody", HERE, at(20)).is_some());
        for n in 20..60 {
            throttle.wrong("li", HERE, at(n));
        }
        assert_eq!(throttle.wait("li", HERE, at(59)), Some(WAIT_MOST));
        // An hour later all is forgotten.
        throttle.wrong("li", HERE, at(59 + 3600));
        assert_eq!(throttle.wait("li", HERE, at(59 + 3600)), None);
    }

    #[test]
    fn a_tunnel_is_nobodys_address() {
        let (mut throttle, here) = (Throttle::default(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        for n in 0..100 {
            throttle.wrong(&format!("name-{n}"), here, at(n));
        }
        assert_eq!(throttle.wait("li", here, at(100)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::default();
        for n in 0..10_000 {
            throttle.wrong(&format!("{n}"), HERE, at(1));
        }
        assert!(throttle.wrong.len() <= REMEMBERED);
    }
}
