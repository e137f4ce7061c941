//! `/{number}/block_users`: people whom a business blocks, named by number or by business-scoped id
//! (reference §8). What a block does to sending: `messages.rs`.

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::entropy::trace_id;
use crate::errors::{Answer, GraphError, json_response};
use crate::paging::page;
use crate::state::State;
use crate::validate::{check_product, is_user_id, phone_digits};

const CALL_MAX: usize = 1_000;
const BLOCKED_MAX: usize = 64_000;

/// By what somebody was named when they were blocked: answers name them likewise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BlockedBy {
    Phone,
    UserId,
}

/// Lists, blocks or unblocks.
pub(crate) async fn block_users(
    sandbox: &Sandbox,
    mut call: Call,
    number: u32,
) -> Answer<Response> {
    let adds = match call.method {
        Method::GET => return list(sandbox, &call, number),
        Method::POST => true,
        Method::DELETE => false,
        _ => return Err(GraphError::wrong_method("GET, POST, DELETE")),
    };
    let parameters = call.parameters().await?;
    check_product(&parameters)?;
    let users = parameters.get("block_users").and_then(Value::as_array);
    let users = users.filter(|list| (1..=CALL_MAX).contains(&list.len()));
    let users = users.ok_or_else(|| GraphError::parameter("block_users holds 1 to 1000 users."))?;
    Ok(sandbox.state().change_blocked(number, users, adds))
}

fn list(sandbox: &Sandbox, call: &Call, number: u32) -> Answer<Response> {
    let state = sandbox.state();
    let blocked = state.number(number).blocked.iter();
    let rows = blocked.map(|(person, by)| (state.people.get(*person).address(), *person, *by));
    let answer = page(
        call,
        rows.collect(),
        |(address, ..)| *address,
        |(_, person, by)| {
            let mut row = state.named(*person, *by);
            row["messaging_product"] = "whatsapp".into();
            // The reference has no such member here; clients read these rows like those of a block.
            row["input"] = row.get("wa_id").or(row.get("user_id")).cloned().unwrap_or_default();
            row
        },
    )?;
    Ok(json_response(200, &answer))
}

/// What an entry of a call names somebody by; a number wins over an id.
fn input(user: &Value) -> (&str, BlockedBy) {
    let text = |name: &str| user.get(name).and_then(Value::as_str);
    match (text("user"), text("user_id")) {
        (None, Some(user_id)) => (user_id, BlockedBy::UserId),
        (phone, _) => (phone.unwrap_or(""), BlockedBy::Phone),
    }
}

impl State {
    /// Blocks people who wrote in the last 24 hours, or unblocks people.
    fn change_blocked(&mut self, number: u32, users: &[Value], adds: bool) -> Response {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for user in users {
            let (input, by) = input(user);
            let found = match by {
                BlockedBy::Phone => {
                    phone_digits(input).and_then(|digits| self.people.find(&digits))
                }
                BlockedBy::UserId if is_user_id(input) => self.people.find(input),
                BlockedBy::UserId => None,
            };
            let Some(person) = found.filter(|person| !adds || self.may_block(number, *person))
            else {
                let error = json!({"code": 131_047, "message": "Re-engagement required",
                    "error_data": {"details": "The user did not write in the last 24 hours."}});
                failed.push(json!({"input": input, "errors": [error]}));
                continue;
            };
            let blocked = &mut self.number_mut(number).blocked;
            if adds {
                blocked.insert(person, by);
            } else {
                blocked.remove(&person);
            }
            let mut row = self.named(person, by);
            row["input"] = input.into();
            done.push(row);
        }
        let member = if adds { "added_users" } else { "removed_users" };
        let mut answer = json!({"messaging_product": "whatsapp", "block_users": {member: done}});
        if failed.is_empty() {
            return json_response(200, &answer);
        }
        answer["block_users"]["failed_users"] = Value::Array(failed);
        answer["error"] = json!({"message": "(#139100) Failed to block/unblock some users",
            "type": "OAuthException", "code": 139_100, "fbtrace_id": trace_id()});
        json_response(400, &answer)
    }

    /// Whose window is open counts as somebody who wrote, also where it was open from the start.
    fn may_block(&self, number: u32, person: u32) -> bool {
        let chat = self.chats.get(&(number, person));
        chat.is_some_and(|chat| chat.is_open(self.now_ms()))
            && self.number(number).blocked.len() < BLOCKED_MAX
    }

    /// Somebody as an answer names them: by an id alone where they were named by one.
    fn named(&self, person: u32, by: BlockedBy) -> Value {
        let person = self.people.get(person);
        match by {
            BlockedBy::Phone => json!({"wa_id": person.address()}),
            BlockedBy::UserId => json!({"user_id": person.user_id}),
        }
    }
}
