//! One body for each operation that takes one, ready to be sent to an installation that has the
//! sandbox's demo or any other directory. The page offers them; a test sends them.

use serde_json::{Value, json};

/// The example for an operation, by the name of its handler; `None` for those without a body, and
/// for forms.
pub(super) fn of(operation: &str, content_type: &str) -> Option<Value> {
    match content_type {
        "application/json" => of_directory(operation).or_else(|| of_traffic(operation)),
        "text/csv" => Some("phone,name,tags\n+15550007777,Gina,vip;paris\n".into()),
        "application/x-ndjson" => {
            Some("{\"phone\": \"+15550007777\", \"name\": \"Gina\"}\n".into())
        }
        _ => None,
    }
}

fn of_directory(operation: &str) -> Option<Value> {
    Some(match operation {
        "create_org" => json!({"name": "Acme Trading", "time_zone": "+08:00"}),
        "update_org" => json!({"default_language": "en_US", "window_policy": "hold"}),
        "create_user" | "update_user" => json!({"name": "Mary"}),
        "create_customer" => json!({"phone": "+15550007777", "name": "Gina", "opt_in": true}),
        "update_customer" => json!({"name": "Gina", "tags": ["vip"]}),
        "create_number" => json!({"display_phone": "+15550008888",
            "phone_number_id": "100000000000008", "waba_id": "100000000000002"}),
        "update_number" => json!({"throughput_per_s": 80, "aliases": ["shop"]}),
        "register_number" => json!({"pin": "123456"}),
        "create_key" => json!({"name": "Shop", "scopes": ["messages:send", "media"]}),
        "update_key" => json!({"rate_limit": 100, "expires_at": "2040-01-31T00:00:00Z"}),
        "create_provider" => json!({"name": "shop-files", "allowed_hosts": ["files.example.com"],
            "scheme": "bearer", "secret": "the-token"}),
        "update_provider" => json!({"allowed_hosts": ["files.example.com", "cdn.example.com"]}),
        _ => return None,
    })
}

fn of_traffic(operation: &str) -> Option<Value> {
    Some(match operation {
        "create_template" => json!({"name": "order_shipped", "language": "en_US",
            "category": "UTILITY", "components": [{"type": "BODY",
                "text": "Your order {{1}} is on its way.", "example": {"body_text": [["A-17"]]}}]}),
        "edit_template" => json!({"components": [{"type": "BODY",
            "text": "Your order {{1}} has left us.", "example": {"body_text": [["A-17"]]}}]}),
        "send_message" => json!({"to": "+15550001111", "type": "text", "text": {"body": "Hello"}}),
        "retry_messages" | "cancel_messages" => {
            json!({"since": "2026-01-31T00:00:00Z", "dry_run": true})
        }
        "create_broadcast" => json!({"template": {"name": "hello_world"}}),
        "create_webhook" => json!({"url": "https://crm.example.com/whatsapp/events",
            "events": ["message.delivered", "message.failed"]}),
        "update_webhook" => json!({"disabled": false}),
        "rotate_secret" => json!({"overlap_s": 86_400}),
        "replay_webhook" => json!({"dead": true}),
        "replay_callbacks" => json!({"state": "dead"}),
        "settle_held_back" => json!({"action": "leave"}),
        _ => return None,
    })
}
