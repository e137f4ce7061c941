//! Campaigns against the running binary: it is killed, told to stop, cut off and put on bad disks while
//! callers go on, and an oracle compares what they were told with what the upstream and the gateway
//! have in the end. Each check returns what was broken, so that a planted bug can be seen to break it.

pub mod carrier;
pub mod chance;
pub mod desk;
pub mod disks;
pub mod gateway;
pub mod keys;
pub mod kills;
pub mod ledger;
pub mod links;
pub mod load;
pub mod neighbour;
pub mod oracle;
pub mod outage;
pub mod retention;
pub mod rot;
pub mod small_disk;
pub mod stops;
pub mod times;
pub mod unrecorded;
pub mod webhooks;

pub use chance::Chance;
pub use desk::{Desk, Heard, Kind, phone};
pub use gateway::{has_none, options, within};
pub use ledger::{Entry, Ledger, Promise};
