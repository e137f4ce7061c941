//! How this API hands its commands to the engine. What is answered is the handlers' own affair.

use std::time::Duration;

use waypost_engine::{Ask, IdempotencyKey};

use super::access::{InOrg, Need};
use crate::auth;

/// The name under which messages of this API are recorded.
const DIALECT: &str = "waypost";
/// How long a second request with the same idempotency key waits for the first.
const IDEMPOTENCY_WAIT: Duration = Duration::from_secs(2);

/// A command as the caller asks for it on `route`.
pub(crate) fn ask<N: Need, T>(
    within: &InOrg<N>,
    route: &'static str,
    idempotency: Option<IdempotencyKey>,
    command: T,
) -> Ask<T> {
    let caller = auth::caller(&within.key);
    Ask {
        caller,
        dialect: DIALECT,
        route,
        idempotency,
        idempotency_wait: IDEMPOTENCY_WAIT,
        awaits_unknown: false,
        conflicts_first: false,
        command,
    }
}
