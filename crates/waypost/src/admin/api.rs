//! The running gateway's management API as the client commands use it: where it is, which key opens
//! it, which organisation is meant, and what its refusals say.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::cli::gateway::Gateway;
use crate::config::{Secret, without_slash};
use crate::data_dir::{self, ADMIN_ENV};
use crate::http_client::{Answer, Call, HttpClient, Lines, Opened, is_untrusted};
use crate::stdout::printable;

/// How long one call may take. An import's part is the longest.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How many entries are asked for at once.
const PAGE_ENTRIES: u32 = 100;
/// How much of an answer that is no problem document is quoted, in characters.
const QUOTED_CHARS: usize = 200;

/// What to do where nobody answers.
const UNREACHED: &str =
    "cannot reach the gateway; is it running (waypost serve)? Use --url if elsewhere";

/// What to do where a certificate is shown that is not trusted.
const UNTRUSTED: &str = "something answers there, but its certificate is not trusted for this name: \
    use --url with a name in the certificate, and an authority that this machine trusts";

/// The management API of one gateway.
pub(crate) struct Api {
    http: HttpClient,
    base: Url,
    key: Secret,
    org: Option<String>,
}

/// Some entries of a list.
pub(crate) struct Listed {
    /// The entries.
    pub(crate) data: Vec<Value>,
    /// Where the list goes on.
    pub(crate) next: Option<String>,
}

impl Api {
    /// Finds the gateway and the key: as given, else from the data folder.
    ///
    /// # Errors
    /// Neither given nor found, or no valid address.
    pub(crate) fn new(gateway: &Gateway, data_dir: &Path) -> anyhow::Result<Self> {
        Self::patient(gateway, data_dir, TIME_LIMIT)
    }

