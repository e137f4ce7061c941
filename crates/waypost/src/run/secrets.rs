//! The installation's own secrets: set in the configuration, or made on the first start and kept
//! sealed. The administrator's key is kept as a hash only.

use anyhow::{Context as _, bail};
use waypost_domain::directory::Sealed;
use waypost_engine::keys;
use waypost_engine::ports::DirectoryStore as _;
use waypost_engine::vault::Vault;
use waypost_store_sqlite::SqliteStore;

use super::Urls;
use crate::config::{Config, Secret, UpstreamTarget};
use crate::data_dir::{ADMIN_ENV, DataDir};

/// The setting that only the right master key opens.
pub(crate) const VAULT_CHECK: &str = "vault_check";
const VAULT_CHECK_TEXT: &str = "waypost";
const ADMIN_HASH: &str = "admin_key_sha256";
const VERIFY_TOKEN: &str = "webhook_verify_token";
const APP_SECRET: &str = "webhook_app_secret";

/// What the start needs to know.
pub(super) struct Secrets {
    /// SHA-256 of the administrator's key.
    pub(super) admin_sha256: String,
    /// The key itself, where it is known: set, or in `admin.env`.
    pub(super) admin_key: Option<String>,
    pub(super) verify_token: String,
    pub(super) app_secret: String,
}

/// Refuses a master key that did not seal what the store holds.
pub(super) async fn check_master_key(store: &SqliteStore, vault: &Vault) -> anyhow::Result<()> {
    match store.setting(VAULT_CHECK).await?.map(Sealed) {
        None => {
            let sealed = vault.seal(VAULT_CHECK, VAULT_CHECK_TEXT);
            Ok(store.put_setting(VAULT_CHECK, &sealed.0).await?)
        }
        Some(sealed) if fits(vault, &sealed) => Ok(()),
        Some(_) => bail!(
            "the master key is not the one that this data folder's secrets were sealed with. \
             Restore the right file, or name it by `master_key_file`"
        ),
    }
}

/// Whether a master key sealed what a store has under [`VAULT_CHECK`].
pub(crate) fn fits(vault: &Vault, sealed: &Sealed) -> bool {
    vault.open(VAULT_CHECK, sealed).is_ok()
}

/// Reads the installation's secrets; makes those that are missing.
pub(super) async fn settle(
    config: &Config,
    folder: &DataDir,
    store: &SqliteStore,
    vault: &Vault,
    urls: &Urls,
) -> anyhow::Result<Secrets> {
    let admin_key = admin_key(config, folder, store).await?;
    let verify_token =
        kept(config.webhook_verify_token.as_ref(), store, vault, VERIFY_TOKEN).await?;
    let app_secret = match (&config.webhook_app_secret, &config.upstream.target) {
        (None, UpstreamTarget::Real(_)) => {
            bail!("webhook.app_secret is required with a real upstream")
        }
        (configured, _) => kept(configured.as_ref(), store, vault, APP_SECRET).await?,
    };
    let admin_sha256 = match &admin_key {
        Some(key) => keys::hash_secret(key),
        None => store.setting(ADMIN_HASH).await?.context(
            "the administrator's key is unknown: its hash is not in the database. Set admin_key",
        )?,
    };
    store.put_setting(ADMIN_HASH, &admin_sha256).await?;
    let mut variables = vec![("WAYPOST_URL", urls.gateway.as_str())];
    if let Some(sandbox) = &urls.sandbox {
        variables.push(("SANDBOX_URL", sandbox));
    }
    if let Some(key) = &admin_key {
        variables.push(("WAYPOST_ADMIN_KEY", key));
    }
    variables.push(("WAYPOST_WEBHOOK_VERIFY_TOKEN", &verify_token));
    let comment = "For `waypost admin` and `waypost send`. Keep it secret.";
    folder.write_variables(ADMIN_ENV, comment, &variables)?;
    Ok(Secrets { admin_sha256, admin_key, verify_token, app_secret })
}

/// The administrator's key: as set; else as `admin.env` has it, if the store knows that one; else,
/// on a first start, a fresh one.
async fn admin_key(
    config: &Config,
    folder: &DataDir,
    store: &SqliteStore,
) -> anyhow::Result<Option<String>> {
    if let Some(set) = &config.admin_key {
        return Ok(Some(set.expose().to_owned()));
    }
    let written = folder.read_variables(ADMIN_ENV)?;
    let written = written.and_then(|variables| variables.get("WAYPOST_ADMIN_KEY").cloned());
    match store.setting(ADMIN_HASH).await? {
        Some(hash) => Ok(written.filter(|key| keys::hash_secret(key) == hash)),
        None => {
            let live = matches!(config.upstream.target, UpstreamTarget::Real(_));
            Ok(Some(written.unwrap_or_else(|| keys::generate(live).text)))
        }
    }
}

/// A secret as set; else as the store keeps it, sealed; else a fresh one.
async fn kept(
    set: Option<&Secret>,
    store: &SqliteStore,
    vault: &Vault,
    name: &str,
) -> anyhow::Result<String> {
    if let Some(set) = set {
        return Ok(set.expose().to_owned());
    }
    if let Some(sealed) = store.setting(name).await? {
        return vault.open(name, &Sealed(sealed)).with_context(|| format!("the setting {name}"));
    }
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random).context("the operating system gives no random bytes")?;
    let fresh: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    store.put_setting(name, &vault.seal(name, &fresh).0).await?;
    Ok(fresh)
}
