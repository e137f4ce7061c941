//! Campaigns against the running binary: it is killed, told to stop, cut off and put on bad disks while
//! callers go on, and an oracle compares what they were told with what the upstream and the gateway
//! have in the end. Each check returns what was broken, so that a planted bug can be seen to break it.

pub mod carrier;
pub mod chance;
pub mod desk;
pub mod disks;
pub mod gateway;
pub mod kills;
pub mod ledger;
pub mod links;
pub mod load;
pub mod oracle;
pub mod small_disk;
pub mod stops;
pub mod unrecorded;

pub use chance::Chance;
pub use desk::{Desk, Heard, Kind, phone};
pub use gateway::{has_none, options, within};
pub use ledger::{Entry, Ledger, Promise};
