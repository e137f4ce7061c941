//! Tests of the administrator's commands, from the typed line to the calls the gateway gets.

use clap::FromArgMatches as _;

use super::*;
use crate::cli::{self, Cli, Command};
use crate::fake_server::{FakeServer, Received, untrusted};

/// Runs a command as it is typed, with the gateway's address and a key added.
async fn type_line(gateway: &FakeServer, line: &str) -> anyhow::Result<bool> {
    let words = line.split(' ').map(|word| word.replace('~', " "));
    let url = gateway.url();
    let added = ["--url", &url, "--key", "the-key"].map(str::to_owned);
    let all = ["waypost", "admin"].map(str::to_owned).into_iter().chain(words).chain(added);
    let matches = cli::command().try_get_matches_from(all)?;
    match Cli::from_arg_matches(&matches)?.command {
        Some(Command::Admin(args)) => run(*args, Path::new("/nowhere")).await,
        other => panic!("{other:?}"),
    }
}

fn lines(calls: &[Received]) -> Vec<&str> {
    calls.iter().map(|call| call.line.as_str()).collect()
}

/// Types each line and compares the first call and its body.
async fn check_calls(typed_wanted_body: &[(&str, String, Value)]) {
    for (typed, wanted, body) in typed_wanted_body {
        let (_, path) = wanted.split_once(' ').unwrap();
        // The gateway answers by path, whatever the query.
        let path = path.split('?').next().unwrap();
        let script: Vec<_> = ["GET", "POST", "PATCH", "DELETE"]
            .map(|method| (format!("{method} {path}"), 200, json!({"id": "x"})))
            .to_vec();
        let script: Vec<_> = script
            .iter()
            .map(|(line, status, body)| (line.as_str(), *status, body.clone()))
            .collect();
        let gateway = FakeServer::start(&script).await;
        let done = type_line(&gateway, typed).await;
        assert!(done.unwrap_or_else(|error| panic!("{typed}: {error:#}")), "{typed}");
        let first = &gateway.calls()[0];
        assert_eq!(first.line, *wanted, "{typed}");
        assert_eq!(first.bearer, "the-key");
        let sent = serde_json::from_str(&first.body).unwrap_or(Value::Null);
        assert_eq!(sent, *body, "{typed}");
        assert_eq!(first.content_type.is_empty(), body.is_null(), "{typed}");
    }
}

