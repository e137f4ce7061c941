//! The chance that spreads waits, so that those who failed together do not come back together. A
//! simulation seeds it for its thread and gets the same waits in every run. Not for secrets.

use std::cell::Cell;

thread_local! {
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes [`dice`] on this thread a fixed sequence; `None` makes it random again.
pub fn seed_dice(seed: Option<u64>) {
    SEEDED.set(seed);
}

/// Uniform in 0..=1.
///
/// # Panics
/// Where the operating system gives no random bytes.
#[must_use]
pub fn dice() -> f64 {
    let bits = match SEEDED.get() {
        None => random_bits(),
        Some(state) => {
            let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            SEEDED.set(Some(state));
            mixed(state)
        }
    };
    let bits = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / f64::from(u32::MAX)
}

fn random_bits() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u64::from_be_bytes(bytes)
}

/// The finaliser of `SplitMix64`: every bit of the value decides half of the result's.
#[must_use]
pub const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_throws_and_no_seed_does_not() {
        let throws = || (0..8).map(|_| dice()).collect::<Vec<_>>();
        seed_dice(Some(7));
        let first = throws();
        seed_dice(Some(7));
        assert_eq!(throws(), first);
        assert!(first.iter().all(|throw| (0.0..=1.0).contains(throw)));
        assert!(first.windows(2).any(|pair| pair[0] != pair[1]));
        seed_dice(None);
        assert_ne!(throws(), throws());
    }
}
