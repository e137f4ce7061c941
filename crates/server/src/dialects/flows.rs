//! Forms (flows) and the samples of templates: what dialects ask of the upstream's own library.

use waypost_dialects::{Managed, Task};
use waypost_domain::{ErrorKind, Failure, OrgId};
use waypost_engine::{FlowChange, FlowDefinition, FlowDraft, Upload};

use crate::App;

/// Does one of the tasks that concern forms and samples.
pub(super) async fn carry_out(
    app: &App,
    org_id: &OrgId,
    task: Task,
    upload: Option<Upload>,
) -> Result<Managed, Failure> {
    let engine = &app.engine;
    match task {
        Task::UploadTemplateSample { mime_type, filename } => {
            let file = upload.ok_or_else(no_file)?;
            let handle = engine.upload_template_sample(org_id, None, file, mime_type, filename);
            Ok(Managed::TemplateSample(handle.await?))
        }
        Task::CreateFlow { number, name, categories, json } => {
            let definition = definition(json, upload).ok_or_else(no_file)?;
            let draft = FlowDraft { name, categories, definition };
            let flow = engine.create_flow(org_id, number.as_deref(), draft).await?;
            Ok(Managed::Flow(flow))
        }
        Task::UpdateFlow { flow, name, categories, json } => {
            let change = FlowChange { name, categories, definition: definition(json, upload) };
            Ok(Managed::Flow(engine.update_flow(org_id, &flow, change).await?))
        }
        Task::PublishFlow { flow } => {
            engine.publish_flow(org_id, &flow).await?;
            Ok(Managed::Done)
        }
        Task::PreviewFlow { flow } => {
            let (known, preview) = engine.flow_preview(org_id, &flow).await?;
            Ok(Managed::FlowPreview {
                upstream_id: known.upstream_id,
                preview_url: preview.url,
                expires_at: preview.expires_at,
            })
        }
        Task::ListFlows { number } => {
            Ok(Managed::Flows(engine.flows(org_id, number.as_deref()).await?))
        }
        // The other tasks are done elsewhere.
        _ => Err(Failure::new(ErrorKind::Unavailable, "There is no such task.")),
    }
}

fn definition(json: Option<Vec<u8>>, upload: Option<Upload>) -> Option<FlowDefinition> {
    json.map(FlowDefinition::Json).or_else(|| upload.map(FlowDefinition::File))
}

fn no_file() -> Failure {
    Failure::new(ErrorKind::MissingField, "The form has no file.").at("file")
}