#[tokio::test]
async fn each_command_makes_the_call_that_the_api_documents() {
    let org = "/waypost/v1/orgs/o";
    check_calls(&[
        (
            "orgs create Acme --id o --time-zone +08:00 --strict-opt-in true --wire-offset pepipost=UTC",
            "POST /waypost/v1/orgs".to_owned(),
            json!({"id": "o", "name": "Acme", "time_zone": "+08:00", "strict_opt_in": true, "wire_offsets": {"pepipost": "UTC"}}),
        ),
        ("orgs get o", format!("GET {org}"), Value::Null),
        (
            "orgs update o --window-policy hold --window-fallback hello",
            format!("PATCH {org}"),
            json!({"window_policy": "hold", "window_fallback": "hello"}),
        ),
        ("orgs delete o", format!("DELETE {org}"), Value::Null),
        ("queues", "GET /waypost/v1/queues".to_owned(), Value::Null),
        (
            "queues resume",
            "POST /waypost/v1/held-back".to_owned(),
            json!({"action": "send"}),
        ),
        (
            "queues leave",
            "POST /waypost/v1/held-back".to_owned(),
            json!({"action": "leave"}),
        ),
        (
            "users create --id u --name A~B --org o",
            format!("POST {org}/users"),
            json!({"id": "u", "name": "A B"}),
        ),
        ("users update u --name C --org o", format!("PATCH {org}/users/u"), json!({"name": "C"})),
        ("users delete u --org o", format!("DELETE {org}/users/u"), Value::Null),
        (
            "customers create +15550001111 --tag a --tag b --opt-in true --opt-in-proof form --org o",
            format!("POST {org}/customers"),
            json!({"phone": "+15550001111", "tags": ["a", "b"], "opt_in": true, "opt_in_proof": "form"}),
        ),
        (
            "customers update c --active false --org o",
            format!("PATCH {org}/customers/c"),
            json!({"active": false}),
        ),
        (
            "numbers update n --errors-as-200 true --org o",
            format!("PATCH {org}/numbers/n"),
            json!({"errors_as_200": true}),
        ),
        (
            "keys create --name crm --scope messages:send --scope media --sends-as assistant --rate-limit 5 --org o",
            format!("POST {org}/api-keys"),
            json!({"name": "crm", "scopes": ["messages:send", "media"], "sends_as": "assistant", "rate_limit": 5}),
        ),
        ("keys revoke k --org o", format!("DELETE {org}/api-keys/k"), Value::Null),
        ("providers get twilio --org o", format!("GET {org}/media-providers/twilio"), Value::Null),
        ("templates sync --org o", format!("POST {org}/templates/sync"), Value::Null),
        ("messages get m --org o", format!("GET {org}/messages/m"), Value::Null),
        ("messages cancel m --org o", format!("POST {org}/messages/m/cancel"), Value::Null),
        ("messages retry m --org o", format!("POST {org}/messages/m/retry"), Value::Null),
        (
            "messages retry m --include-unknown --org o",
            format!("POST {org}/messages/m/retry?include_unknown=true"),
            Value::Null,
        ),
        (
            "messages retry --retryable true --error-code 131016 --number n --broadcast b --since 2030-01-31T00:00:00Z --dry-run --org o",
            format!("POST {org}/messages/retry"),
            json!({"retryable": true, "error_code": "131016", "number_id": "n", "broadcast_id": "b", "since": "2030-01-31T00:00:00Z", "dry_run": true}),
        ),
        (
            "messages retry --status unknown --include-unknown --until 2030-01-31T00:00:00Z --org o",
            format!("POST {org}/messages/retry"),
            json!({"status": "unknown", "until": "2030-01-31T00:00:00Z", "include_unknown": true}),
        ),
        (
            "messages cancel --phone +15550001111 --customer c --org o",
            format!("POST {org}/messages/cancel"),
            json!({"phone": "+15550001111", "customer_id": "c"}),
        ),
        ("templates get 42 --org o", format!("GET {org}/templates/42"), Value::Null),
        ("broadcasts get b --org o", format!("GET {org}/broadcasts/b"), Value::Null),
        ("broadcasts pause b --org o", format!("POST {org}/broadcasts/b/pause"), Value::Null),
        ("broadcasts resume b --org o", format!("POST {org}/broadcasts/b/resume"), Value::Null),
        ("broadcasts cancel b --org o", format!("POST {org}/broadcasts/b/cancel"), Value::Null),
    ])
    .await;
}

#[tokio::test]
async fn what_a_key_s_update_does_not_name_stays() {
    let key = "PATCH /waypost/v1/orgs/o/api-keys/k";
    check_calls(&[
        ("keys update k --disabled true --org o", key.to_owned(), json!({"disabled": true})),
        ("keys update k --rate-limit 5 --org o", key.to_owned(), json!({"rate_limit": 5})),
        ("keys update k --no-rate-limit --org o", key.to_owned(), json!({"rate_limit": null})),
    ])
    .await;
}

#[tokio::test]
async fn each_command_about_callbacks_makes_the_call_that_the_api_documents() {
    let org = "/waypost/v1/orgs/o";
    check_calls(&[
        (
            "webhooks create https://a.example.com/e --id w --shape lipachat --number n --event message.read --org o",
            format!("POST {org}/webhooks"),
            json!({"id": "w", "url": "https://a.example.com/e", "shape": "lipachat", "number": "n", "events": ["message.read"]}),
        ),
        ("webhooks get w --org o", format!("GET {org}/webhooks/w"), Value::Null),
        (
            "webhooks update w --disabled false --every-event --every-number --no-header --org o",
            format!("PATCH {org}/webhooks/w"),
            json!({"disabled": false, "events": [], "number": null, "header": null}),
        ),
        ("webhooks delete w --org o", format!("DELETE {org}/webhooks/w"), Value::Null),
        (
            "webhooks rotate-secret w --overlap-s 60 --org o",
            format!("POST {org}/webhooks/w/rotate-secret"),
            json!({"overlap_s": 60}),
        ),
        (
            "webhooks replay w --dead --org o",
            format!("POST {org}/webhooks/w/replay"),
            json!({"dead": true}),
        ),
        (
            "webhooks replay w --since 2030-01-31T00:00:00Z --until 2030-02-01T00:00:00Z --org o",
            format!("POST {org}/webhooks/w/replay"),
            json!({"since": "2030-01-31T00:00:00Z", "until": "2030-02-01T00:00:00Z"}),
        ),
        (
            "webhooks replay w --event e --org o",
            format!("POST {org}/webhooks/w/replay"),
            json!({"event_id": "e"}),
        ),
        (
            "callbacks replay --server https://a.example.com --message m --event e --org o",
            format!("POST {org}/callbacks/replay"),
            json!({"notify_server": "https://a.example.com", "message_id": "m", "event_id": "e"}),
        ),
        (
            "callbacks replay --webhook w --org o",
            format!("POST {org}/callbacks/replay"),
            json!({"webhook_id": "w"}),
        ),
        ("callbacks replay --all --org o", format!("POST {org}/callbacks/replay"), json!({})),
        ("events get e --org o", format!("GET {org}/events/e"), Value::Null),
    ])
    .await;
}

