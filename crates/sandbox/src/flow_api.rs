//! Flow management: create, list, read, change, upload of the JSON, publish, deprecate, delete.
//! What a flow is, is told in `flows`.

use std::sync::Arc;

use axum::response::Response;
use http::Method;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::config::APP_ID;
use crate::entropy;
use crate::errors::{Answer, GraphError, json_response};
use crate::flows::{CATEGORIES, Definition, FLOWS_MAX, Flow, FlowStatus};
use crate::form::Form;
use crate::numbers::describe_account;
use crate::paging::page;
use crate::state::State;
use crate::template_api::select;

/// How long the address of a preview is valid.
const PREVIEW_MS: i64 = 30 * 86_400_000;
const NAME_MAX_CHARS: usize = 200;
/// What a look-up names when it asks for no fields.
const DEFAULT_FIELDS: &str = "id,name,status,categories,validation_errors";

fn success() -> Answer<Response> {
    Ok(json_response(200, &json!({"success": true})))
}

/// `/{waba}/flows`.
pub(crate) async fn of_account(sandbox: &Sandbox, mut call: Call, waba: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let state = sandbox.state();
            let fields = call.query("fields").unwrap_or(DEFAULT_FIELDS);
            let found: Vec<&Flow> = state.flows.of_waba(waba).collect();
            let describe = |flow: &&Flow| select(describe(&state, flow), Some(fields));
            Ok(json_response(200, &page(&call, &found, |flow| &flow.id, describe)?))
        }
        Method::POST => {
            let form = call.form().await?;
            sandbox.state().create_flow(waba, &form)
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

/// `/{flow}` and its edges.
pub(crate) async fn one(
    sandbox: &Sandbox,
    mut call: Call,
    id: &str,
    edge: &str,
) -> Answer<Response> {
    match (edge, call.method.clone()) {
        ("", Method::GET) => {
            let base_url = call.base_url();
            let answer = sandbox.state().read_flow(id, call.query("fields"), &base_url)?;
            Ok(json_response(200, &answer))
        }
        ("", Method::POST) => {
            let form = call.form().await?;
            sandbox.state().change_flow(id, &form.parameters)
        }
        ("", Method::DELETE) => sandbox.state().delete_flow(id),
        ("", _) => Err(GraphError::wrong_method("GET, POST, DELETE")),
        ("assets", Method::GET) => {
            let asset = json!({"name": "flow.json", "asset_type": "FLOW_JSON",
                "download_url": format!("{}/_sandbox/flows/{id}", call.base_url())});
            let state = sandbox.state();
            let has_json = state.flows.get(id).is_some_and(|flow| flow.definition.is_some());
            let found: Vec<Value> = has_json.then_some(asset).into_iter().collect();
            let page =
                page(&call, &found, |asset| asset["name"].as_str().unwrap_or(""), Value::clone);
            Ok(json_response(200, &page?))
        }
        ("assets", Method::POST) => {
            let form = call.form().await?;
            sandbox.state().upload_flow(id, &form)
        }
        ("assets", _) => Err(GraphError::wrong_method("GET, POST")),
        ("publish", Method::POST) => sandbox.state().publish_flow(id),
        ("deprecate", Method::POST) => sandbox.state().deprecate_flow(id),
        ("publish" | "deprecate", _) => Err(GraphError::wrong_method("POST")),
        (other, _) => Err(GraphError::unknown_path(&format!("/{other}"))),
    }
}

fn describe(state: &State, flow: &Flow) -> Value {
    let definition = flow.definition.as_ref().map(|definition| &definition.json);
    let member = |name: &str| definition.map_or(&Value::Null, |json| &json[name]);
    let health = |kind: &str, id: &str| json!({"entity_type": kind, "id": id, "can_send_message": "AVAILABLE"});
    let waba = state.waba(flow.waba);
    let mut view = json!({
        "id": flow.id,
        "name": flow.name,
        "status": flow.status.name(),
        "categories": flow.categories,
        "validation_errors": flow.errors(),
        "json_version": member("version"),
        "data_api_version": member("data_api_version"),
        "endpoint_uri": flow.endpoint_uri,
        "data_channel_uri": flow.endpoint_uri,
        "updated_at": graph_time(flow.updated_at_ms),
        "whatsapp_business_account": describe_account(state, flow.waba),
        "application": {"id": APP_ID, "name": "Waypost sandbox"},
        "health_status": {"can_send_message": "AVAILABLE",
            "entities": [health("FLOW", &flow.id), health("WABA", &waba.id), health("APP", APP_ID)]},
    });
    if let Some(object) = view.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    view
}

/// The time as Graph writes it: the offset without a colon.
fn graph_time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string())
        .unwrap_or_default()
}

