//! One text for all ways of writing the same number: by its digits, of which any number may stand,
//! and never by way of a float, which would take different integers for the same.

/// Whole numbers of at most so many digits are written out; all others as digits and exponent.
const MAX_PLAIN_DIGITS: usize = 40;
const ZEROS: [u8; MAX_PLAIN_DIGITS] = [b'0'; MAX_PLAIN_DIGITS];

/// A number as digits times a power of ten, without zeros at either end.
pub(super) struct Decimal<'a> {
    is_negative: bool,
    /// The digits before and after the point. Zero has none.
    digits: [&'a str; 2],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Takes a JSON number apart; `None` where its exponent is beyond all use, so that its text
    /// must do.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-');
        let (mantissa, exponent) = {
            let text = unsigned.unwrap_or(text);
            text.split_once(['e', 'E']).unwrap_or((text, "0"))
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self { is_negative: false, digits: ["", ""], exponent: 0 });
        }
        let exponent: i64 = exponent.parse().ok()?;
        let digits = match (whole, fraction) {
            (whole, "") => [whole.trim_end_matches('0'), ""],
            ("", fraction) => ["", fraction.trim_start_matches('0')],
            both => [both.0, both.1],
        };
        let dropped = i64::try_from(whole.len() - digits[0].len()).ok()?;
        let after_point = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_add(dropped)?.checked_sub(after_point)?;
        Some(Self { is_negative: unsigned.is_some(), digits, exponent })
    }

    pub(super) fn write(&self, sink: &mut dyn FnMut(&[u8])) {
        let length = self.digits[0].len() + self.digits[1].len();
        if length == 0 {
            return sink(b"0");
        }
        if self.is_negative {
            sink(b"-");
        }
        self.digits.iter().for_each(|digits| sink(digits.as_bytes()));
        match usize::try_from(self.exponent) {
            Ok(zeros) if length.saturating_add(zeros) <= MAX_PLAIN_DIGITS => sink(&ZEROS[..zeros]),
            _ => sink(format!("e{}", self.exponent).as_bytes()),
        }
    }
}