#[tokio::test]
async fn a_number_is_added_registered_and_subscribed_in_this_order() {
    let at = "/waypost/v1/orgs/o/numbers";
    let gateway = FakeServer::start(&[
        ("POST /waypost/v1/orgs/o/numbers", 201, json!({"id": "n"})),
        ("POST /waypost/v1/orgs/o/numbers/n/register", 204, Value::Null),
        ("POST /waypost/v1/orgs/o/numbers/n/subscribe", 204, Value::Null),
        ("GET /waypost/v1/orgs/o/numbers/n", 200, json!({"id": "n"})),
    ])
    .await;
    let typed = "numbers add +15550009999 --phone-number-id 1 --waba-id 2 --register 123456 --subscribe --org o";
    assert!(type_line(&gateway, typed).await.unwrap());
    let calls = gateway.calls();
    assert_eq!(
        lines(&calls),
        [
            format!("POST {at}"),
            format!("POST {at}/n/register"),
            format!("POST {at}/n/subscribe"),
            format!("GET {at}/n"),
        ]
    );
    let body = |place: usize| serde_json::from_str::<Value>(&calls[place].body).unwrap();
    assert_eq!(
        body(0),
        json!({"display_phone": "+15550009999", "phone_number_id": "1", "waba_id": "2"})
    );
    assert_eq!(body(1), json!({"pin": "123456"}));
}

#[tokio::test]
async fn a_number_that_cannot_be_registered_is_told_with_the_way_on() {
    let gateway = FakeServer::start(&[
        ("POST /waypost/v1/orgs/o/numbers", 201, json!({"id": "n"})),
        (
            "POST /waypost/v1/orgs/o/numbers/n/register",
            400,
            json!({"title": "Bad Request", "detail": "Two step verification PIN mismatch."}),
        ),
    ])
    .await;
    let typed =
        "numbers add +15550009999 --phone-number-id 1 --waba-id 2 --register 123456 --org o";
    let error = format!("{:#}", type_line(&gateway, typed).await.unwrap_err());
    assert!(error.contains("waypost admin numbers update n --register PIN"), "{error}");
    assert!(error.contains("PIN mismatch"), "{error}");
}