fn check_name(parameters: &Map<String, Value>) -> Answer<&str> {
    let name = parameters.get("name").and_then(Value::as_str).unwrap_or("").trim();
    if (1..=NAME_MAX_CHARS).contains(&name.chars().count()) {
        return Ok(name);
    }
    Err(GraphError::parameter(format!("name has 1 to {NAME_MAX_CHARS} characters.")))
}

/// An array, or a string that holds one.
fn check_categories(value: &Value) -> Answer<Vec<String>> {
    let wrong = || {
        let details = format!("categories must be an array of: {}.", CATEGORIES.join(", "));
        GraphError::parameter(details)
    };
    let parsed: Value = match value.as_str() {
        Some(text) => serde_json::from_str(text).map_err(|_| wrong())?,
        None => value.clone(),
    };
    let list = parsed.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    list.iter()
        .map(|category| {
            let name = category.as_str().filter(|name| CATEGORIES.contains(name));
            name.map(str::to_owned).ok_or_else(wrong)
        })
        .collect()
}

/// The JSON that came along, as a parameter or as a file.
fn definition_of(form: &Form) -> Answer<Option<Definition>> {
    let text = match (&form.file, form.parameters.get("flow_json")) {
        (Some(bytes), _) => std::str::from_utf8(bytes)
            .map_err(|_| GraphError::parameter("The file must be UTF-8."))?
            .to_owned(),
        (None, Some(Value::String(text))) => text.clone(),
        (None, Some(value)) if value.is_object() => value.to_string(),
        (None, Some(_)) => {
            return Err(GraphError::parameter("flow_json must be a string of JSON."));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Definition::read(&text)))
}

impl State {
    fn flow_mut(&mut self, id: &str) -> Answer<&mut Flow> {
        self.flows.get_mut(id).ok_or_else(|| GraphError::unknown_object(id))
    }

    fn check_flow_name(&self, waba: u32, name: &str, own_id: &str) -> Answer<()> {
        match self.flows.named(waba, name) {
            Some(other) if *other.id != *own_id => {
                let details = "Flow name is not unique within the WhatsApp Business Account.";
                Err(GraphError::parameter(details).with_subcode(4_016_019))
            }
            _ => Ok(()),
        }
    }

    fn create_flow(&mut self, waba: u32, form: &Form) -> Answer<Response> {
        let parameters = &form.parameters;
        let name = check_name(parameters)?.to_owned();
        self.check_flow_name(waba, &name, "")?;
        let categories = check_categories(parameters.get("categories").unwrap_or(&Value::Null))?;
        if self.flows.of_waba(waba).count() >= FLOWS_MAX {
            return Err(GraphError::parameter("The account has too many flows."));
        }
        let text = |name: &str| parameters.get(name).and_then(Value::as_str);
        let definition = match (definition_of(form)?, text("clone_flow_id")) {
            (Some(definition), _) => Some(definition),
            (None, Some(source)) => {
                let source = self.flows.get(source).filter(|flow| flow.waba == waba);
                let unknown = || GraphError::parameter("clone_flow_id names no flow.");
                source.ok_or_else(unknown)?.definition.clone()
            }
            (None, None) => None,
        };
        let id = self.flows.next_id();
        let endpoint_uri = text("endpoint_uri").map(str::to_owned);
        let errors = definition.as_ref().map(|definition| definition.errors.clone());
        let status = FlowStatus::Draft;
        let flow = Flow {
            id: Arc::clone(&id),
            waba,
            name,
            status,
            categories,
            endpoint_uri,
            definition,
            preview: None,
            updated_at_ms: self.now_ms(),
        };
        self.flows.insert(flow);
        let publishes = parameters
            .get("publish")
            .is_some_and(|value| *value == Value::Bool(true) || *value == *"true");
        if publishes {
            let published = self.publish_flow(&id);
            if published.is_err() {
                self.flows.remove(&id);
                return published;
            }
        }
        let mut answer = json!({"id": id, "success": true});
        if let Some(errors) = errors {
            answer["validation_errors"] = errors.into();
        }
        Ok(json_response(200, &answer))
    }

