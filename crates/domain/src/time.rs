//! Instants and zones: Unix milliseconds inside, text only at the edges.

use std::fmt;

use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// An instant in milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds, as Meta writes times.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant moved by a number of milliseconds.
    #[must_use]
    pub const fn plus_ms(self, span_ms: i64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// RFC 3339 in UTC with milliseconds: `2024-03-16T16:45:25.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        format!("{:.3}", self.to_jiff())
    }

    /// Reads RFC 3339 with any offset.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }

    /// RFC 2822 with a two-digit day, English names and a numeric offset:
    /// `Sun, 17 Mar 2024 00:45:25 +0800`.
    #[must_use]
    pub fn rfc2822(self, zone: &Zone) -> String {
        let local = self.to_jiff().to_zoned(zone.zone.clone());
        local.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }

    /// The local time in a zone, written as a format of strftime says it. `%.f` is a fraction with
    /// its dot, or nothing where it is zero.
    ///
    /// A format with an unknown conversion gives an empty text.
    #[must_use]
    pub fn strftime(self, zone: &Zone, format: &str) -> String {
        let local = self.to_jiff().to_zoned(zone.zone.clone());
        jiff::fmt::strtime::format(format, &local).unwrap_or_default()
    }

    fn to_jiff(self) -> jiff::Timestamp {
        // Out of jiff's range (years -9999 to 9999) only a corrupt value can be.
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// A time zone by its IANA name or as a fixed offset `±HH:MM`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// The text names no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither an IANA time zone such as Asia/Kuala_Lumpur nor an offset such as +08:00"
)]
pub struct ZoneError(String);

impl Zone {
    /// Reads `Asia/Kuala_Lumpur`, `UTC`, `+08:00` or `-0330`.
    ///
    /// # Errors
    /// Where the name is unknown or the offset is beyond 18 hours.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let text = text.trim();
        let zone = match fixed_offset(text) {
            Some(offset) => TimeZone::fixed(offset),
            None if text.starts_with(['+', '-']) => return Err(ZoneError(text.to_owned())),
            None => TimeZone::get(text).map_err(|_| ZoneError(text.to_owned()))?,
        };
        Ok(Self { name: text.to_owned(), zone })
    }

    /// The zone at a fixed offset from UTC, in minutes; at most 18 hours.
    #[must_use]
    pub fn of_offset_minutes(minutes: i16) -> Self {
        let minutes = i32::from(minutes).clamp(-18 * 60, 18 * 60);
        let sign = if minutes < 0 { '-' } else { '+' };
        let name = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        let offset = Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC);
        Self { name, zone: TimeZone::fixed(offset) }
    }

    /// The text it was made from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `+08:00`, the zone in which the dialects' documents write their times.
impl Default for Zone {
    fn default() -> Self {
        Self { name: "+08:00".to_owned(), zone: TimeZone::fixed(Offset::constant(8)) }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

fn fixed_offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|char| *char != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits[2..].parse().ok()?;
    if hours > 18 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Timestamp = Timestamp::from_seconds(1_710_607_525);

    #[test]
    fn writes_rfc_2822_in_the_organisations_zone() {
        for (zone, text) in [
            ("+08:00", "Sun, 17 Mar 2024 00:45:25 +0800"),
            ("Asia/Kuala_Lumpur", "Sun, 17 Mar 2024 00:45:25 +0800"),
            ("UTC", "Sat, 16 Mar 2024 16:45:25 +0000"),
            ("-03:30", "Sat, 16 Mar 2024 13:15:25 -0330"),
            ("America/New_York", "Sat, 16 Mar 2024 12:45:25 -0400"),
        ] {
            assert_eq!(SAMPLE.rfc2822(&Zone::parse(zone).unwrap()), text);
        }
        let early = Timestamp::from_seconds(1_709_310_000);
        assert_eq!(early.rfc2822(&Zone::default()), "Sat, 02 Mar 2024 00:20:00 +0800");
    }

    #[test]
    fn writes_local_times_by_format() {
        let zone = Zone::parse("+03:00").unwrap();
        for (span_ms, text) in [
            (0, "2024-03-16T19:45:25"),
            (800, "2024-03-16T19:45:25.8"),
            (7, "2024-03-16T19:45:25.007"),
        ] {
            let time = SAMPLE.plus_ms(span_ms).strftime(&zone, "%Y-%m-%dT%H:%M:%S%.f");
            assert_eq!(time, text);
        }
        assert_eq!(SAMPLE.strftime(&zone, "%&"), "");
    }

    #[test]
    fn writes_and_reads_rfc_3339() {
        assert_eq!(SAMPLE.rfc3339(), "2024-03-16T16:45:25.000Z");
        assert_eq!(Timestamp::parse_rfc3339("2024-03-17T00:45:25+08:00"), Some(SAMPLE));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn refuses_zones_that_do_not_exist() {
        for text in ["", "Mars/Olympus", "+8", "+25:00", "+08:60", "08:00"] {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
    }
}
