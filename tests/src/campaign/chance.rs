//! Chance that can be repeated: the same seed gives the same draws. Not for secrets.

use std::ops::Range;

/// SplitMix64, as its author published it.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Draws that follow from a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next draw.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number of a range; its start where the range is empty.
    pub const fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start);
        if width == 0 { range.start } else { range.start + self.draw() % width }
    }

    /// True in so many of a hundred cases.
    pub const fn is(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_draws_and_another_one_others() {
        let draws = |seed| {
            let mut chance = Chance::seeded(seed);
            [(); 4].map(|()| chance.within(10..20))
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        assert!(draws(7).iter().all(|draw| (10..20).contains(draw)));
        assert_eq!(Chance::seeded(1).within(5..5), 5);
    }
}
