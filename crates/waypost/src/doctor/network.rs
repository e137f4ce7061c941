//! What the doctor sees over the network: the running gateway, the upstream, its token, and the
//! webhook's public address.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use url::Url;
use waypost_domain::Timestamp;

use super::finding::Finding;
use crate::admin::Api;
use crate::cli::gateway::Gateway;
use crate::config::{Config, Secret, UpstreamTarget};
use crate::data_dir::{self, ADMIN_ENV, Variables};
use crate::http_client::{Answer, Call, HttpClient, is_untrusted};

/// How long one call may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How many organisations, and numbers of each, are looked at.
const MAX_LOOKED_AT: u32 = 20;
/// A token that ends sooner is warned about.
const SOON_S: i64 = 7 * 24 * 60 * 60;
/// What the webhook's handshake must send back.
const CHALLENGE: &str = "1158201444";
/// What to do where the gateway's own certificate is not trusted.
const TRUST: &str =
    "set public_url to a name in the certificate, and use an authority that this machine trusts";
/// Meta's code for a token that is no longer good.
const META_CODE_TOKEN: u64 = 190;
/// Meta's sub-code for a token that has expired.
const META_SUBCODE_EXPIRED: u64 = 463;

/// Looks at everything that is reached over the network.
pub(super) async fn examine(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let http = HttpClient::new(TIME_LIMIT)?;
    let known = data_dir::read_variables(&config.data_dir, ADMIN_ENV).ok().flatten();
    let known = known.unwrap_or_default();
    let (mut findings, numbers) = gateway(&http, config, &known).await;
    findings.push(upstream(&http, config, &known).await);
    findings.extend(token(&http, config, &numbers).await);
    findings.extend(webhook(&http, config, &known).await);
    Ok(findings)
}

/// Looks at the gateway. Also returns Meta's ids of its numbers, as far as it tells them.
async fn gateway(
    http: &HttpClient,
    config: &Config,
    known: &Variables,
) -> (Vec<Finding>, Vec<String>) {
    const CHECK: &str = "gateway";
    let local = config.local_url(config.listen);
    let base = known.get("WAYPOST_URL").unwrap_or(&local);
    let Some(ready) = joined(base, "readyz") else { return (Vec::new(), Vec::new()) };
    let answer = match http.call(Call::get(ready)).await {
        Err(error) if is_untrusted(&error) => {
            let found = format!("answers at {base} with a certificate not trusted here: {error:#}");
            return (vec![Finding::warn(CHECK, found, TRUST)], Vec::new());
        }
        Err(error) => {
            let found = format!("is not reached at {base}: {error:#}");
            return (vec![Finding::warn(CHECK, found, start(config))], Vec::new());
        }
        Ok(answer) => answer,
    };
    let mut findings = vec![readiness(base, &answer)];
    if answer.status != StatusCode::OK {
        return (findings, Vec::new());
    }
    match numbers(base, known, config).await {
        Ok(numbers) => {
            let found = format!("admin key accepted, numbers: {}", numbers.len());
            findings.push(Finding::ok("management API", found));
            (findings, numbers)
        }
        Err(error) => {
            let remedy = "see that admin.env in data_dir belongs to the gateway that runs there";
            findings.push(Finding::fail("management API", format!("{error:#}"), remedy));
            (findings, Vec::new())
        }
    }
}

/// How a gateway is started: one that reaches Meta is the system's to run.
fn start(config: &Config) -> &'static str {
    match config.upstream.target {
        UpstreamTarget::Sandbox => "start it: waypost serve",
        UpstreamTarget::Real(_) => {
            "start it: systemctl start waypost; if it does not stay up, journalctl -u waypost says why"
        }
    }
}

