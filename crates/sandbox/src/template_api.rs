//! Template management: list, get, create, edit, delete (reference §7). What a template must look
//! like is checked in `validate`.

use std::sync::Arc;

use axum::response::Response;
use http::Method;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::agenda::Task;
use crate::call::Call;
use crate::errors::{Answer, GraphError, json_response};
use crate::paging::page;
use crate::state::State;
use crate::templates::{Definition, REVIEW_MS, TEMPLATES_MAX, Template};
use crate::validate::{
    NewTemplate, check_category, check_components, check_new_template, check_ttl,
};

const DAY_MS: i64 = 86_400_000;
/// What an edit can change.
const EDITABLE: [&str; 3] = ["components", "category", "message_send_ttl_seconds"];

/// `/{waba}/message_templates`.
pub(crate) async fn of_account(sandbox: &Sandbox, mut call: Call, waba: u32) -> Answer<Response> {
    match call.method {
        Method::GET => list(&sandbox.state(), &call, waba),
        Method::POST => {
            let new = check_new_template(&call.parameters().await?)?;
            sandbox.state().create_template(waba, new)
        }
        Method::DELETE => {
            let parameters = call.parameters().await?;
            sandbox.state().delete_templates(waba, &parameters)
        }
        _ => Err(GraphError::wrong_method("GET, POST, DELETE")),
    }
}

/// `/{template}`.
pub(crate) async fn one(sandbox: &Sandbox, mut call: Call, id: &str) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let state = sandbox.state();
            let template = state.templates.get(id).ok_or_else(|| GraphError::unknown_object(id))?;
            let fields = call.query("fields");
            Ok(json_response(200, &select(template.to_json(), fields)))
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            sandbox.state().edit_template(id, &parameters)
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

