//! The one source of chance of a simulation: a fixed sequence for each seed. Not for secrets.

use waypost_clock::mixed;

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed; `purpose` tells sequences of one seed apart.
    #[must_use]
    pub const fn new(seed: u64, purpose: u64) -> Self {
        Self(mixed(seed).wrapping_add(mixed(purpose ^ 0x5157_4159_504F_5354)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// Uniform in `0..limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        let wide = (self.bits() >> 32) * u64::from(limit);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// Uniform in `from..=to`.
    pub fn between(&mut self, from: u32, to: u32) -> u32 {
        from + self.below(to - from + 1)
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of some things, of which there is at least one.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        let most = u32::try_from(things.len()).unwrap_or(u32::MAX);
        &things[self.below(most) as usize]
    }

    /// Puts things into any order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for place in (1..things.len()).rev() {
            let most = u32::try_from(place + 1).unwrap_or(u32::MAX);
            things.swap(place, self.below(most) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence_and_every_value_comes_up() {
        let throws = |seed, purpose| {
            let mut chance = Chance::new(seed, purpose);
            (0..64).map(|_| chance.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, 1), throws(1, 1));
        assert_ne!(throws(1, 1), throws(2, 1));
        assert_ne!(throws(1, 1), throws(1, 2));
        assert!((0..6).all(|value| throws(1, 1).contains(&value)));
        let mut things = [1, 2, 3, 4, 5];
        Chance::new(3, 3).shuffle(&mut things);
        things.sort_unstable();
        assert_eq!(things, [1, 2, 3, 4, 5]);
    }
}
