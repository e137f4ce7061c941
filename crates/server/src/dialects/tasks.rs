//! What dialects ask for beside sending: stored files, consents, the log and templates. Forms are
//! in `flows`.

use axum::response::Response;
use waypost_dialects::{Manage, Managed, Task};
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, MediaId, OrgId};
use waypost_engine::{Ask, Upload};

use super::{consents, flows};
use crate::App;
use crate::public_media::inert_file;

/// What came of a task.
pub(super) enum TaskDone {
    /// To be told in the dialect's words.
    Told { managed: Managed, replayed: bool },
    /// A file's bytes.
    File(Response),
}

impl TaskDone {
    /// What was done just now.
    pub(super) const fn told(managed: Managed) -> Self {
        Self::Told { managed, replayed: false }
    }
}

/// Does a task for a caller who may act for its organisation.
pub(super) async fn carry_out(
    app: &App,
    ask: Ask<Manage>,
    upload: Option<Upload>,
) -> Result<TaskDone, Failure> {
    let Ask { caller, route, idempotency, command: Manage { org_id, task }, .. } = ask;
    if !caller.may_act_for(&org_id) || app.engine.directory().org(&org_id).is_none() {
        let message = "The organisation does not exist or is not this key's.";
        return Err(Failure::new(ErrorKind::OrgForbidden, message));
    }
    match (task, idempotency) {
        (Task::FetchMedia { media_id }, _) => fetch_media(app, &org_id, &media_id).await,
        (Task::RecordConsent { entries }, Some(key)) => {
            consents::record_once(app, &org_id, (route, key), entries).await
        }
        (task, _) => told(app, &org_id, task, upload).await.map(TaskDone::told),
    }
}

async fn told(
    app: &App,
    org_id: &OrgId,
    task: Task,
    upload: Option<Upload>,
) -> Result<Managed, Failure> {
    match task {
        Task::FetchMedia { .. } => Ok(Managed::Media),
        Task::RemoveMedia { media_id } => {
            let removed = app.engine.delete_media(org_id, &media_id).await?;
            removed.then_some(Managed::Done).ok_or_else(no_media)
        }
        Task::RecordConsent { entries } => {
            let any_new = app.engine.record_consents(org_id, entries).await?;
            Ok(Managed::ConsentRecorded { any_new })
        }
        Task::FindConsent { phone } => {
            Ok(Managed::Consent(app.engine.find_consent(org_id, &phone).await?))
        }
        Task::ListMessages { page, size } => {
            let (messages, total) = app.engine.store().message_page(org_id, page, size).await?;
            Ok(Managed::Messages { messages, total })
        }
        Task::ListTemplates { number, name } => {
            templates(app, org_id, number.as_deref(), name.as_deref()).map(Managed::Templates)
        }
        Task::CreateTemplate { number, template } => {
            let created = app.engine.create_template(org_id, Some(&number), template, None);
            Ok(Managed::TemplateCreated(created.await?))
        }
        Task::EditTemplate { number, template_id, name, change } => {
            let template = template_with_id(app, org_id, &number, &template_id)?;
            keep_name(&template, name.as_deref())?;
            app.engine.edit_template(org_id, &template, change).await?;
            Ok(Managed::Done)
        }
        task @ (Task::UploadTemplateSample { .. }
        | Task::CreateFlow { .. }
        | Task::UpdateFlow { .. }
        | Task::PublishFlow { .. }
        | Task::PreviewFlow { .. }
        | Task::ListFlows(_)) => flows::carry_out(app, org_id, task, upload).await,
    }
}

async fn fetch_media(app: &App, org_id: &OrgId, media_id: &MediaId) -> Result<TaskDone, Failure> {
    let (record, bytes) = app.engine.open_media(org_id, media_id).await?.ok_or_else(no_media)?;
    Ok(TaskDone::File(inert_file(&record, bytes)))
}

fn no_media() -> Failure {
    Failure::new(ErrorKind::MediaNotFound, "There is no such file, or it is no longer kept.")
}

/// The templates of one number's business account, or of all of the organisation's.
fn templates(
    app: &App,
    org_id: &OrgId,
    number: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Template>, Failure> {
    let directory = app.engine.directory();
    let numbers = match number {
        Some(number) => vec![directory.sender(org_id, Some(number))?],
        None => directory.numbers(org_id),
    };
    let mut accounts: Vec<&str> = numbers.iter().map(|number| number.waba_id.as_str()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mut templates: Vec<Template> =
        accounts.into_iter().flat_map(|waba_id| directory.templates(waba_id)).collect();
    templates.retain(|template| name.is_none_or(|name| template.name == name));
    if templates.is_empty()
        && let Some(name) = name
    {
        let message = format!("There is no template named {name}.");
        return Err(Failure::new(ErrorKind::TemplateNotFound, message));
    }
    Ok(templates)
}

fn template_with_id(
    app: &App,
    org_id: &OrgId,
    number: &str,
    id: &str,
) -> Result<Template, Failure> {
    let number = app.engine.directory().sender(org_id, Some(number))?;
    app.engine.directory().template_with_id(&number.waba_id, id).ok_or_else(|| {
        let message = format!("There is no template with the id {id}.");
        Failure::new(ErrorKind::TemplateNotFound, message)
    })
}

/// The upstream never changes a name, so that another one would be lost without a word.
fn keep_name(template: &Template, name: Option<&str>) -> Result<(), Failure> {
    if name.is_none_or(|name| name == template.name) {
        return Ok(());
    }
    let message =
        format!("name must be {}, that of this template: it cannot change.", template.name);
    Err(Failure::new(ErrorKind::InvalidValue, message).at("name"))
}
