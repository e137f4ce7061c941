//! `/{number}/block_users`: people whom a business blocks, named by number or by business-scoped id
//! (reference §8). What a block does to sending: `messages.rs`.

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::entropy::trace_id;
use crate::errors::{Answer, Failure, GraphError, json_response};
use crate::paging::page;
use crate::state::State;
use crate::validate::{check_product, is_user_id, phone_digits};

const CALL_MAX: usize = 1_000;
const BLOCKED_MAX: usize = 64_000;
const SOME_FAILED: &str =
    "Failed to block some users, see the block_users response list for details";

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
    let rows: Vec<_> = rows.collect();
    let answer = page(
        call,
        &rows,
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
            let person = match self.find_to_change(number, input, by, adds) {
                Ok(person) => person,
                Err(why) => {
                    let error = json!({"code": why.code, "message": why.title,
                        "error_data": {"details": why.details}});
                    failed.push(json!({"input": input, "errors": [error]}));
                    continue;
                }
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
            "type": "OAuthException", "code": 139_100,
            "error_data": {"details": SOME_FAILED}, "fbtrace_id": trace_id()});
        json_response(400, &answer)
    }

    /// The person whom a call may block or unblock, or why it may not. Whose window is open counts
    /// as somebody who wrote, also where it was open from the start.
    fn find_to_change(
        &self,
        number: u32,
        input: &str,
        by: BlockedBy,
        adds: bool,
    ) -> Result<u32, Failure> {
        let address = match by {
            BlockedBy::Phone => phone_digits(input),
            BlockedBy::UserId => is_user_id(input).then(|| input.to_owned()),
        };
        let no_address = || Failure::new(131_009, "This is no phone number and no user id.");
        let found = self.people.find(&address.ok_or_else(no_address)?);
        if !adds {
            return found.ok_or_else(|| Failure::new(131_009, "The user is not blocked."));
        }
        let wrote = |person: &u32| {
            let chat = self.chats.get(&(number, *person));
            chat.is_some_and(|chat| chat.is_open(self.now_ms()))
        };
        let silent = || Failure {
            title: "Re-engagement required".into(),
            ..Failure::new(131_047, "The user did not write in the last 24 hours.")
        };
        let person = found.filter(wrote).ok_or_else(silent)?;
        let blocked = &self.number(number).blocked;
        if blocked.len() >= BLOCKED_MAX && !blocked.contains_key(&person) {
            let details = format!("{BLOCKED_MAX} users are blocked already.");
            return Err(Failure::new(139_101, details));
        }
        Ok(person)
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
