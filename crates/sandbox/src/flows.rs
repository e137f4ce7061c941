//! Flows: what is stored of them, their life-cycle and what is wrong with their JSON. Who may call
//! what is decided by `flow_api`; nothing here runs a flow.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

/// Flows of one WABA.
pub const FLOWS_MAX: usize = 1_000;
/// Screens of one flow; Meta's own ceiling is lower.
const SCREENS_MAX: usize = 100;

/// The categories of Meta's documentation.
pub(crate) const CATEGORIES: [&str; 8] = [
    "SIGN_UP",
    "SIGN_IN",
    "APPOINTMENT_BOOKING",
    "LEAD_GENERATION",
    "CONTACT_US",
    "CUSTOMER_SUPPORT",
    "SURVEY",
    "OTHER",
];

/// Where a flow is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowStatus {
    /// Can be changed, and sent with `mode` draft.
    Draft,
    /// Fixed, and can be sent.
    Published,
    /// Cannot be sent any more.
    Deprecated,
    /// Meta found its endpoint broken: cannot be sent.
    Blocked,
    /// The same, but ten messages an hour pass.
    Throttled,
}

impl FlowStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Published => "PUBLISHED",
            Self::Deprecated => "DEPRECATED",
            Self::Blocked => "BLOCKED",
            Self::Throttled => "THROTTLED",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Draft, Self::Published, Self::Deprecated, Self::Blocked, Self::Throttled]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) id: Arc<str>,
    pub(crate) waba: u32,
    pub(crate) name: String,
    pub(crate) status: FlowStatus,
    pub(crate) categories: Vec<String>,
    pub(crate) endpoint_uri: Option<String>,
    pub(crate) definition: Option<Definition>,
    /// Part of the preview's address, and until when it is valid.
    pub(crate) preview: Option<(String, i64)>,
    /// When anything but the preview was changed last.
    pub(crate) updated_at_ms: i64,
}

/// The uploaded JSON of a flow.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) text: Arc<str>,
    /// The same, read; null when it is no JSON.
    pub(crate) json: Arc<Value>,
    /// In the shape of `validation_errors`.
    pub(crate) errors: Vec<Value>,
}

impl Definition {
    /// Reads a file; what is wrong with it ends up in `errors`.
    pub(crate) fn read(text: &str) -> Self {
        let (json, errors) = match serde_json::from_str::<Value>(text) {
            Ok(json) => {
                let errors = problems(&json);
                (json, errors)
            }
            Err(error) => {
                let at = (error.line(), error.column());
                (Value::Null, vec![problem("INVALID_JSON", &error.to_string(), at)])
            }
        };
        Self { text: Arc::from(text), json: Arc::new(json), errors }
    }

    fn has_screen(&self, id: &str) -> bool {
        self.json["screens"].as_array().into_iter().flatten().any(|screen| screen["id"] == *id)
    }
}

impl Flow {
    pub(crate) fn errors(&self) -> &[Value] {
        self.definition.as_ref().map_or(&[], |definition| &definition.errors)
    }

    /// Says why the flow cannot go out as a message, with the code.
    pub(crate) fn check_send(&self, mode: &str, screen: Option<&str>) -> Result<(), (i64, String)> {
        let name = self.status.name();
        match (self.status, mode) {
            (FlowStatus::Blocked, _) => {
                return Err((132_068, "The flow is in the state BLOCKED.".into()));
            }
            (FlowStatus::Throttled, _) => {
                return Err((132_069, "The flow is in the state THROTTLED.".into()));
            }
            (FlowStatus::Draft, "draft") | (FlowStatus::Published, "published") => {}
            _ => {
                let why = format!("A flow in the state {name} cannot be sent in mode {mode}.");
                return Err((131_009, why));
            }
        }
        if let (Some(screen), Some(definition)) = (screen, &self.definition)
            && !definition.has_screen(screen)
        {
            return Err((131_009, format!("The flow has no screen {screen}.")));
        }
        Ok(())
    }
}

fn problem(error: &str, message: &str, (line, column): (usize, usize)) -> Value {
    json!({
        "error": error, "error_type": "FLOW_JSON_ERROR", "message": message,
        "line_start": line, "line_end": line, "column_start": column, "column_end": column,
    })
}

