//! Backups, and what a restored installation holds back. For the installation's own key.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;
use waypost_domain::Timestamp;
use waypost_engine::ports::Resumed;
use waypost_engine::{Backup, BackupError, Engine};

use super::access::{Access, Ids};
use super::input::JsonObject;
use crate::App;
use crate::archive::{End, FORMAT, Head, Unfinished, Writer};
use crate::problem::Problem;

/// Names a backup, to confirm it by.
const BACKUP_ID: HeaderName = HeaderName::from_static("x-waypost-backup-id");

/// Copies everything while work goes on: database and files as a tar archive, as they were when the
/// call came. The master key is not in it. It counts as a backup once it is confirmed by the id in
/// the header `X-Waypost-Backup-Id`.
#[utoipa::path(post, path = "/waypost/v1/backups", tag = "backups",
    responses((status = 200, description = "A tar archive", content_type = "application/x-tar",
        body = String,
        headers(("X-Waypost-Backup-Id" = String, description = "To confirm it by")))))]
pub(crate) async fn make_backup(
    State(app): State<App>,
    access: Access,
) -> Result<Response, Problem> {
    access.require_installation()?;
    let backup = app.engine.begin_backup().await.map_err(refused)?;
    let id = HeaderValue::from(backup.taken_at().0);
    let modified_s = u64::try_from(backup.taken_at().0 / 1_000).unwrap_or(0);
    let (writer, pieces) = Writer::new(modified_s);
    tokio::spawn(write(app.engine.clone(), backup, writer));
    let body = Body::from_stream(ReceiverStream::new(pieces));
    let content_type = HeaderValue::from_static("application/x-tar");
    Ok(([(CONTENT_TYPE, content_type), (BACKUP_ID, id)], body).into_response())
}

/// A backup that its receiver has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backup)]
pub(crate) struct BackupView {
    id: String,
    /// Everything acknowledged before then is in it.
    taken_at: String,
}

/// Says that a backup is whole where it lies: checked, and safe on a disk. What is told of the last
/// backup, as in the metrics, is told of confirmed ones.
#[utoipa::path(post, path = "/waypost/v1/backups/{backup_id}/confirm", tag = "backups",
    responses((status = 200, body = BackupView)))]
pub(crate) async fn confirm_backup(
    State(app): State<App>,
    access: Access,
    Ids(id): Ids<i64>,
) -> Result<Json<BackupView>, Problem> {
    access.require_installation()?;
    let taken_at = Timestamp(id);
    if !app.engine.confirm_backup(taken_at).await? {
        return Err(Problem::not_found());
    }
    let taken_at = taken_at.rfc3339();
    tracing::info!(taken_at, "backup confirmed");
    Ok(Json(BackupView { id: id.to_string(), taken_at }))
}

fn refused(error: BackupError) -> Problem {
    match error {
        BackupError::Running => Problem::wrong_state("Another backup is being made."),
        BackupError::Store(error) => {
            tracing::warn!(%error, "a backup could not be begun");
            let detail = format!("The database cannot be copied now: {error}.");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }
}

async fn write(engine: Engine, backup: Backup, writer: Writer) {
    let began = Instant::now();
    let head = head(&engine, &backup);
    match writer.write(&head, &backup).await {
        Ok(end) => {
            // Before the archive's end is told, as its receiver may confirm it at once then.
            if let Err(error) = engine.note_handed_out(&backup).await {
                tracing::warn!(%error, "a backup cannot be confirmed");
            }
            log_end(&head, &end, began);
        }
        Err(why) => {
            tracing::error!(error = %why, taken_at = head.taken_at, "a backup broke off");
            if !matches!(why, Unfinished::Abandoned) {
                writer.break_off(&why).await;
            }
        }
    }
}

fn head(engine: &Engine, backup: &Backup) -> Head {
    let kind = if engine.settings().live { "real" } else { "sandbox" };
    Head {
        format: FORMAT,
        waypost: env!("CARGO_PKG_VERSION").to_owned(),
        layout: backup.layout(),
        taken_at: backup.taken_at().rfc3339(),
        taken_at_ms: backup.taken_at().0,
        upstream_kind: kind.to_owned(),
        master_key: engine.vault().fingerprint(),
        database_bytes: backup.database_size(),
    }
}

fn log_end(head: &Head, end: &End, began: Instant) {
    tracing::info!(
        taken_at = head.taken_at,
        database_bytes = head.database_bytes,
        media_files = end.media_files,
        media_bytes = end.media_bytes,
        ms = began.elapsed().as_millis(),
        "backup handed out"
    );
    let (lost, damaged) = (end.lost.count, end.damaged.count);
    if lost + damaged > 0 {
        tracing::error!(lost, damaged, "media files are lost or damaged on this disk");
    }
}

/// What is held back since a restore: it waited to be sent when the backup was made, and may have
/// been sent since.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldBack)]
pub(crate) struct HeldBackView {
    /// Messages, all of them `unknown`.
    messages: u64,
    /// Broadcasts, all of them paused.
    broadcasts: Vec<String>,
}

/// Shows what is held back since a restore.
#[utoipa::path(get, path = "/waypost/v1/held-back", tag = "backups",
    responses((status = 200, body = HeldBackView)))]
pub(crate) async fn show_held_back(
    State(app): State<App>,
    access: Access,
) -> Result<Json<HeldBackView>, Problem> {
    access.require_installation()?;
    let held = app.engine.held_back().await?;
    let broadcasts = held.broadcasts.iter().map(|(_, id)| id.to_string()).collect();
    Ok(Json(HeldBackView { messages: held.messages, broadcasts }))
}

/// What is to be done with what is held back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldBackInput {
    /// `send`: into the queue again, flagged as possible duplicates. `leave`: messages stay
    /// `unknown` and broadcasts paused.
    action: HeldBackAction,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeldBackAction {
    Send,
    Leave,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldBackDone {
    /// Messages that are in the queue again, without those of broadcasts.
    resumed: u64,
    /// Broadcasts that run again.
    resumed_broadcasts: u64,
}

/// Sends what is held back since a restore, or leaves it as it is. A broadcast that is left may be
/// resumed later like any other that is paused.
#[utoipa::path(post, path = "/waypost/v1/held-back", tag = "backups", request_body = HeldBackInput,
    responses((status = 200, body = HeldBackDone)))]
pub(crate) async fn settle_held_back(
    State(app): State<App>,
    access: Access,
    body: JsonObject,
) -> Result<Json<HeldBackDone>, Problem> {
    access.require_installation()?;
    let resumed = match body.read::<HeldBackInput>()?.action {
        HeldBackAction::Send => app.engine.resume_held_back().await?,
        HeldBackAction::Leave => {
            app.engine.forget_held_back().await?;
            Resumed::default()
        }
    };
    let Resumed { messages, broadcasts } = resumed;
    tracing::info!(messages, broadcasts, "nothing is held back for a restore any more");
    Ok(Json(HeldBackDone { resumed: messages, resumed_broadcasts: broadcasts }))
}
