//! Templates and numbers: the calls that manage an account. Lists are read page by page under
//! named bounds; a page's `next` URL is never called, since it could lead the token elsewhere.

use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;
use waypost_domain::Timestamp;
use waypost_domain::template::Template;
use waypost_engine::ports::{Account, CallError, NumberInfo};

use crate::client::{CloudApi, MAX_PAGE_BYTES, MAX_REPLY_BYTES, segment};
use crate::reply::id_text;

/// Templates that are asked for at once.
const PAGE_LIMIT: &str = "100";
/// Pages that are read; a verified business account has at most 6,000 templates.
const MAX_PAGES: usize = 100;
const TEMPLATE_FIELDS: &str = "id,name,language,status,category,parameter_format,components";
const NUMBER_FIELDS: &str = "id,display_phone_number,verified_name,quality_rating,status,\
    whatsapp_business_manager_messaging_limit";

impl CloudApi {
    pub(crate) async fn list_templates(
        &self,
        account: &Account,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Template>, CallError> {
        let mut templates = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let path = templates_path(
                account,
                &[
                    ("fields", Some(TEMPLATE_FIELDS)),
                    ("limit", Some(PAGE_LIMIT)),
                    ("name", name),
                    ("after", after.as_deref()),
                ],
            );
            let page = self.call(account, Method::GET, &path, None, MAX_PAGE_BYTES).await?;
            let entries = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            templates.extend(entries.iter().filter_map(|entry| template(entry, account, now)));
            let next = next_cursor(&page);
            if next.is_none() || next == after || entries.is_empty() {
                break;
            }
            after = next;
        }
        // Meta's filter also finds names that merely contain the one asked for.
        templates.retain(|template| name.is_none_or(|name| template.name == name));
        Ok(templates)
    }

    pub(crate) async fn remove_template(
        &self,
        account: &Account,
        name: &str,
        template_id: Option<&str>,
    ) -> Result<(), CallError> {
        let pairs = [("name", Some(name)), ("hsm_id", template_id)];
        let path = templates_path(account, &pairs);
        self.call(account, Method::DELETE, &path, None, MAX_REPLY_BYTES).await.map(drop)
    }

    pub(crate) async fn register_number(
        &self,
        account: &Account,
        pin: &str,
    ) -> Result<(), CallError> {
        let path = format!("/{}/register", segment(&account.phone_number_id));
        let body = json!({"messaging_product": "whatsapp", "pin": pin});
        self.call(account, Method::POST, &path, Some(&body), MAX_REPLY_BYTES).await.map(drop)
    }

    pub(crate) async fn read_number(&self, account: &Account) -> Result<NumberInfo, CallError> {
        let path = format!("/{}?fields={NUMBER_FIELDS}", segment(&account.phone_number_id));
        let number = self.call(account, Method::GET, &path, None, MAX_REPLY_BYTES).await?;
        let text = |name: &str| number[name].as_str().map(str::to_owned);
        Ok(NumberInfo {
            display_phone_number: text("display_phone_number"),
            verified_name: text("verified_name"),
            quality_rating: text("quality_rating"),
            status: text("status"),
            people_a_day: text("whatsapp_business_manager_messaging_limit")
                .and_then(|tier| people_a_day(&tier)),
        })
    }
}

/// Of a tier such as `TIER_250`, `TIER_2K` or `TIER_UNLIMITED`.
fn people_a_day(tier: &str) -> Option<u32> {
    let size = tier.strip_prefix("TIER_")?;
    match size.strip_suffix('K') {
        Some(thousands) => thousands.parse::<u32>().ok()?.checked_mul(1_000),
        None => size.parse().ok(),
    }
}

fn templates_path(account: &Account, pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/{}/message_templates?{}", segment(&account.waba_id), query.finish())
}

/// Where the next page begins: there is one only where Meta gives its URL.
pub(crate) fn next_cursor(page: &Value) -> Option<String> {
    page["paging"]["next"].as_str()?;
    page["paging"]["cursors"]["after"].as_str().map(str::to_owned)
}

/// A list's entry; `None` where it lacks what makes a template.
fn template(entry: &Value, account: &Account, now: Timestamp) -> Option<Template> {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    Some(Template {
        id: id_text(&entry["id"])?,
        waba_id: account.waba_id.clone(),
        name: text("name")?,
        language: text("language")?,
        status: text("status")?,
        category: text("category").unwrap_or_default(),
        parameter_format: text("parameter_format"),
        components: entry["components"].as_array().cloned().unwrap_or_default(),
        synced_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_says_how_many_people() {
        for (tier, people) in [
            ("TIER_250", Some(250)),
            ("TIER_2000", Some(2_000)),
            ("TIER_10K", Some(10_000)),
            ("TIER_100K", Some(100_000)),
            ("TIER_UNLIMITED", None),
            ("", None),
        ] {
            assert_eq!(people_a_day(tier), people, "{tier}");
        }
    }
}
