//! The composition root: builds the gateway from a configuration and runs it. The lead wires it;
//! until then it says so and fails.

use anyhow::bail;

use crate::cli::SandboxArgs;
use crate::config::Config;

/// Runs the gateway until it is told to stop.
#[allow(clippy::unused_async, reason = "the wired one awaits")]
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    bail!("the gateway for {} is not wired yet", config.upstream.target.name());
}

/// Runs the sandbox alone until it is told to stop.
#[allow(clippy::unused_async, reason = "the wired one awaits")]
pub(crate) async fn sandbox(config: Config, args: SandboxArgs) -> anyhow::Result<()> {
    bail!("the sandbox at {:?} for {:?} is not wired yet", config.sandbox_listen, args.webhook_url);
}
