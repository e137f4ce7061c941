//! Forms (flows) and the samples of templates: what dialects ask of the upstream's own library.

use waypost_dialects::{Managed, Task};
use waypost_domain::manage::FlowsOf;
use waypost_domain::{ErrorKind, Failure, OrgId};
use waypost_engine::{Engine, FlowChange, FlowDefinition, FlowDraft, Upload};

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
        Task::ListFlows(of) => listed(engine, org_id, of).await,
        // The other tasks are done elsewhere.
        _ => Err(Failure::new(ErrorKind::Unavailable, "There is no such task.")),
    }
}

async fn listed(engine: &Engine, org_id: &OrgId, of: FlowsOf) -> Result<Managed, Failure> {
    let id = match of {
        FlowsOf::Org => return engine.flows(org_id, None).await.map(Managed::Flows),
        FlowsOf::Number(number) => {
            return engine.flows(org_id, Some(&number)).await.map(Managed::Flows);
        }
        FlowsOf::NumberOrFlow(word) => match engine.flows(org_id, Some(&word)).await {
            Err(failure) if failure.kind == ErrorKind::NumberNotFound => word,
            flows => return flows.map(Managed::Flows),
        },
    };
    let mut known = engine.flows(org_id, None).await?.into_iter();
    let flow = known.find(|flow| flow.upstream_id == id || flow.id.to_string() == id);
    flow.map(Managed::Flow)
        .ok_or_else(|| Failure::new(ErrorKind::FlowNotFound, format!("There is no flow {id}.")))
}

fn definition(json: Option<Vec<u8>>, upload: Option<Upload>) -> Option<FlowDefinition> {
    json.map(FlowDefinition::Json).or_else(|| upload.map(FlowDefinition::File))
}

fn no_file() -> Failure {
    Failure::new(ErrorKind::MissingField, "The form has no file.").at("file")
}