fn readiness(base: &str, answer: &Answer) -> Finding {
    const CHECK: &str = "gateway";
    let told = answer.json().unwrap_or_default();
    let part = |name: &str| told[name].as_str().unwrap_or("?").to_owned();
    match answer.status {
        StatusCode::OK => {
            let upstream = told["upstream"]["name"].as_str().unwrap_or("?");
            let found = format!("runs at {base}, version {}, upstream {upstream}", part("version"));
            Finding::ok(CHECK, found)
        }
        StatusCode::SERVICE_UNAVAILABLE => Finding::fail(
            CHECK,
            format!("runs at {base} but cannot work: {}", part("store")),
            "look at its log; most often the disk is full",
        ),
        status => Finding::fail(
            CHECK,
            format!("{base}/readyz answered {status}"),
            "something else listens there: choose another address with --listen",
        ),
    }
}

async fn numbers(base: &str, known: &Variables, config: &Config) -> anyhow::Result<Vec<String>> {
    let gateway = Gateway {
        url: Some(base.to_owned()),
        key: known.get("WAYPOST_ADMIN_KEY").cloned(),
        ..Gateway::default()
    };
    let api = Api::new(&gateway, &config.data_dir)?;
    let orgs = api.list(&["orgs"], &[], MAX_LOOKED_AT, None).await?;
    let mut found = Vec::new();
    for org in orgs.data.iter().filter_map(|org| org["id"].as_str()) {
        let numbers = api.list(&["orgs", org, "numbers"], &[], MAX_LOOKED_AT, None).await?;
        let ids = numbers.data.iter().filter_map(|number| number["phone_number_id"].as_str());
        found.extend(ids.map(str::to_owned));
    }
    Ok(found)
}

async fn upstream(http: &HttpClient, config: &Config, known: &Variables) -> Finding {
    const CHECK: &str = "upstream";
    let name = config.upstream.target.name();
    let base = match (&config.upstream.target, known.get("SANDBOX_URL")) {
        // Where the gateway has its sandbox may have been said on its own command line.
        (UpstreamTarget::Sandbox, Some(url)) => url.clone(),
        _ => upstream_base(config),
    };
    let Some(url) = joined(&base, "") else {
        return Finding::fail(CHECK, format!("{base} is no address"), "set upstream.base_url");
    };
    match (http.call(Call::get(url)).await, &config.upstream.target) {
        // Any answer but a failure of its own shows that it is there.
        (Ok(answer), _) if !answer.status.is_server_error() => {
            Finding::ok(CHECK, format!("{name} answers"))
        }
        (Ok(answer), _) => Finding::fail(
            CHECK,
            format!("{name} answered {}", answer.status),
            "try again later; see metastatus.com for Meta's own state",
        ),
        (Err(_), UpstreamTarget::Sandbox) => Finding::warn(
            CHECK,
            format!("{name} is not running at {base}"),
            "it runs with the gateway: waypost serve",
        ),
        (Err(error), UpstreamTarget::Real(_)) => Finding::fail(
            CHECK,
            format!("{name}: {error:#}"),
            "let this machine connect out on port 443, and check DNS and upstream.base_url",
        ),
    }
}

async fn token(http: &HttpClient, config: &Config, numbers: &[String]) -> Vec<Finding> {
    const CHECK: &str = "access token";
    if config.upstream.target == UpstreamTarget::Sandbox {
        return Vec::new();
    }
    let Some(token) = &config.upstream.access_token else {
        return vec![Finding::warn(
            CHECK,
            "none is configured; only numbers with a token of their own can send",
            "set upstream.access_token to the token of a system user",
        )];
    };
    let mut findings = Vec::new();
    // Without a number the token's owner is asked for: that shows at least whether it is good.
    let anybody = ["me".to_owned()];
    let asked = if numbers.is_empty() { &anybody[..] } else { numbers };
    for id in asked {
        let answer = graph(http, config, token, id, &[]).await;
        findings.push(judge_token(id, answer));
    }
    let debug = graph(http, config, token, "debug_token", &[("input_token", token.expose())]).await;
    findings.extend(debug.ok().and_then(|answer| judge_expiry(&answer, now())));
    findings
}

