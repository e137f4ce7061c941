//! The table that is printed and the same as JSON: what was measured and whether it meets its bars.
//!
//! A *bar* must be met; an *aim* is where the next work goes. Both are ratios or amounts that hold on any machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};

/// What a figure counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// One figure divided by another.
    Ratio,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Millions of bytes.
    Mb,
    /// Things per second.
    PerS,
    /// Hundredths.
    Percent,
    /// Things.
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2} ×"),
            Self::Ms => format!("{value:.1} ms"),
            Self::Us if value < 10.0 => format!("{value:.1} µs"),
            Self::Us => format!("{value:.0} µs"),
            Self::Mb => format!("{value:.1} MB"),
            Self::PerS => format!("{value:.0} /s"),
            Self::Percent => format!("{value:.1} %"),
            Self::Count => format!("{value:.0}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Mb => "mb",
            Self::PerS => "per_s",
            Self::Percent => "percent",
            Self::Count => "count",
        }
    }
}

/// How large a figure may or must be.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// No smaller.
    AtLeast(f64),
    /// No larger.
    AtMost(f64),
}

impl Limit {
    /// Whether `value` meets it; what could not be measured does not.
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    fn show(self, unit: Unit, value: f64) -> String {
        let met = if self.is_met(value) { "met" } else { "MISSED" };
        match self {
            Self::AtLeast(limit) => format!("≥ {} {met}", unit.show(limit)),
            Self::AtMost(limit) => format!("≤ {} {met}", unit.show(limit)),
        }
    }

    fn json(self, value: f64) -> Value {
        let (word, limit) = match self {
            Self::AtLeast(limit) => ("at_least", limit),
            Self::AtMost(limit) => ("at_most", limit),
        };
        json!({ word: limit, "met": self.is_met(value) })
    }
}

/// One figure.
pub(crate) struct Row {
    name: String,
    unit: Unit,
    value: f64,
    bar: Option<Limit>,
    aim: Option<Limit>,
    repetitions: Vec<f64>,
}

impl Row {
    /// A figure with neither bar nor aim.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self { name: name.into(), unit, value, bar: None, aim: None, repetitions: Vec::new() }
    }

    /// What must be met.
    pub(crate) fn bar(mut self, bar: Limit) -> Self {
        self.bar = Some(bar);
        self
    }

    /// What shall be met one day.
    pub(crate) fn aim(mut self, aim: Limit) -> Self {
        self.aim = Some(aim);
        self
    }

    /// The single measurements that the figure was made of.
    pub(crate) fn of(mut self, repetitions: &[f64]) -> Self {
        self.repetitions = repetitions.to_vec();
        self
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit.name(),
            "value": self.value,
            "bar": self.bar.map(|bar| bar.json(self.value)),
            "aim": self.aim.map(|aim| aim.json(self.value)),
            "repetitions": self.repetitions,
        })
    }
}

/// The table as text.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<48} {:>12}   {:<20} {:<20}\n", "", "measured", "bar", "aim");
    for row in rows {
        let limit = |limit: Option<Limit>| limit.map(|limit| limit.show(row.unit, row.value));
        let line = format!(
            "{:<48} {:>12}   {:<20} {:<20}",
            row.name,
            row.unit.show(row.value),
            limit(row.bar).unwrap_or_default(),
            limit(row.aim).unwrap_or_default(),
        );
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Names of the rows whose bar is missed.
pub(crate) fn missed(rows: &[Row]) -> Vec<&str> {
    let is_missed = |row: &&Row| row.bar.is_some_and(|bar| !bar.is_met(row.value));
    rows.iter().filter(is_missed).map(|row| row.name.as_str()).collect()
}

/// Writes `latest.json` and a copy that later runs leave alone.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write(rows: &[Row], repetitions: u32, folder: &Path) -> Result<()> {
    let taken_at_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let report = json!({
        "taken_at_unix_s": taken_at_s,
        "commit": said(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
        "kernel": said(Command::new("uname").arg("-srm")),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "repetitions": repetitions,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&report)?;
    std::fs::write(folder.join(format!("{taken_at_s}.json")), &text)?;
    std::fs::write(folder.join("latest.json"), &text)?;
    Ok(())
}

/// A number with a comma before each three digits.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let place = |index: usize| digits.len() - index;
    let with_comma = |(index, digit): (usize, char)| {
        let comma = (index > 0 && place(index) % 3 == 0).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(with_comma).collect()
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Limit, Row, Unit, missed, table, thousands};

    #[test]
    fn tells_met_from_missed_bars() {
        let rows = [
            Row::new("fast", Unit::Ratio, 0.5).bar(Limit::AtLeast(0.35)).aim(Limit::AtLeast(0.75)),
            Row::new("large", Unit::Mb, 33.0).bar(Limit::AtMost(32.0)),
            Row::new("unmeasured", Unit::Ms, f64::NAN).bar(Limit::AtMost(1.0)),
            Row::new("told", Unit::PerS, 7.0),
        ];
        assert_eq!(missed(&rows), ["large", "unmeasured"]);
        let table = table(&rows);
        assert!(table.contains("≥ 0.35 × met"), "{table}");
        assert!(table.contains("≥ 0.75 × MISSED"), "{table}");
        assert!(table.contains("≤ 32.0 MB MISSED"), "{table}");
    }
    #[test]
    fn shows_large_numbers_in_groups_of_three_digits() {
        for (number, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_000_000, "1,000,000")]
        {
            assert_eq!(thousands(number), shown);
        }
    }
}
