//! Forms: created empty, then defined, then published (Meta's "Flows API").

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use serde_json::{Map, Value, json};
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::ports::{Account, CallError, FlowPreview, FlowUpstream, UpstreamFlow};

use crate::account::next_cursor;
use crate::client::{CloudApi, MAX_PAGE_BYTES, MAX_REPLY_BYTES, segment};
use crate::form::Form;
use crate::reply::id_text;

/// Forms that are asked for at once.
const PAGE_LIMIT: u32 = 100;
/// Pages that are read.
const MAX_PAGES: usize = 100;
const FIELDS: &str = "id,name,status,categories";

#[async_trait]
impl FlowUpstream for CloudApi {
    async fn create_flow(
        &self,
        account: &Account,
        name: &str,
        categories: &[String],
    ) -> Result<String, CallError> {
        let path = format!("/{}/flows", segment(&account.waba_id));
        let body = json!({"name": name, "categories": categories});
        let made = self.call(account, Method::POST, &path, Some(&body), MAX_REPLY_BYTES).await?;
        id_text(&made["id"]).ok_or_else(|| unreadable("made the flow and gave no id for it"))
    }

    async fn change_flow(
        &self,
        account: &Account,
        flow_id: &str,
        name: Option<&str>,
        categories: Option<&[String]>,
    ) -> Result<(), CallError> {
        let mut change = Map::new();
        change.extend(name.map(|name| ("name".to_owned(), json!(name))));
        change.extend(categories.map(|them| ("categories".to_owned(), json!(them))));
        let change = Value::Object(change);
        self.of_flow(account, Method::POST, flow_id, "", Some(&change)).await.map(drop)
    }

    async fn define_flow(
        &self,
        account: &Account,
        flow_id: &str,
        json: Bytes,
    ) -> Result<(), CallError> {
        let form = Form::new()
            .field("name", "flow.json")
            .field("asset_type", "FLOW_JSON")
            .file("application/json", "flow.json");
        let size = json.len() as u64;
        let file = stream::once(async move { Ok(json) }).boxed();
        let path = format!("/{}/assets", segment(flow_id));
        self.post_form(account, &path, form, file, size).await.map(drop).map_err(of_missing_flow)
    }

    async fn publish_flow(&self, account: &Account, flow_id: &str) -> Result<(), CallError> {
        let nothing = json!({});
        let published = self.of_flow(account, Method::POST, flow_id, "/publish", Some(&nothing));
        published.await.map(drop)
    }

    async fn delete_flow(&self, account: &Account, flow_id: &str) -> Result<(), CallError> {
        self.of_flow(account, Method::DELETE, flow_id, "", None).await.map(drop)
    }

    async fn read_flow(&self, account: &Account, flow_id: &str) -> Result<UpstreamFlow, CallError> {
        let rest = format!("?fields={FIELDS}");
        let shown = self.of_flow(account, Method::GET, flow_id, &rest, None).await?;
        flow(&shown).ok_or_else(|| unreadable("shows a flow without id and name"))
    }

    async fn flow_preview(
        &self,
        account: &Account,
        flow_id: &str,
    ) -> Result<FlowPreview, CallError> {
        let rest = "?fields=preview.invalidate(false)";
        let shown = self.of_flow(account, Method::GET, flow_id, rest, None).await?;
        let text = |name: &str| shown["preview"][name].as_str().map(str::to_owned);
        let url = text("preview_url").ok_or_else(|| unreadable("gave no address of a preview"))?;
        Ok(FlowPreview { url, expires_at: text("expires_at").unwrap_or_default() })
    }

    async fn flows(&self, account: &Account) -> Result<Vec<UpstreamFlow>, CallError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let waba = segment(&account.waba_id);
            let mut path = format!("/{waba}/flows?fields={FIELDS}&limit={PAGE_LIMIT}");
            if let Some(after) = &after {
                path.push_str("&after=");
                path.push_str(&segment(after));
            }
            let page = self.call(account, Method::GET, &path, None, MAX_PAGE_BYTES).await?;
            let entries = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            found.extend(entries.iter().filter_map(flow));
            let next = next_cursor(&page);
            if next.is_none() || next == after || entries.is_empty() {
                break;
            }
            after = next;
        }
        Ok(found)
    }
}

impl CloudApi {
    async fn of_flow(
        &self,
        account: &Account,
        method: Method,
        flow_id: &str,
        rest: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let path = format!("/{}{rest}", segment(flow_id));
        let called = self.call(account, method, &path, body, MAX_REPLY_BYTES).await;
        called.map_err(of_missing_flow)
    }
}

/// An object that does not exist is the form.
fn of_missing_flow(mut error: CallError) -> CallError {
    let fault = error.failure.upstream.as_ref();
    let is_missing = fault.is_some_and(|it| (it.code, it.subcode) == (Some(100), Some(33)));
    if is_missing {
        error.failure.kind = ErrorKind::FlowNotFound;
        "WhatsApp does not have this flow.".clone_into(&mut error.failure.message);
    }
    error
}

fn unreadable(what: &str) -> CallError {
    let failure = Failure::new(ErrorKind::UpstreamError, format!("The upstream {what}."));
    CallError { failure, class: RetryClass::BackOffFew }
}

fn flow(entry: &Value) -> Option<UpstreamFlow> {
    let words = |value: &Value| {
        let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    Some(UpstreamFlow {
        id: id_text(&entry["id"])?,
        name: entry["name"].as_str()?.to_owned(),
        status: entry["status"].as_str().unwrap_or("DRAFT").to_owned(),
        categories: words(&entry["categories"]),
    })
}
