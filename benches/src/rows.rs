//! Which figures there are, in groups, the rows about starting, and the load by which a build learns what is run often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::effort::{Effort, FULL, QUICK};
use crate::gateway::{Gateway, Site, Upstream};
use crate::process::Ending;
use crate::report::{self, Limit, Row, Unit};
use crate::statistics::median;
use crate::{
    rows_accepts, rows_broadcast, rows_callbacks, rows_codecs, rows_disks, rows_far, rows_media,
    rows_memory, rows_overload, rows_queue, rows_rate, rows_statuses,
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

/// What to load and where.
#[derive(Args)]
pub(crate) struct Training {
    /// A binary that counts what it runs
    #[arg(long)]
    waypost: PathBuf,
    /// Folder for data and logs
    #[arg(long)]
    out: PathBuf,
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
    /// Files of 1 MiB: inline in messages, and kept only
    Media,
    /// Meta's statuses: how fast they are taken and recorded
    Statuses,
    /// Broadcasts: how soon one is accepted, how fast they drain
    Broadcast,
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

/// What gateways do all day.
const ALL_DAY: [Group; 7] = [
    Group::Rates,
    Group::Accepts,
    Group::Far,
    Group::Media,
    Group::Statuses,
    Group::Broadcast,
    Group::Callbacks,
];

impl Options {
    fn groups(&self) -> Vec<Group> {
        let all = Group::value_variants().iter().copied();
        let is_wanted = |group: &Group| match self.only {
            Some(only) => *group == only,
            None => *group != Group::Overload,
        };
        all.filter(is_wanted).collect()
    }
}

/// Measures, prints the table, writes the results.
///
/// # Errors
/// When something cannot be measured, or a bar is missed and bars are enforced.
pub(crate) async fn run(options: Options) -> Result<()> {
    let effort = if options.quick { &QUICK } else { &FULL };
    let site = site(&options.waypost, &options.out, Ending::Kill)?;
    let mut rows = Vec::new();
    for group in options.groups() {
        rows.extend(measure(group, &site, effort, options.criterion.as_deref()).await?);
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

/// Loads a binary with what gateways do all day, and lets it write what it counted. Measures nothing.
///
/// # Errors
/// When a call fails.
pub(crate) async fn train(training: Training) -> Result<()> {
    let site = site(&training.waypost, &training.out, Ending::Ask)?;
    for group in ALL_DAY {
        measure(group, &site, &QUICK, None).await?;
    }
    Ok(())
}

fn site(waypost: &Path, out: &Path, ending: Ending) -> Result<Site> {
    let binary = waypost.canonicalize().context("Waypost's binary")?;
    let folder = out.canonicalize().context("the folder for results")?;
    Ok(Site { binary, folder, through: Vec::new(), ending })
}

async fn measure(
    group: Group,
    site: &Site,
    effort: &Effort,
    criterion: Option<&Path>,
) -> Result<Vec<Row>> {
    match group {
        Group::Start => start_rows(site, effort).await,
        Group::Rates => rows_rate::measure(site, effort).await,
        Group::Accepts => rows_accepts::measure(site, effort).await,
        Group::Disks => rows_disks::measure(site, effort).await,
        Group::Far => rows_far::measure(site, effort).await,
        Group::Media => rows_media::measure(site, effort).await,
        Group::Statuses => rows_statuses::measure(site, effort).await,
        Group::Broadcast => rows_broadcast::measure(site, effort).await,
        Group::Callbacks => rows_callbacks::measure(site, effort).await,
        Group::Codecs => criterion.map_or_else(|| Ok(Vec::new()), rows_codecs::read),
        Group::Memory => rows_memory::measure(site, effort).await,
        Group::Queue => rows_queue::measure(site, effort).await,
        Group::Overload => rows_overload::measure(site, effort).await,
    }
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
