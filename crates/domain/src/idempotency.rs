//! How long an idempotency key stands for what was made with it.

/// Milliseconds from the claim until a key may be claimed anew: 7 days.
pub const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