/// Keeps the members that `fields` names, and the id.
pub(crate) fn select(value: Value, fields: Option<&str>) -> Value {
    let (Some(fields), Value::Object(object)) = (fields, &value) else { return value };
    // `preview.invalidate(false)` asks for `preview`.
    let bare = |name: &'_ str| name.trim().split('.').next().unwrap_or("").to_owned();
    let names: Vec<String> = fields.split(',').map(bare).collect();
    let kept = object.iter().filter(|(name, _)| *name == "id" || names.contains(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn list(state: &State, call: &Call, waba: u32) -> Answer<Response> {
    let found: Vec<&Template> =
        state.templates.of_waba(waba).filter(|template| is_wanted(template, call)).collect();
    let describe = |template: &&Template| select(template.to_json(), call.query("fields"));
    let mut answer = page(call, &found, |template| &template.id, describe)?;
    if let Some(asked) = call.query("summary") {
        answer["summary"] = summary(state.templates.of_waba(waba).count(), asked);
    }
    Ok(json_response(200, &answer))
}

/// What is asked for of an account's `count` templates; `true` asks for the count alone.
fn summary(count: usize, asked: &str) -> Value {
    let all = json!({
        "total_count": count,
        "message_template_count": count,
        "message_template_limit": TEMPLATES_MAX,
        "are_translations_complete": true,
    });
    let asked = if matches!(asked, "true" | "1") { "total_count" } else { asked };
    select(all, Some(asked))
}

fn is_wanted(template: &Template, call: &Call) -> bool {
    let is = |name: &str, value: &str| {
        call.query(name)
            .is_none_or(|wanted| wanted.split(',').any(|w| w.eq_ignore_ascii_case(value)))
    };
    is("name", &template.name)
        && is("status", &template.status)
        && is("category", &template.category)
        && is("language", &template.language)
}

impl State {
    fn create_template(&mut self, waba: u32, new: NewTemplate) -> Answer<Response> {
        if self.templates.find(waba, &new.name, &new.language).is_some() {
            let details = "Content in this language already exists for this template.";
            return Err(GraphError::parameter(details).with_subcode(2_388_024));
        }
        if self.templates.of_waba(waba).count() >= TEMPLATES_MAX {
            return Err(GraphError::new(2_388_019, "The account has 250 templates already."));
        }
        self.check_samples(&new.components, &Value::Null)?;
        let id = self.templates.next_id();
        let answer = json!({"id": id, "status": "PENDING", "category": new.category});
        self.templates.insert(Template {
            id: Arc::clone(&id),
            waba,
            name: new.name,
            language: new.language,
            status: "PENDING".into(),
            category: new.category,
            previous_category: None,
            parameter_format: new.parameter_format,
            definition: Definition::new(new.components),
            ttl_s: new.ttl_s,
            rejected_reason: None,
            made_at_ms: self.now_ms(),
            edits_ms: Vec::new(),
            pending_since_ms: self.now_ms(),
        });
        let at_ms = self.now_ms() + REVIEW_MS;
        self.plan(at_ms, Task::Review(id));
        Ok(json_response(200, &answer))
    }

    fn edit_template(&mut self, id: &str, parameters: &Map<String, Value>) -> Answer<Response> {
        let now_ms = self.now_ms();
        let unknown = || GraphError::unknown_object(id);
        let template = self.templates.get_mut(id).ok_or_else(unknown)?;
        check_changes_something(parameters)?;
        check_may_edit(template, now_ms)?;
        let before = self.templates.get(id).ok_or_else(unknown)?;
        let category = edited_category(before, parameters)?;
        let ttl_s = check_ttl(parameters, &category)?;
        let components = parameters.get("components");
        if let Some(components) = components {
            check_components(components, &category, &before.parameter_format)?;
            self.check_samples(components, &before.definition.components)?;
        }
        let template = self.templates.get_mut(id).ok_or_else(unknown)?;
        if let Some(components) = components {
            template.definition = Definition::new(components.clone());
        }
        template.ttl_s = ttl_s.or(template.ttl_s);
        if category != template.category {
            template.previous_category = Some(std::mem::replace(&mut template.category, category));
        }
        template.status = "PENDING".into();
        template.pending_since_ms = now_ms;
        template.edits_ms.push(now_ms);
        let id = Arc::clone(&template.id);
        self.plan(now_ms + REVIEW_MS, Task::Review(id));
        Ok(json_response(200, &json!({"success": true})))
    }

    fn delete_templates(&mut self, waba: u32, parameters: &Map<String, Value>) -> Answer<Response> {
        let text = |name: &str| parameters.get(name).and_then(Value::as_str);
        let Some(name) = text("name").filter(|name| !name.is_empty()) else {
            return Err(GraphError::parameter("The parameter name is required."));
        };
        let wanted = text("hsm_id");
        let ids: Vec<Arc<str>> = self
            .templates
            .named(waba, name)
            .filter(|template| wanted.is_none_or(|id| *template.id == *id))
            .map(|template| Arc::clone(&template.id))
            .collect();
        if ids.is_empty() {
            let details = "There is no such message template.";
            return Err(GraphError::parameter(details).with_subcode(2_593_002));
        }
        for id in ids {
            self.templates.remove(&id);
        }
        Ok(json_response(200, &json!({"success": true})))
    }
}

fn check_changes_something(parameters: &Map<String, Value>) -> Answer<()> {
    let is_given = |name: &&str| parameters.get(*name).is_some_and(|value| !value.is_null());
    if EDITABLE.iter().any(is_given) {
        return Ok(());
    }
    Err(GraphError::parameter(format!("An edit needs one of {}.", EDITABLE.join(", "))))
}

/// The category after an edit; that of an approved template stays.
fn edited_category(template: &Template, parameters: &Map<String, Value>) -> Answer<String> {
    let Some(wanted) = parameters.get("category") else { return Ok(template.category.clone()) };
    let wanted = check_category(wanted.as_str().unwrap_or(""))?;
    if template.status == "APPROVED" && wanted != template.category {
        let details = "The category of an approved template cannot be changed.";
        return Err(GraphError::parameter(details));
    }
    Ok(wanted)
}

/// Approved, rejected and paused ones; ten edits in 30 days, one a day once approved.
fn check_may_edit(template: &mut Template, now_ms: i64) -> Answer<()> {
    if !matches!(template.status.as_str(), "APPROVED" | "REJECTED" | "PAUSED") {
        let details = "Only approved, rejected and paused templates can be edited.";
        return Err(GraphError::parameter(details));
    }
    template.edits_ms.retain(|at_ms| now_ms - at_ms < 30 * DAY_MS);
    let today = template.edits_ms.iter().any(|at_ms| now_ms - at_ms < DAY_MS);
    if template.edits_ms.len() >= 10 || (today && template.status == "APPROVED") {
        return Err(GraphError::parameter("The template was edited too often."));
    }
    Ok(())
}
