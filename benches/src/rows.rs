//! Which figures there are, in groups, and the rows about starting.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::effort::{Effort, FULL, QUICK};
use crate::gateway::{Gateway, Site, Upstream};
use crate::report::{self, Limit, Row, Unit};
use crate::statistics::median;
use crate::{
    rows_accepts, rows_callbacks, rows_codecs, rows_disks, rows_far, rows_memory, rows_overload,
    rows_queue, rows_rate,
};

/// After it, what a start left to be done has been done.
const SETTLING: Duration = Duration::from_secs(3);

/// What to measure and where.
#[derive(Args)]
pub(crate) struct Options {
    /// The release binary
    #[arg(long)]
    waypost: PathBuf,
    /// Folder for data, logs and results, on a disk
    #[arg(long)]
    out: PathBuf,
    /// Fewer and shorter repetitions: shows that everything runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Exit with 1 when a bar is missed
    #[arg(long)]
    enforce: bool,
    /// Where criterion left the figures of the codecs
    #[arg(long)]
    criterion: Option<PathBuf>,
    /// Only this group
    #[arg(long)]
    only: Option<Group>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Start and idle
    Start,
    /// Rates, processor time and latency under load
    Rates,
    /// Asynchronous accepts of the vendors' dialects
    Accepts,
    /// Accepts on disks whose syncs take milliseconds
    Disks,
    /// Sends to an upstream that takes 200 ms, a thousand at once
    Far,
    /// Callbacks: how fast they drain and how late they are
    Callbacks,
    /// Decoding and encoding, as criterion has measured it
    Codecs,
    /// Memory with large files
    Memory,
    /// The queue: draining it, and starting with a million messages waiting
    Queue,
    /// Three times the load that can be carried, for minutes: only when asked for
    Overload,
}

/// Measures, prints the table, writes the results.
///
/// # Errors
/// When something cannot be measured, or a bar is missed and bars are enforced.
pub(crate) async fn run(options: Options) -> Result<()> {
    let effort = if options.quick { &QUICK } else { &FULL };
    let binary = options.waypost.canonicalize().context("the release binary")?;
    let folder = options.out.canonicalize().context("the folder for results")?;
    let site = Site { binary, folder, through: Vec::new() };
    let wanted = |group| options.only.is_none_or(|only| only == group);
    let mut rows = Vec::new();
    if wanted(Group::Start) {
        rows.extend(start_rows(&site, effort).await?);
    }
    if wanted(Group::Rates) {
        rows.extend(rows_rate::measure(&site, effort).await?);
    }
    if wanted(Group::Accepts) {
        rows.extend(rows_accepts::measure(&site, effort).await?);
    }
    if wanted(Group::Disks) {
        rows.extend(rows_disks::measure(&site, effort).await?);
    }
    if wanted(Group::Far) {
        rows.extend(rows_far::measure(&site, effort).await?);
    }
    if wanted(Group::Callbacks) {
        rows.extend(rows_callbacks::measure(&site, effort).await?);
    }
    if let Some(criterion) = options.criterion.filter(|_| wanted(Group::Codecs)) {
        rows.extend(rows_codecs::read(&criterion)?);
    }
    if wanted(Group::Memory) {
        rows.extend(rows_memory::measure(&site, effort).await?);
    }
    if wanted(Group::Queue) {
        rows.extend(rows_queue::measure(&site, effort).await?);
    }
    if options.only == Some(Group::Overload) {
        rows.extend(rows_overload::measure(&site, effort).await?);
    }
    println!("\n{}", report::table(&rows));
    report::write(&rows, effort.repetitions, &site.folder)?;
    println!("the same with every repetition: {}", site.folder.join("latest.json").display());
    let missed = report::missed(&rows);
    if options.enforce && !missed.is_empty() {
        bail!("bars missed: {}", missed.join("; "));
    }
    Ok(())
}

async fn start_rows(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let (mut first_ms, mut again_ms, mut idle_mb) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 1..=effort.repetitions {
        let gateway = Gateway::start(site, Upstream::Sandbox).await?;
        first_ms.push(gateway.ready_after.as_secs_f64() * 1e3);
        tokio::time::sleep(SETTLING).await;
        idle_mb.push(gateway.process.resident_bytes()? / 1e6);
        let gateway = gateway.start_again(site, Upstream::Sandbox).await?;
        again_ms.push(gateway.ready_after.as_secs_f64() * 1e3);
        println!("start {repetition}: {:.1} ms", gateway.ready_after.as_secs_f64() * 1e3);
    }
    Ok(vec![
        Row::new("ready on an empty folder", Unit::Ms, median(&first_ms))
            .bar(Limit::AtMost(150.0))
            .of(&first_ms),
        Row::new("ready again after a kill", Unit::Ms, median(&again_ms))
            .aim(Limit::AtMost(100.0))
            .of(&again_ms),
        Row::new("idle with sandbox and demo, resident", Unit::Mb, median(&idle_mb))
            .bar(Limit::AtMost(40.0))
            .aim(Limit::AtMost(15.0))
            .of(&idle_mb),
    ])
}
