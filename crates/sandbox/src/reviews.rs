//! Reviews of templates: the status changes, by themselves after a while or by a control call, and
//! the webhook that tells of them (reference §5.5).

use serde_json::{Value, json};

use crate::state::State;
use crate::templates::{REVIEW_MS, Template};

/// The statuses that a control call may set.
pub(crate) const STATUSES: [&str; 8] = [
    "APPROVED",
    "PENDING",
    "REJECTED",
    "PAUSED",
    "DISABLED",
    "FLAGGED",
    "REINSTATED",
    "PENDING_DELETION",
];

impl State {
    /// A review has taken its time: the template is approved, unless reviews wait for a control
    /// call or a later edit began another one.
    pub(crate) fn finish_review(&mut self, id: &str) {
        let now_ms = self.now_ms();
        let is_due = self.limits.auto_review
            && self.templates.get(id).is_some_and(|template| {
                template.status == "PENDING" && template.pending_since_ms + REVIEW_MS <= now_ms
            });
        if is_due {
            self.set_template_status(id, "APPROVED", None);
        }
    }

    /// Changes the status of a template and tells the business.
    pub(crate) fn set_template_status(&mut self, id: &str, status: &str, reason: Option<&str>) {
        let now_ms = self.now_ms();
        let Some(template) = self.templates.get_mut(id) else { return };
        template.status = status.to_owned();
        template.rejected_reason = reason.map(str::to_owned);
        template.pending_since_ms = now_ms;
        let waba = template.waba;
        let value = update(template, status, reason, now_ms);
        self.tell_waba(waba, "message_template_status_update", &value);
    }
}

fn update(template: &Template, status: &str, reason: Option<&str>, now_ms: i64) -> Value {
    let mut value = json!({
        "event": status,
        "message_template_id": template.id.parse::<u64>().unwrap_or(0),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "reason": reason.unwrap_or("NONE"),
        "message_template_category": template.category,
    });
    match status {
        "REJECTED" => {
            value["rejection_info"] = json!({
                "reason": format!("The review found: {}", reason.unwrap_or("NONE")),
                "recommendation": "Change the template and submit it again.",
            });
        }
        "DISABLED" => {
            value["disable_info"] = json!({"disable_date": (now_ms / 1_000).to_string()});
        }
        "PAUSED" => {
            value["other_info"] = json!({"title": "FIRST_PAUSE",
                "description": "The template is paused because of its quality."});
        }
        _ => {}
    }
    value
}