    fn read_flow(&mut self, id: &str, fields: Option<&str>, base_url: &str) -> Answer<Value> {
        let fields = fields.unwrap_or(DEFAULT_FIELDS);
        let now_ms = self.now_ms();
        let flow = self.flow_mut(id)?;
        let wants_new = fields.contains("preview.invalidate(true)");
        let is_valid = flow.preview.as_ref().is_some_and(|(_, until_ms)| now_ms < *until_ms);
        if fields.contains("preview") && (wants_new || !is_valid) {
            let mut random = [0_u8; 12];
            entropy::fill(&mut random);
            flow.preview = Some((entropy::lower_hex(&random), now_ms + PREVIEW_MS));
        }
        let preview = flow.preview.clone();
        let flow = self.flows.get(id).ok_or_else(|| GraphError::unknown_object(id))?;
        let mut view = describe(self, flow);
        if let Some((token, until_ms)) = preview {
            view["preview"] = json!({
                "preview_url": format!("{base_url}/?flow_preview={id}&token={token}"),
                "expires_at": graph_time(until_ms),
            });
        }
        Ok(select(view, Some(fields)))
    }

    fn change_flow(&mut self, id: &str, parameters: &Map<String, Value>) -> Answer<Response> {
        let waba = self.flow_mut(id)?.waba;
        if parameters.contains_key("name") {
            self.check_flow_name(waba, check_name(parameters)?, id)?;
        }
        let categories = parameters.get("categories").map(check_categories).transpose()?;
        let now_ms = self.now_ms();
        let flow = self.flow_mut(id)?;
        if parameters.contains_key("name") {
            flow.name = check_name(parameters)?.to_owned();
        }
        flow.categories = categories.unwrap_or_else(|| std::mem::take(&mut flow.categories));
        if let Some(uri) = parameters.get("endpoint_uri").and_then(Value::as_str) {
            flow.endpoint_uri = Some(uri.to_owned());
        }
        flow.updated_at_ms = now_ms;
        success()
    }

    fn upload_flow(&mut self, id: &str, form: &Form) -> Answer<Response> {
        let asset = form.parameters.get("asset_type").and_then(Value::as_str);
        if asset != Some("FLOW_JSON") {
            return Err(GraphError::parameter("asset_type must be FLOW_JSON."));
        }
        if form.file.is_none() {
            return Err(GraphError::parameter("The parameter file is required."));
        }
        let definition = definition_of(form)?;
        let now_ms = self.now_ms();
        let flow = self.flow_mut(id)?;
        if flow.status != FlowStatus::Draft {
            return Err(GraphError::new(139_001, "A flow that is published cannot be changed."));
        }
        flow.definition = definition;
        flow.updated_at_ms = now_ms;
        let errors = flow.errors();
        Ok(json_response(200, &json!({"success": true, "validation_errors": errors})))
    }

    fn publish_flow(&mut self, id: &str) -> Answer<Response> {
        let flow = self.flow_mut(id)?;
        if flow.status != FlowStatus::Draft {
            return Err(GraphError::new(139_002, "Only a draft can be published."));
        }
        if flow.definition.is_none() {
            return Err(GraphError::new(139_002, "The flow has no JSON yet."));
        }
        if !flow.errors().is_empty() {
            return Err(GraphError::new(139_002, "The flow has validation errors."));
        }
        self.set_flow_status(id, FlowStatus::Published);
        success()
    }

    fn deprecate_flow(&mut self, id: &str) -> Answer<Response> {
        if self.flow_mut(id)?.status != FlowStatus::Published {
            return Err(GraphError::new(139_003, "Only a published flow can be deprecated."));
        }
        self.set_flow_status(id, FlowStatus::Deprecated);
        success()
    }

    fn delete_flow(&mut self, id: &str) -> Answer<Response> {
        if self.flow_mut(id)?.status != FlowStatus::Draft {
            return Err(GraphError::new(139_004, "Only a draft can be deleted."));
        }
        self.flows.remove(id);
        success()
    }

    /// Changes the status of a flow and tells the business.
    pub(crate) fn set_flow_status(&mut self, id: &str, status: FlowStatus) {
        let now_ms = self.now_ms();
        let Some(flow) = self.flows.get_mut(id) else { return };
        let (old, new) = (flow.status.name(), status.name());
        flow.status = status;
        flow.updated_at_ms = now_ms;
        let waba = flow.waba;
        let value = json!({
            "event": "FLOW_STATUS_CHANGE",
            "message": format!("Flow {} changed status from {old} to {new}", flow.name),
            "flow_id": flow.id,
            "old_status": old,
            "new_status": new,
        });
        self.tell_waba(waba, "flows", &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times_as_graph_does() {
        assert_eq!(graph_time(1_768_392_000_000), "2026-01-14T12:00:00+0000");
    }
}