async fn graph(
    http: &HttpClient,
    config: &Config,
    token: &Secret,
    what: &str,
    query: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let path = format!("{}/{what}", config.upstream.version);
    let mut url = joined(&upstream_base(config), &path)
        .ok_or_else(|| anyhow::anyhow!("upstream.base_url is no address"))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    http.call(Call { method: Method::GET, url, bearer: Some(token), body: None }).await
}

fn judge_token(asked: &str, answer: anyhow::Result<Answer>) -> Finding {
    const CHECK: &str = "access token";
    let owner = if asked == "me" { "its owner" } else { asked };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let remedy = "see what is said of the upstream";
            return Finding::fail(CHECK, format!("not checked: {error:#}"), remedy);
        }
    };
    if answer.status.is_success() {
        return Finding::ok(CHECK, format!("is good for {owner}"));
    }
    let error = answer.json().map(|mut body| body["error"].take()).unwrap_or_default();
    let code = |name: &str| error[name].as_u64();
    let said = error["message"].as_str().unwrap_or("no reason given").to_owned();
    match (code("code"), code("error_subcode")) {
        (Some(META_CODE_TOKEN), Some(META_SUBCODE_EXPIRED)) => Finding::fail(
            CHECK,
            format!("has expired: {said}"),
            "make a new token of a system user (it can be one that never expires) and set upstream.access_token",
        ),
        (Some(META_CODE_TOKEN), _) => Finding::fail(
            CHECK,
            format!("is not valid: {said}"),
            "set upstream.access_token to the token of a system user",
        ),
        _ if asked == "me" => Finding::warn(
            CHECK,
            format!("could not be judged without a number: {said}"),
            "add a number, then run the doctor again",
        ),
        _ => Finding::fail(
            CHECK,
            format!("does not open {owner} ({}): {said}", answer.status),
            "give the system user the business account with whatsapp_business_messaging and whatsapp_business_management, and check the number's phone_number_id",
        ),
    }
}

/// What the upstream tells of the token's end; nothing where it does not tell.
fn judge_expiry(answer: &Answer, now: Timestamp) -> Option<Finding> {
    const CHECK: &str = "token expiry";
    let remedy = "make a new token of a system user and set upstream.access_token";
    let end_s = answer.json()?["data"]["expires_at"].as_i64()?;
    let end = Timestamp::from_seconds(end_s).rfc3339();
    Some(match end_s.saturating_sub(now.seconds()) {
        _ if end_s == 0 => Finding::ok(CHECK, "never"),
        ..=0 => Finding::fail(CHECK, format!("ended on {end}"), remedy),
        1..SOON_S => Finding::warn(CHECK, format!("ends on {end}"), remedy),
        _ => Finding::ok(CHECK, format!("ends on {end}")),
    })
}

async fn webhook(http: &HttpClient, config: &Config, known: &Variables) -> Option<Finding> {
    const CHECK: &str = "webhook";
    let public = config.configured_public_url.as_ref().filter(|url| url.scheme() == "https")?;
    let token = match &config.webhook_verify_token {
        Some(token) => token.clone(),
        None => match known.get("WAYPOST_WEBHOOK_VERIFY_TOKEN") {
            Some(token) => Secret::new(token),
            None => {
                let found = "not checked: the verify token is made on the first start";
                return Some(Finding::warn(CHECK, found, "start the gateway once"));
            }
        },
    };
    let mut url = joined(public.as_str(), "webhooks/meta")?;
    let shown = url.to_string();
    url.query_pairs_mut().extend_pairs([
        ("hub.mode", "subscribe"),
        ("hub.verify_token", token.expose()),
        ("hub.challenge", CHALLENGE),
    ]);
    Some(judge_webhook(&shown, http.call(Call::get(url)).await))
}

