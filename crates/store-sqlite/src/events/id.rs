//! An event's public id: a UUID of version 8 made from its place and the instant of its recording,
//! so that neither a column nor an index is needed to find it again. The place is masked: ids do
//! not tell a tenant how much goes on elsewhere.

use waypost_domain::{EventId, Timestamp};

const TIME_BITS: u32 = 48;
const PLACE_BITS: u32 = 62;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
const VERSION: u64 = 8 << 12;
const VARIANT: u64 = 0b10 << PLACE_BITS;

/// The id of the event at `place`, under this database's key.
pub(super) fn of(key: i64, place: i64, recorded_at: Timestamp) -> EventId {
    let time = recorded_at.0.cast_unsigned() & ((1 << TIME_BITS) - 1);
    let mask = mask(key, time);
    let place = place.cast_unsigned();
    let high = (time << 16) | VERSION | check(mask, place);
    let low = VARIANT | ((place ^ mask) & PLACE_MASK);
    EventId::from_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
}

/// The place that an id names, if it is one of ours. Whoever uses it compares the whole id.
pub(super) fn place(key: i64, id: EventId) -> Option<i64> {
    let (high, low) = id.0.as_u64_pair();
    let time = high >> 16;
    i64::try_from((low ^ mask(key, time)) & PLACE_MASK).ok()
}

fn mask(key: i64, time: u64) -> u64 {
    mixed(key.cast_unsigned() ^ time)
}

fn check(mask: u64, place: u64) -> u64 {
    mixed(mask.wrapping_add(place)) >> 52
}

/// The finaliser of `SplitMix64`: every bit of the value decides half of the result's.
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_place_and_looks_like_a_uuid() {
        for seq in [1, 2, 77, 1 << 40] {
            let id = of(-5, seq, Timestamp(1_800_000_000_123));
            assert_eq!(place(-5, id), Some(seq));
            assert_eq!(id.0.get_version_num(), 8);
            assert_ne!(place(6, id), Some(seq), "another database's");
        }
    }

    #[test]
    fn the_same_place_recorded_at_another_time_is_another_event() {
        assert_ne!(of(1, 9, Timestamp(1_000)), of(1, 9, Timestamp(1_001)));
    }
}
