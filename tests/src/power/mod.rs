//! Power loss without a kernel module (T5): the system calls of a run are recorded, and after each of
//! them the disk is made as a power cut could have left it: what was not synced is gone, or half there.
//! Each such disk must open, be whole, and have everything that was acknowledged by then.

pub mod disk;
pub mod record;
pub mod replay;
pub mod trace;