fn judge_webhook(shown: &str, answer: anyhow::Result<Answer>) -> Finding {
    const CHECK: &str = "webhook";
    match answer {
        Ok(answer) if answer.status.is_success() && answer.body == CHALLENGE => {
            Finding::ok(CHECK, format!("{shown} answers Meta's handshake"))
        }
        Ok(answer) if answer.status == StatusCode::FORBIDDEN => Finding::fail(
            CHECK,
            format!("{shown} refuses the verify token"),
            "see that the gateway behind public_url has the same webhook.verify_token",
        ),
        Ok(answer) => Finding::fail(
            CHECK,
            format!("{shown} answered {}, not with the handshake", answer.status),
            "let the proxy pass /webhooks/meta to the gateway unchanged",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("{shown}: {error:#}"),
            "point the name to this machine, open port 443, and use a certificate that Meta trusts",
        ),
    }
}

fn upstream_base(config: &Config) -> String {
    config.upstream_base_url(config.sandbox_listen.unwrap_or(config.listen))
}

fn joined(base: &str, path: &str) -> Option<Url> {
    let base = base.trim_end_matches('/');
    Url::parse(&format!("{base}/{path}")).ok()
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::finding::Grade;

    fn answer(status: u16, body: &Value) -> Answer {
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        Answer { status: StatusCode::from_u16(status).unwrap(), body: Bytes::from(body) }
    }

    #[test]
    fn a_token_is_judged_by_what_the_upstream_says() {
        let error = |code: u64, subcode: u64| json!({"error": {"code": code, "error_subcode": subcode, "message": "because"}});
        for (asked, status, body, grade, part) in [
            ("1", 200, json!({"id": "1"}), Grade::Ok, "is good for 1"),
            ("me", 200, json!({"id": "9"}), Grade::Ok, "is good for its owner"),
            ("1", 401, error(190, 463), Grade::Fail, "has expired: because"),
            ("1", 401, error(190, 0), Grade::Fail, "is not valid: because"),
            ("1", 400, error(100, 33), Grade::Fail, "does not open 1"),
            ("me", 400, error(100, 33), Grade::Warn, "could not be judged"),
            ("1", 502, json!("<html>"), Grade::Fail, "does not open 1 (502 Bad Gateway)"),
        ] {
            let finding = judge_token(asked, Ok(answer(status, &body)));
            assert_eq!(finding.result, grade, "{body}");
            assert!(finding.found.contains(part), "{}", finding.found);
        }
        assert_eq!(judge_token("1", Err(anyhow::anyhow!("down"))).result, Grade::Fail);
    }

    #[test]
    fn a_tokens_end_is_told_where_the_upstream_tells_it() {
        let now = Timestamp::from_seconds(1_700_000_000);
        for (end, grade) in [
            (0, Some(Grade::Ok)),
            (1_699_999_999, Some(Grade::Fail)),
            (1_700_000_001, Some(Grade::Warn)),
            (1_700_000_000 + SOON_S, Some(Grade::Ok)),
        ] {
            let body = json!({"data": {"is_valid": true, "expires_at": end}});
            let finding = judge_expiry(&answer(200, &body), now);
            assert_eq!(finding.map(|finding| finding.result), grade, "{end}");
        }
        assert_eq!(judge_expiry(&answer(404, &json!({"error": {}})), now), None);
    }

    #[test]
    fn a_webhook_is_good_only_with_the_challenge_sent_back() {
        for (status, body, grade) in [
            (200, json!(CHALLENGE), Grade::Ok),
            (200, json!("<html>"), Grade::Fail),
            (403, json!(""), Grade::Fail),
            (502, json!(CHALLENGE), Grade::Fail),
        ] {
            let finding = judge_webhook("https://wa.example.com", Ok(answer(status, &body)));
            assert_eq!(finding.result, grade, "{status} {body}");
        }
    }
}
