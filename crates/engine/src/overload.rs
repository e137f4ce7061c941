//! Whether new work may begin: not while the store cannot keep up with what was begun before. What
//! happened already, such as an outcome or a webhook, is recorded all the same.

use waypost_domain::{ErrorKind, Failure};

use crate::Engine;

/// When whoever was turned away may try again, in seconds: a queue that stands is gone by then.
const COME_AGAIN_S: u32 = 1;

impl Engine {
    /// Refuses new work while writes wait too long.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] with a time to come again.
    pub fn check_backlog(&self) -> Result<(), Failure> {
        if !self.store().is_behind() {
            return Ok(());
        }
        let message = "Too much is waiting to be recorded; nothing was accepted. Try again.";
        Err(Failure::new(ErrorKind::Unavailable, message).retry_after_s(COME_AGAIN_S))
    }
}