#[tokio::test]
async fn the_organisation_is_the_keys_own_or_the_only_one() {
    let users = |org: &str| format!("GET /waypost/v1/orgs/{org}/users");
    let none = json!({"data": [], "next": null});
    let two = json!({"data": [{"id": "a"}, {"id": "b"}], "next": null});
    for (me, orgs, wanted) in [
        (json!({"org_id": "own"}), none.clone(), Ok("own")),
        (json!({"org_id": null}), json!({"data": [{"id": "only"}], "next": null}), Ok("only")),
        (json!({"org_id": null}), none.clone(), Err("there is no organisation yet")),
        (json!({"org_id": null}), two, Err("use --org")),
    ] {
        let (own, only) = (users("own"), users("only"));
        let gateway = FakeServer::start(&[
            ("GET /waypost/v1/me", 200, me),
            ("GET /waypost/v1/orgs", 200, orgs),
            (&own, 200, none.clone()),
            (&only, 200, none.clone()),
        ])
        .await;
        let done = type_line(&gateway, "users list").await;
        match wanted {
            Ok(org) => {
                done.unwrap();
                let calls = gateway.calls();
                let last = lines(&calls).pop().unwrap().to_owned();
                assert_eq!(last, format!("{}?limit=100", users(org)));
            }
            Err(part) => {
                let error = done.unwrap_err().to_string();
                assert!(error.contains(part), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_up_to_the_limit() {
    let page =
        |count: usize, next: Value| json!({"data": vec![json!({"id": "x"}); count], "next": next});
    let gateway = FakeServer::start(&[
        ("GET /waypost/v1/orgs", 200, page(100, json!("c 1"))),
        ("GET /waypost/v1/orgs", 200, page(50, json!("c2"))),
    ])
    .await;
    type_line(&gateway, "orgs list --limit 150 --json").await.unwrap();
    assert_eq!(
        lines(&gateway.calls()),
        ["GET /waypost/v1/orgs?limit=100", "GET /waypost/v1/orgs?limit=50&after=c+1"]
    );
}

#[tokio::test]
async fn filters_are_passed_on() {
    let none = json!({"data": [], "next": null});
    for (typed, wanted) in [
        ("customers list --phone +1 --org o", "customers?phone=%2B1&limit=100"),
        ("customers list --tag vip --limit 7 --org o", "customers?tag=vip&limit=7"),
        (
            "messages list --status failed --customer c --broadcast b --org o",
            "messages?status=failed&customer_id=c&broadcast_id=b&limit=100",
        ),
        (
            "messages list --direction inbound --since 2030-01-31T00:00:00Z --until 2030-02-01T00:00:00Z --order newest --org o",
            "messages?direction=inbound&since=2030-01-31T00%3A00%3A00Z&until=2030-02-01T00%3A00%3A00Z&order=newest&limit=100",
        ),
        ("webhooks list --org o", "webhooks?limit=100"),
        (
            "callbacks list --webhook w --message m --state dead --org o",
            "callbacks?webhook_id=w&message_id=m&state=dead&limit=100",
        ),
        (
            "callbacks list --server https://a.example.com --event e --org o",
            "callbacks?notify_server=https%3A%2F%2Fa.example.com&event_id=e&limit=100",
        ),
        (
            "events list --event message.read --event message.sent --number n --order newest --org o",
            "events?kind=message.read%2Cmessage.sent&number_id=n&order=newest&limit=100",
        ),
    ] {
        let gateway = FakeServer::start(&[
            ("GET /waypost/v1/orgs/o/customers", 200, none.clone()),
            ("GET /waypost/v1/orgs/o/messages", 200, none.clone()),
            ("GET /waypost/v1/orgs/o/webhooks", 200, none.clone()),
            ("GET /waypost/v1/orgs/o/callbacks", 200, none.clone()),
            ("GET /waypost/v1/orgs/o/events", 200, none.clone()),
        ])
        .await;
        type_line(&gateway, typed).await.unwrap();
        assert_eq!(lines(&gateway.calls()), [format!("GET /waypost/v1/orgs/o/{wanted}")]);
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_until_the_gateway_refuses() {
    let at = "GET /waypost/v1/orgs/o/events";
    let part = ": alive\n\nid: 7\nevent: message.sent\ndata: {\"id\":\"e\"}\n\nid: 8\ndata: {}\n\n";
    let gateway = FakeServer::start(&[
        (at, 200, json!(part)),
        (at, 403, json!({"title": "Forbidden", "detail": "The key was revoked."})),
    ])
    .await;
    let typed = "events list --follow --event message.sent --org o";
    let error = type_line(&gateway, typed).await.unwrap_err().to_string();
    assert_eq!(error, "Forbidden: The key was revoked.");
    assert_eq!(
        lines(&gateway.calls()),
        [format!("{at}?kind=message.sent"), format!("{at}?kind=message.sent&after=8")]
    );
}

#[tokio::test]
async fn a_trial_call_that_fails_fails_the_command() {
    for (answer, wanted) in [
        (json!({"status": 204, "error": null}), true),
        (json!({"status": 500, "error": null}), false),
        (json!({"status": null, "error": "no answer"}), false),
    ] {
        let at = "POST /waypost/v1/orgs/o/webhooks/w/test";
        let gateway = FakeServer::start(&[(at, 200, answer)]).await;
        assert_eq!(type_line(&gateway, "webhooks test w --org o").await.unwrap(), wanted);
    }
}

#[test]
fn exactly_one_thing_is_replayed() {
    for wrong in ["", "--dead --event e", "--until 2030-01-31T00:00:00Z", "--dead --since t"] {
        let typed = format!("waypost admin webhooks replay w {wrong}");
        let words = typed.split_whitespace();
        assert!(cli::command().try_get_matches_from(words).is_err(), "{wrong}");
    }
    for wrong in ["", "--all --event e", "--webhook w --server s"] {
        let typed = format!("waypost admin callbacks replay {wrong}");
        let words = typed.split_whitespace();
        assert!(cli::command().try_get_matches_from(words).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn an_import_goes_in_parts_and_fails_where_a_line_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let rows: String = (0..600).map(|row| format!("+1555000{row:04}\n")).collect();
    std::fs::write(&file, format!("phone\n{rows}")).unwrap();
    let at = "POST /waypost/v1/orgs/o/customers/import";
    let good = json!({"created": 500, "updated": 0, "errors": []});
    let partly = json!({"created": 98, "updated": 1, "errors": [{"line": 3, "message": "no"}]});
    for (last, wanted) in [(good.clone(), true), (partly, false)] {
        let gateway = FakeServer::start(&[(at, 200, good.clone()), (at, 200, last)]).await;
        let path = file.display().to_string();
        // A path with what stands for a blank would be another one.
        assert!(!path.contains('~'));
        let typed = format!("customers import {path} --org o");
        assert_eq!(type_line(&gateway, &typed).await.unwrap(), wanted);
        let calls = gateway.calls();
        assert_eq!(lines(&calls), [at, at]);
        assert!(calls.iter().all(|call| call.content_type == "text/csv"));
        assert!(calls.iter().all(|call| call.body.starts_with("phone\n+1555000")));
    }
}

#[tokio::test]
async fn nothing_is_changed_by_an_update_without_fields() {
    let gateway = FakeServer::start(&[]).await;
    for typed in [
        "orgs update o",
        "customers update c --org o",
        "numbers update n --org o",
        "webhooks update w --org o",
    ] {
        let error = type_line(&gateway, typed).await.unwrap_err().to_string();
        assert!(error.contains("nothing to change"), "{typed}: {error}");
    }
    assert_eq!(gateway.calls(), []);
}

#[tokio::test]
async fn what_is_cleared_is_sent_as_null() {
    let org = "/waypost/v1/orgs/o";
    check_calls(&[
        (
            "orgs update o --join-code JOIN --clear message_retention_days --clear wire_offsets",
            format!("PATCH {org}"),
            json!({"join_code": "JOIN", "message_retention_days": null, "wire_offsets": null}),
        ),
        (
            "numbers update n --clear aliases --clear default_notify_url --org o",
            format!("PATCH {org}/numbers/n"),
            json!({"aliases": null, "default_notify_url": null}),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_both_set_and_cleared_is_refused() {
    let gateway = FakeServer::start(&[]).await;
    for (typed, field) in [
        ("orgs update o --join-code JOIN --clear join_code", "join_code"),
        ("numbers update n --alias A --clear aliases --org o", "aliases"),
    ] {
        let error = type_line(&gateway, typed).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{field} is both set and cleared"), "{typed}");
    }
    assert_eq!(gateway.calls(), []);
}

#[tokio::test]
async fn a_missing_file_is_told_as_such_whatever_its_name_says() {
    let gateway = FakeServer::start(&[]).await;
    for typed in
        ["media upload /nowhere/missing --org o", "customers import /nowhere/missing --org o"]
    {
        let error = type_line(&gateway, typed).await.unwrap_err().to_string();
        assert_eq!(error, "cannot read /nowhere/missing", "{typed}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_reached_is_told_plainly() {
    for (url, wanted) in [
        ("http://127.0.0.1:9".to_owned(), "cannot reach the gateway; is it running"),
        (untrusted(), "something answers there, but its certificate is not trusted"),
    ] {
        let words = ["waypost", "admin", "orgs", "list", "--url", &url, "--key", "k"];
        let matches = cli::command().try_get_matches_from(words).unwrap();
        let Some(Command::Admin(args)) = Cli::from_arg_matches(&matches).unwrap().command else {
            panic!("not parsed")
        };
        let error = format!("{:#}", run(*args, Path::new("/nowhere")).await.unwrap_err());
        assert!(error.starts_with(wanted), "{error}");
    }
}
