//! A dialect's command on its way to the engine, and what comes back.

use std::time::Duration;

use axum::response::Response;
use waypost_dialects::{Command, IdempotencyScope, Outcome, Route};
use waypost_domain::directory::ApiKey;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::{Ask, StoreFile};

use super::Mounted;
use super::receive::Decoded;
use super::tasks::{self, TaskDone};
use crate::{App, auth};

/// What became of a command.
pub(super) enum Done {
    /// To be told in the dialect's words.
    Outcome { outcome: Outcome, replayed: bool },
    /// A file's bytes, the same in every dialect.
    File(Response),
}

impl Done {
    fn new(outcome: Outcome, replayed: bool) -> Self {
        Self::Outcome { outcome, replayed }
    }
}

impl Mounted {
    /// Has a command done.
    pub(super) async fn carry_out(
        self,
        app: &App,
        key: &ApiKey,
        route: &'static Route,
        decoded: Decoded,
    ) -> Result<Done, Failure> {
        // Given back when this is over: until then the engine may hold what was decoded.
        let _share = decoded.share;
        app.rates.take(key, app.engine.now())?;
        let info = self.dialect.info();
        let ask = Ask {
            caller: auth::caller(key),
            dialect: info.id,
            route: match info.idempotency_scope {
                IdempotencyScope::Path => route.path,
                IdempotencyScope::Dialect => info.id,
            },
            idempotency: decoded.idempotency,
            idempotency_wait: Duration::from_secs(info.idempotency_wait_s.into()),
            awaits_unknown: info.awaits_unknown,
            conflicts_first: info.conflicts_first,
            command: (),
        };
        match decoded.command {
            Command::SendMessage(send) => {
                let answer = app.engine.send(with(ask, *send)).await?;
                Ok(Done::new(Outcome::Sent(answer.outcome), answer.replayed))
            }
            Command::Broadcast(broadcast) => {
                let deadline_s = info.broadcast_deadline_s;
                let answer = app.engine.broadcast(with(ask, *broadcast), deadline_s).await?;
                Ok(Done::new(Outcome::Broadcast(answer.outcome), answer.replayed))
            }
            Command::UploadMedia(upload) => {
                let file = StoreFile {
                    org_id: upload.org_id,
                    mime_type: upload.mime_type,
                    filename: upload.filename,
                    number: None,
                };
                let bytes = decoded.upload.ok_or_else(no_file)?;
                let answer = Box::pin(app.engine.finish_upload(bytes, with(ask, file))).await?;
                Ok(Done::new(Outcome::Uploaded(answer.outcome), answer.replayed))
            }
            Command::Submit(submit) => {
                let answer = app.engine.submit(with(ask, *submit), info.refused_at_once).await?;
                Ok(Done::new(Outcome::Submitted(answer.outcome), answer.replayed))
            }
            Command::Manage(manage) => {
                let task = tasks::carry_out(app, with(ask, *manage), decoded.upload);
                // Rare and large: sends have no room for it.
                Ok(match Box::pin(task).await? {
                    TaskDone::Told { managed, replayed } => {
                        Done::new(Outcome::Managed(Box::new(managed)), replayed)
                    }
                    TaskDone::File(response) => Done::File(response),
                })
            }
        }
    }
}

fn no_file() -> Failure {
    Failure::new(ErrorKind::MissingField, "The form has no file.").at("file")
}

fn with<T>(ask: Ask<()>, command: T) -> Ask<T> {
    Ask {
        caller: ask.caller,
        dialect: ask.dialect,
        route: ask.route,
        idempotency: ask.idempotency,
        idempotency_wait: ask.idempotency_wait,
        awaits_unknown: ask.awaits_unknown,
        conflicts_first: ask.conflicts_first,
        command,
    }
}