/// What Meta would refuse in a flow's JSON, as far as its frame goes.
fn problems(json: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut tell = |error: &str, message: String| found.push(problem(error, &message, (1, 1)));
    if !json["version"].is_string() {
        tell("MISSING_REQUIRED_PROPERTY", missing("$root", "version"));
    }
    let Some(screens) = json["screens"].as_array().filter(|screens| !screens.is_empty()) else {
        tell("MISSING_REQUIRED_PROPERTY", missing("$root", "screens"));
        return found;
    };
    if screens.len() > SCREENS_MAX {
        tell("TOO_MANY_SCREENS", format!("There are more than {SCREENS_MAX} screens."));
        return found;
    }
    let mut ids = Vec::new();
    for (index, screen) in screens.iter().enumerate() {
        let at = format!("$root/screens/{index}");
        match screen["id"].as_str() {
            None | Some("") => tell("MISSING_REQUIRED_PROPERTY", missing(&at, "id")),
            Some(id) if ids.contains(&id) => {
                tell(
                    "DUPLICATE_SCREEN_ID",
                    format!("The screen id \"{id}\" at \"{at}\" is used twice."),
                );
            }
            Some(id) => ids.push(id),
        }
        if !screen["layout"]["children"].is_array() {
            tell("MISSING_REQUIRED_PROPERTY", missing(&at, "layout"));
        }
    }
    found
}

fn missing(at: &str, name: &str) -> String {
    format!("The required property \"{name}\" is missing at \"{at}\".")
}

/// All flows.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    by_id: HashMap<Arc<str>, Flow>,
    /// Ids in the order of creation.
    order: Vec<Arc<str>>,
    last_id: u64,
}

impl Flows {
    pub(crate) fn new() -> Self {
        Self { last_id: 400_000_000_000_000, ..Self::default() }
    }

    pub(crate) fn next_id(&mut self) -> Arc<str> {
        self.last_id += 1;
        Arc::from(self.last_id.to_string())
    }

    pub(crate) fn insert(&mut self, flow: Flow) {
        self.order.push(Arc::clone(&flow.id));
        self.by_id.insert(Arc::clone(&flow.id), flow);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Flow> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Flow> {
        self.by_id.get_mut(id)
    }

    /// Those of a WABA in the order of creation.
    pub(crate) fn of_waba(&self, waba: u32) -> impl Iterator<Item = &Flow> {
        let all = self.order.iter().filter_map(|id| self.by_id.get(id));
        all.filter(move |flow| flow.waba == waba)
    }

    pub(crate) fn named(&self, waba: u32, name: &str) -> Option<&Flow> {
        self.of_waba(waba).find(|flow| flow.name == name)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.order.retain(|other| **other != *id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_the_json() {
        let screen =
            |id: &str| json!({"id": id, "layout": {"type": "SingleColumnLayout", "children": []}});
        let cases = [
            ("{", vec!["INVALID_JSON"]),
            ("{}", vec!["MISSING_REQUIRED_PROPERTY", "MISSING_REQUIRED_PROPERTY"]),
            (r#"{"version":"6.0","screens":[]}"#, vec!["MISSING_REQUIRED_PROPERTY"]),
            (r#"{"version":"6.0","screens":[{"id":"A"}]}"#, vec!["MISSING_REQUIRED_PROPERTY"]),
            (
                &json!({"version": "6.0", "screens": [screen("A"), screen("A")]}).to_string(),
                vec!["DUPLICATE_SCREEN_ID"],
            ),
            (&json!({"version": "6.0", "screens": [screen("A"), screen("B")]}).to_string(), vec![]),
        ];
        for (text, expected) in cases {
            let errors = Definition::read(text).errors;
            let names: Vec<_> =
                errors.iter().map(|error| error["error"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{text}");
        }
    }

    #[test]
    fn only_drafts_go_out_as_drafts_and_published_ones_as_published() {
        let flow = |status| Flow {
            id: Arc::from("1"),
            waba: 0,
            name: "f".into(),
            status,
            categories: vec![],
            endpoint_uri: None,
            definition: None,
            preview: None,
            updated_at_ms: 0,
        };
        let cases = [
            (FlowStatus::Draft, "draft", 0),
            (FlowStatus::Draft, "published", 131_009),
            (FlowStatus::Published, "published", 0),
            (FlowStatus::Published, "draft", 131_009),
            (FlowStatus::Deprecated, "published", 131_009),
            (FlowStatus::Blocked, "published", 132_068),
            (FlowStatus::Throttled, "published", 132_069),
        ];
        for (status, mode, expected) in cases {
            let code = flow(status).check_send(mode, None).map_or_else(|(code, _)| code, |()| 0);
            assert_eq!(code, expected, "{} {mode}", status.name());
        }
    }
}