    /// The same, for calls that may take longer.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn patient(
        gateway: &Gateway,
        data_dir: &Path,
        time_limit: Duration,
    ) -> anyhow::Result<Self> {
        let (url, key) = credentials(gateway, data_dir)?;
        let base = Url::parse(&url).with_context(|| format!("`{url}` is no address"))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            bail!("`{url}` is no address such as http://127.0.0.1:8080");
        }
        Ok(Self { http: HttpClient::new(time_limit)?, base, key, org: gateway.org.clone() })
    }

    /// The organisation that is meant: as given, the key's own, or the only one there is.
    ///
    /// # Errors
    /// None or several, and none was named.
    pub(crate) async fn org(&self) -> anyhow::Result<String> {
        if let Some(org) = &self.org {
            return Ok(org.clone());
        }
        if let Some(org) = self.get(&["me"]).await?["org_id"].as_str() {
            return Ok(org.to_owned());
        }
        let orgs = self.list(&["orgs"], &[], 2, None).await?;
        match orgs.data.as_slice() {
            [] => bail!("there is no organisation yet: waypost admin orgs create NAME"),
            [only] => Ok(id_of(only)?.to_owned()),
            _ => bail!("there are several organisations (waypost admin orgs list): use --org"),
        }
    }

    /// Reads one resource.
    ///
    /// # Errors
    /// No answer, or a refusal in the gateway's words.
    pub(crate) async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        read(&self.call(Method::GET, self.url(path, &[])?, None).await?)
    }

    /// Makes something, or has something done; without a body where there is nothing to say.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post(&self, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        self.write(Method::POST, path, body).await
    }

    /// Has something done that arguments say more of.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post_with(
        &self,
        path: &[&str],
        arguments: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        read(&self.call(Method::POST, self.url(path, arguments)?, None).await?)
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.write(Method::PATCH, path, Some(body)).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn delete(&self, path: &[&str]) -> anyhow::Result<()> {
        self.write(Method::DELETE, path, None).await.map(|_| ())
    }

    /// Sends a part of an import.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post_file(
        &self,
        path: &[&str],
        content_type: &'static str,
        body: Vec<u8>,
    ) -> anyhow::Result<Value> {
        let body = Some((content_type, Bytes::from(body)));
        read(&self.call(Method::POST, self.url(path, &[])?, body).await?)
    }

    /// Reads a list, page by page, up to `limit` entries.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn list(
        &self,
        path: &[&str],
        filters: &[(&str, &str)],
        limit: u32,
        after: Option<&str>,
    ) -> anyhow::Result<Listed> {
        let mut listed = Listed { data: Vec::new(), next: after.map(str::to_owned) };
        let mut wanted = limit;
        while wanted > 0 {
            let page_limit = wanted.min(PAGE_ENTRIES).to_string();
            let mut query = filters.to_vec();
            query.push(("limit", &page_limit));
            query.extend(listed.next.as_deref().map(|after| ("after", after)));
            let mut page = read(&self.call(Method::GET, self.url(path, &query)?, None).await?)?;
            let Value::Array(entries) = page["data"].take() else { bail!("not a list: {page}") };
            wanted = wanted.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            let is_empty = entries.is_empty();
            listed.data.extend(entries);
            listed.next = page["next"].as_str().map(str::to_owned);
            if is_empty || listed.next.is_none() {
                break;
            }
        }
        Ok(listed)
    }

    /// Opens a stream of server-sent events. The inner error is a refusal, in the gateway's words.
    ///
    /// # Errors
    /// No answer.
    pub(super) async fn open(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<anyhow::Result<Lines>> {
        let url = self.url(path, query)?;
        let call = Call { method: Method::GET, url, bearer: Some(&self.key), body: None };
        match self.http.open(call, "text/event-stream").await.map_err(unreached)? {
            Opened::Stream(lines) => Ok(Ok(lines)),
            Opened::Answer(answer) if answer.status.is_server_error() => bail!(refusal(&answer)),
            Opened::Answer(answer) => Ok(Err(anyhow!(refusal(&answer)))),
        }
    }

    /// Has something made that comes as a file.
    ///
    /// # Errors
    /// No answer, or a refusal in the gateway's words.
    pub(crate) async fn download(
        &self,
        path: &[&str],
        accept: &'static str,
    ) -> anyhow::Result<Lines> {
        let url = self.url(path, &[])?;
        let call = Call { method: Method::POST, url, bearer: Some(&self.key), body: None };
        match self.http.open(call, accept).await.map_err(unreached)? {
            Opened::Stream(pieces) => Ok(pieces),
            Opened::Answer(answer) => bail!(refusal(&answer)),
        }
    }

    async fn write(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(|value| ("application/json", Bytes::from(value.to_string())));
        read(&self.call(method, self.url(path, &[])?, body).await?)
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<(&'static str, Bytes)>,
    ) -> anyhow::Result<Answer> {
        let call = Call { method, url, bearer: Some(&self.key), body };
        self.http.call(call).await.map_err(unreached)
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(["waypost", "v1"]).extend(path),
            Err(()) => bail!("`{}` is no base address", self.base),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

fn unreached(error: anyhow::Error) -> anyhow::Error {
    let remedy = if is_untrusted(&error) { UNTRUSTED } else { UNREACHED };
    error.context(remedy)
}

/// The id of something the gateway answered with.
///
/// # Errors
/// There is none.
pub(crate) fn id_of(value: &Value) -> anyhow::Result<&str> {
    value["id"].as_str().context("the gateway's answer names no id")
}

fn credentials(gateway: &Gateway, data_dir: &Path) -> anyhow::Result<(String, Secret)> {
    let from_folder = || data_dir::read_variables(data_dir, ADMIN_ENV);
    if let (Some(url), Some(key)) = (&gateway.url, &gateway.key) {
        return Ok((url.clone(), Secret::new(key)));
    }
    let file = from_folder()?.with_context(|| {
        format!(
            "there is no {} in {}: start the gateway once, name its folder with --data-dir, \
             or give --url and --key",
            ADMIN_ENV,
            data_dir.display()
        )
    })?;
    let known_url = file.get("WAYPOST_URL").cloned().unwrap_or_default();
    let url = gateway.url.clone().unwrap_or_else(|| known_url.clone());
    let key = match &gateway.key {
        Some(key) => key.clone(),
        // One gateway's key is not shown to another.
        None if same_address(&url, &known_url) => {
            file.get("WAYPOST_ADMIN_KEY").cloned().unwrap_or_default()
        }
        None => bail!("give --key: the one in {} is for {known_url}", data_dir.display()),
    };
    Ok((url, Secret::new(key)))
}

fn same_address(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => without_slash(&one) == without_slash(&other),
        _ => false,
    }
}

fn read(answer: &Answer) -> anyhow::Result<Value> {
    if !answer.status.is_success() {
        bail!("{}", refusal(answer));
    }
    if answer.body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    answer.json().context("the answer is not JSON; is this address a gateway's?")
}

/// A refusal in plain words: what, why, which fields.
fn refusal(answer: &Answer) -> String {
    let Some(problem) = answer.json().filter(|value| value["title"].is_string()) else {
        let text = String::from_utf8_lossy(&answer.body);
        let quoted: String = text.chars().take(QUOTED_CHARS).collect();
        return format!("the gateway answered {}: {}", answer.status, quoted.trim());
    };
    let word = |key: &str| problem[key].as_str().unwrap_or_default();
    let mut text = word("title").to_owned();
    let faults = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    // Where it only says what is wrong with a field, the field's line says it.
    let is_told = faults.iter().any(|fault| fault["message"] == problem["detail"]);
    if !is_told && !word("detail").is_empty() {
        text = format!("{text}: {}", word("detail"));
    }
    for fault in faults {
        let part = |key: &str| fault[key].as_str().unwrap_or_default();
        text.push_str(&format!("\n  {}: {}", part("field"), part("message")));
    }
    if answer.status == StatusCode::UNAUTHORIZED {
        text.push_str("\nCheck --key, or the admin.env of the folder in --data-dir.");
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gateway(url: Option<&str>, key: Option<&str>) -> Gateway {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Gateway { url: own(url), key: own(key), org: None, json: false }
    }

    #[test]
    fn a_key_of_the_data_folder_is_used_only_for_its_own_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let file = "# For clients.\nWAYPOST_URL=http://127.0.0.1:8080\nWAYPOST_ADMIN_KEY=mine\n";
        std::fs::write(folder.path().join(ADMIN_ENV), file).unwrap();
        let elsewhere = Some("https://elsewhere.example.com");
        for (url, key, wanted) in [
            (None, None, Some(("http://127.0.0.1:8080", "mine"))),
            (Some("http://127.0.0.1:8080/"), None, Some(("http://127.0.0.1:8080/", "mine"))),
            (None, Some("k"), Some(("http://127.0.0.1:8080", "k"))),
            (elsewhere, Some("k"), Some(("https://elsewhere.example.com", "k"))),
            (elsewhere, None, None),
        ] {
            let found = credentials(&gateway(url, key), folder.path());
            let found = found.ok().map(|(url, key)| (url, key.expose().to_owned()));
            let wanted = wanted.map(|(url, key)| (url.to_owned(), key.to_owned()));
            assert_eq!(found, wanted, "{url:?} {key:?}");
        }
        let nowhere = folder.path().join("nowhere");
        let error = credentials(&gateway(None, None), &nowhere).unwrap_err().to_string();
        assert!(error.contains("start the gateway once"), "{error}");
    }

    #[test]
    fn ids_cannot_leave_their_place_in_the_path() {
        let api = Api::new(&gateway(Some("http://h:1/base/"), Some("k")), Path::new("x")).unwrap();
        for (path, wanted) in [
            (&["orgs", "a/b?c#d"][..], "http://h:1/base/waypost/v1/orgs/a%2Fb%3Fc%23d"),
            (&["orgs", "a", "users", "x y"], "http://h:1/base/waypost/v1/orgs/a/users/x%20y"),
        ] {
            assert_eq!(api.url(path, &[]).unwrap().as_str(), wanted);
        }
        let url = api.url(&["orgs"], &[("limit", "2"), ("after", "a&b")]).unwrap();
        assert_eq!(url.query(), Some("limit=2&after=a%26b"));
    }

    #[test]
    fn a_refusal_is_told_plainly() {
        let problem = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_value",
            "detail": "The name is missing.", "errors": [{"field": "name", "message": "is \u{1b}[1mwanted"}]
        });
        let same = json!({
            "title": "Bad Request", "detail": "too long",
            "errors": [{"field": "text.body", "message": "too long"}]
        });
        for (status, body, wanted) in [
            (400, same.to_string(), "Bad Request\n  text.body: too long"),
            (400, problem.to_string(), "Bad Request: The name is missing.\n  name: is ?[1mwanted"),
            (502, "<html>".to_owned(), "the gateway answered 502 Bad Gateway: <html>"),
            (
                401,
                r#"{"title":"Unauthorized"}"#.to_owned(),
                "Unauthorized\nCheck --key, or the admin.env of the folder in --data-dir.",
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: Bytes::from(body) };
            assert_eq!(read(&answer).unwrap_err().to_string(), wanted);
        }
    }
}
