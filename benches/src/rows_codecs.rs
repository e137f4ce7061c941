//! Decoding and encoding: reads what criterion wrote and measures nothing itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::report::{Limit, Row, Unit};

/// The group of `crates/dialects/benches/codecs.rs`.
const GROUP: &str = "text message";
const BAR_US: f64 = 5.0;

/// A row for each dialect.
///
/// # Errors
/// When there are no figures, or they have another form.
pub(crate) fn read(criterion: &Path) -> Result<Vec<Row>> {
    let group = criterion.join(GROUP);
    let mut rows = Vec::new();
    for entry in fs::read_dir(&group).with_context(|| group.display().to_string())? {
        let entry = entry?;
        let dialect = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join("new/estimates.json");
        // Beside the dialects there is a folder for criterion's report.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let estimates: Value = serde_json::from_str(&text)?;
        let median_ns = estimates["median"]["point_estimate"].as_f64();
        let median_us = median_ns.with_context(|| file.display().to_string())? / 1e3;
        let name = format!("text decoded and answer encoded, {dialect}");
        rows.push((name, median_us));
    }
    ensure!(!rows.is_empty(), "criterion left nothing in {}", group.display());
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let row = |(name, us)| Row::new(name, Unit::Us, us).bar(Limit::AtMost(BAR_US));
    Ok(rows.into_iter().map(row).collect())
}
