//! Where webhooks come in whose signature is not looked at yet. Anybody may send such, so what they
//! take is bounded; and clients are spread over several doors by their address, so that one who
//! takes all that he can takes it from few others.

use std::array;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};

use foldhash::quality::RandomState;
use tokio::sync::Semaphore;

use crate::Limits;
use crate::bodies::BodyMemory;

/// How many doors there are.
const DOORS: usize = 8;
/// Bits of an IPv6 address that do not name its network: whoever has one address there has all.
const HOST_BITS: u32 = 80;

/// All doors.
pub(crate) struct Doors {
    doors: [Door; DOORS],
    /// Its seed is new with each start, so that nobody can choose a door.
    spread: RandomState,
}

/// What those who come by the same door share.
pub(crate) struct Door {
    /// One for each webhook, from its head to its answer.
    pub(crate) places: Semaphore,
    /// For their bodies.
    pub(crate) memory: BodyMemory,
}

impl Doors {
    /// Doors that nobody has come by yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        let door = |_| Door {
            places: Semaphore::new(limits.webhook_requests),
            memory: BodyMemory::new(limits.webhook_memory_bytes, limits.webhook_wait),
        };
        Self { doors: array::from_fn(door), spread: RandomState::default() }
    }

    /// The door of a client, the same one for all of its network.
    pub(crate) fn of(&self, client: Option<IpAddr>) -> &Door {
        let hash = self.spread.hash_one(client.map(network));
        &self.doors[usize::try_from(hash % DOORS as u64).unwrap_or(0)]
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> HOST_BITS << HOST_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_network_has_one_door_and_all_of_them_have_more() {
        let doors = Doors::new(&Limits::default());
        let door = |ip: &str| ptr::from_ref(doors.of(Some(ip.parse().unwrap())));
        assert_eq!(door("192.0.2.1"), door("192.0.2.1"));
        assert_eq!(door("2001:db8:1:2::3"), door("2001:db8:1:ffff:4:5:6:7"));
        let first = door("192.0.2.0");
        assert!((1..=255).any(|host| door(&format!("192.0.2.{host}")) != first));
        assert!((1..=255).any(|site| door(&format!("2001:db8:{site}::1")) != first));
    }
}
