//! Arguments of `waypost backup` and `waypost restore`. What they do: `crate::backup` and
//! `crate::restore`.

use std::path::PathBuf;

use clap::Args;

use super::gateway::Gateway;

pub(super) const BACKUP_EXAMPLES: &str = "\
Examples:
  waypost backup
  waypost backup /mnt/backups/waypost.tar
  waypost backup --url https://wa.example.com --key \"$WAYPOST_ADMIN_KEY\" --json

Everything that was acknowledged before the command began is in the file. The gateway goes on working. The master key is \
not in it: keep that file in another place than the backups.";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  waypost restore waypost-20260131T020000Z.tar --data-dir /var/lib/waypost
  waypost restore waypost.tar --data-dir /tmp/looked-at --json

The folder must be empty but for the master key, and no gateway may run in it. What waited to be sent when the backup was \
made is held back, because it may have been sent since: `waypost admin queues resume` sends it, `waypost admin queues leave` \
leaves it as it is.";

/// Copy everything of a running gateway into one file.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// The file to be made [default: ./waypost-<time>.tar]
    pub(crate) file: Option<PathBuf>,
}

/// Unpack a backup into an empty data folder.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,
    /// Hold nothing back: nothing was sent since the backup was made
    #[arg(long)]
    pub(crate) resume_queue: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
