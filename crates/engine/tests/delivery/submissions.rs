//! Requests of several messages to be sent later.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waypost_domain::command::{MediaDraft, Recipient, Submission, TemplateBinding};
use waypost_domain::content::{Component, Parameter};
use waypost_domain::directory::{Number, Org};
use waypost_domain::manage::ConsentEntry;
use waypost_domain::template::Template;
use waypost_domain::{Content, ErrorKind, Failure, MediaSource, NumberId, OrgId, Status};
use waypost_engine::ports::PutMode;

use crate::callbacks::until;
use crate::rig::{
    Rig, keyed, number, org, phone, picture, send_to, submit_of, template, text, to_phone,
};

const AT_ONCE: &[ErrorKind] = &[ErrorKind::TemplateNotFound];

async fn settled(rig: &Rig, messages: u64) {
    until("sent", || rig.engine.metrics().messages_sent >= messages).await;
}

#[tokio::test]
async fn all_messages_of_a_request_are_accepted_and_sent() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let people: Vec<String> = (0..40).map(|last| format!("155500050{last:02}")).collect();
    let to_all = people.iter().map(|digits| to_phone(digits, template("hello_world")));
    let answer = rig.engine.submit(submit_of(to_all.collect()), AT_ONCE).await.unwrap();
    assert!(!answer.replayed);
    assert_eq!(rig.engine.metrics().messages_accepted, 40);
    settled(&rig, 40).await;
    let sent: BTreeSet<String> = rig.upstream.sent_to().into_iter().collect();
    assert_eq!(sent, people.iter().cloned().collect());
    for (id, digits) in answer.outcome.into_iter().zip(people) {
        let stored = rig.stored(id).await;
        assert_eq!((stored.status, stored.phone), (Status::Sent, phone(&digits)));
        assert!(!stored.synchronous);
    }
    assert_eq!(rig.upstream.template_calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_message_that_will_fail_is_accepted_as_failed_and_the_others_go() {
    let rig = Rig::new().await;
    let out = ConsentEntry {
        phone: phone("15550003333"),
        opted_in: false,
        origin: waypost_domain::customer::ConsentOrigin::default(),
    };
    assert!(rig.engine.record_consents(&OrgId::new("org-1"), vec![out]).await.unwrap());
    rig.approve_template("hello_world");
    let mut nobody = to_phone("15550001111", text("hi"));
    nobody.send.recipient = Recipient::Nobody;
    nobody.doomed = Some(Failure::new(ErrorKind::InvalidValue, "no such receiver"));
    let mut mistaken = template("hello_world");
    if let Content::Template(message) = &mut mistaken {
        message.components = vec![body_of(&["one too many"])];
    }
    let request = vec![
        to_phone("15550002222", text("hi")),
        to_phone("15550001111", text("hi")),
        nobody,
        to_phone("15550003333", template("hello_world")),
        to_phone("15550002222", mistaken),
        to_phone("15550001111", template("unheard_of")),
    ];
    let ids = rig.engine.submit(submit_of(request), &[]).await.unwrap().outcome;
    settled(&rig, 1).await;
    assert_eq!(rig.upstream.sent_to(), ["15550001111"]);
    let kinds = [
        Some(ErrorKind::WindowClosed),
        None,
        Some(ErrorKind::InvalidValue),
        Some(ErrorKind::RecipientBlocked),
        Some(ErrorKind::TemplateParameterMismatch),
        Some(ErrorKind::TemplateNotFound),
    ];
    for (id, kind) in ids.iter().zip(kinds) {
        let history = rig.history(*id).await;
        let failure = history.message.failure.map(|failure| failure.kind);
        assert_eq!(failure, kind);
        if kind.is_some() {
            assert_eq!(history.message.status, Status::Failed);
            assert_eq!(history.message.settled_at, Some(rig.engine.now()));
            assert!(history.attempts.is_empty(), "nothing was attempted");
            let lines: Vec<_> = history.statuses.iter().map(|line| line.status).collect();
            assert_eq!(lines, [Status::Failed]);
        }
    }
    assert_eq!(rig.engine.metrics().messages_failed, 5);
    let again = async |id| rig.engine.retry_message(&OrgId::new("org-1"), id).await.unwrap();
    assert!(!again(ids[2]).await, "there is nobody to send it to");
    assert!(!again(ids[5]).await, "its template was never found");
    assert!(again(ids[0]).await);
}

#[tokio::test]
async fn what_is_refused_at_once_refuses_the_whole_request() {
    let rig = Rig::new().await;
    let mut foreign = to_phone("15550001111", text("hi"));
    foreign.send.number = Some("15550008888".to_owned());
    for (bad, kind) in [
        (to_phone("15550001111", template("unheard_of")), ErrorKind::TemplateNotFound),
        (foreign, ErrorKind::NumberNotFound),
    ] {
        let request = vec![to_phone("15550001111", text("hi")), bad];
        let refused = rig.engine.submit(submit_of(request), AT_ONCE).await.unwrap_err();
        assert_eq!(refused.kind, kind);
    }
    let mut request = submit_of(vec![to_phone("15550001111", text("hi"))]);
    request.command.org_id = OrgId::new("org-2");
    let refused = rig.engine.submit(request, AT_ONCE).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::OrgForbidden);
    assert_eq!(rig.engine.metrics().messages_accepted, 0);
    assert!(rig.upstream.sent_to().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_gives_the_same_messages() {
    let rig = Rig::new().await;
    let request = |fingerprint| {
        let two = vec![to_phone("15550001111", text("one")), to_phone("15550002222", text("two"))];
        keyed(submit_of(two), "k", fingerprint)
    };
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let engine = rig.engine.clone();
            let request = request(1);
            tokio::spawn(async move { engine.submit(request, &[]).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.outcome == answers[0].outcome));
    settled(&rig, 1).await;
    let again = rig.engine.submit(request(1), &[]).await.unwrap();
    assert!(again.replayed, "also where one of them has failed");
    assert_eq!(again.outcome, answers[0].outcome);
    let other = rig.engine.submit(request(2), &[]).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::IdempotencyConflict);
    assert_eq!(rig.engine.metrics().messages_accepted, 2);
}

fn from_provider() -> Content<MediaDraft> {
    picture(MediaSource::Link {
        url: "https://files.example.com/a.png".to_owned(),
        provider: Some("files".to_owned()),
    })
}

#[tokio::test]
async fn messages_that_say_the_same_share_their_file() {
    let rig = Rig::new().await;
    rig.add_provider("files", "t").await;
    for digits in ["15550002222", "15550003333"] {
        rig.open_window(digits).await;
    }
    let mut doomed = to_phone("15550001111", from_provider());
    doomed.doomed = Some(Failure::new(ErrorKind::ValueTooLong, "the caption"));
    rig.engine.submit(submit_of(vec![doomed]), &[]).await.unwrap();
    assert!(rig.links.asked.lock().is_empty(), "nothing is fetched for what fails");
    let alike = ["15550001111", "15550002222", "15550003333"];
    let alike: Vec<Submission> =
        alike.iter().map(|digits| to_phone(digits, from_provider())).collect();
    rig.engine.submit(submit_of(alike), &[]).await.unwrap();
    settled(&rig, 3).await;
    assert_eq!(rig.links.asked.lock().len(), 1);
    assert_eq!(rig.upstream.uploads.lock().len(), 1);
}

fn body_of(values: &[&str]) -> Component<MediaDraft> {
    let text = |text: &&str| Parameter::Text { text: (*text).to_owned(), name: None };
    Component {
        kind: "body".to_owned(),
        sub_type: None,
        index: None,
        parameters: values.iter().map(text).collect(),
        cards: Vec::new(),
        extra: serde_json::Map::new(),
    }
}

/// Takes the values by the names that a test's template has for them.
fn by_name(template: &Template, values: &Value) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let names = template.components[0]["names"].as_array().unwrap();
    let value = |name: &Value| values[name.as_str().unwrap()].as_str();
    let values: Option<Vec<&str>> = names.iter().map(value).collect();
    let values = values
        .ok_or_else(|| Failure::new(ErrorKind::TemplateParameterMismatch, "a value is missing"))?;
    Ok(vec![body_of(&values)])
}

fn add_named_template(rig: &Rig) {
    rig.approve_template("order_update");
    let component = json!({"type": "BODY", "text": "{{1}} and {{2}}", "names": ["who", "what"]});
    rig.upstream.templates.lock()[0].components = vec![component];
}

#[tokio::test]
async fn a_dialects_own_values_are_bound_once_the_template_is_known() {
    let rig = Rig::new().await;
    add_named_template(&rig);
    let binding = |values| Some(TemplateBinding { values, bind: by_name });
    let good = json!({"what": "tea", "who": "Ann"});
    // By name, and by the upstream's id.
    let mut waited_for = send_to("cust-1", template("500"));
    waited_for.command.binding = binding(good.clone());
    assert!(rig.engine.send(waited_for).await.unwrap().outcome.result.is_ok());
    let mut later = to_phone("15550002222", template("order_update"));
    later.send.binding = binding(good);
    let mut lacking = to_phone("15550003333", template("order_update"));
    lacking.send.binding = binding(json!({"who": "Ann"}));
    let ids = rig.engine.submit(submit_of(vec![later, lacking]), &[]).await.unwrap().outcome;
    settled(&rig, 2).await;
    for seen in rig.upstream.seen.lock().iter() {
        let Content::Template(message) = &seen.content else { unreachable!("a template") };
        assert_eq!(
            (message.name.as_str(), message.language.as_deref()),
            ("order_update", Some("en"))
        );
        let values: Vec<&str> = message.components[0]
            .parameters
            .iter()
            .map(|value| match value {
                Parameter::Text { text, .. } => text.as_str(),
                _ => "",
            })
            .collect();
        assert_eq!(values, ["Ann", "tea"]);
    }
    let failure = rig.stored(ids[1]).await.failure.unwrap();
    assert_eq!(failure.kind, ErrorKind::TemplateParameterMismatch);
}

#[tokio::test]
async fn the_organisations_language_counts_unless_the_dialect_ignores_it() {
    let rig = Rig::new().await;
    let org = Org { default_language: Some("fr".to_owned()), ..org("org-1") };
    rig.put_org(org, PutMode::Replace).await;
    for language in ["fr", "en_US", "de"] {
        rig.approve_template("note");
        language.clone_into(&mut rig.upstream.templates.lock().last_mut().unwrap().language);
    }
    for (ignores_org_language, language) in [(false, "fr"), (true, "en_US")] {
        let mut waited_for = send_to("cust-1", template("note"));
        waited_for.command.ignores_org_language = ignores_org_language;
        rig.engine.send(waited_for).await.unwrap().outcome.result.unwrap();
        let mut later = to_phone("15550002222", template("note"));
        later.send.ignores_org_language = ignores_org_language;
        rig.engine.submit(submit_of(vec![later]), &[]).await.unwrap();
        settled(&rig, if ignores_org_language { 4 } else { 2 }).await;
        for seen in rig.upstream.seen.lock().drain(..) {
            let Content::Template(message) = &seen.content else { unreachable!("a template") };
            assert_eq!(message.language.as_deref(), Some(language));
        }
    }
}

#[tokio::test]
async fn an_unknown_template_id_is_asked_for_once() {
    let rig = Rig::new().await;
    for _ in 0..3 {
        let failure = rig.engine.send(send_to("cust-1", template("77"))).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::TemplateNotFound);
    }
    assert_eq!(rig.upstream.template_calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_fault_in_order_refuses_a_request() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let says = |name: &str, number: Option<&str>| {
        let mut message = to_phone("15550002222", template(name));
        message.send.number = number.map(str::to_owned);
        message
    };
    let doomed = |mut message: Submission| {
        message.doomed = Some(Failure::new(ErrorKind::InvalidValue, "no such receiver"));
        message
    };
    let foreign = || says("hello_world", Some("nobody"));
    for (messages, kind) in [
        (vec![says("no_such", None), foreign()], ErrorKind::TemplateNotFound),
        (vec![says("hello_world", None), foreign()], ErrorKind::NumberNotFound),
        (vec![foreign(), says("no_such", None)], ErrorKind::NumberNotFound),
        (vec![doomed(says("no_such", None)), foreign()], ErrorKind::NumberNotFound),
    ] {
        let caller = submit_of(Vec::new()).caller;
        let found = rig.engine.refusal_of(&caller, messages.clone(), AT_ONCE).await.unwrap();
        let refused = rig.engine.submit(submit_of(messages), AT_ONCE).await.unwrap_err();
        assert_eq!((found.kind, refused.kind), (kind, kind));
    }
    let caller = submit_of(Vec::new()).caller;
    let sound = vec![says("hello_world", None), doomed(says("no_such", None))];
    assert_eq!(rig.engine.refusal_of(&caller, sound, AT_ONCE).await, None);
    assert_eq!(rig.engine.metrics().messages_accepted, 0);
}

#[tokio::test]
async fn what_tells_all_later_is_accepted_whatever_is_wrong_with_its_content() {
    let rig = Rig::new().await;
    let unknown = to_phone("15550002222", template("no_such"));
    let refused = rig.engine.submit(submit_of(vec![unknown.clone()]), AT_ONCE).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TemplateNotFound);
    let later = Submission { tells_all_later: true, ..unknown };
    let ids = rig.engine.submit(submit_of(vec![later]), AT_ONCE).await.unwrap().outcome;
    let failure = rig.stored(ids[0]).await.failure.unwrap();
    assert_eq!(failure.kind, ErrorKind::TemplateNotFound);
}

#[tokio::test]
async fn a_sender_by_name_or_else_the_default_is_each_messages_own() {
    let rig = Rig::new().await;
    let second = Number {
        id: NumberId::new("number-2"),
        display_phone: phone("15550009998"),
        phone_number_id: "100000000000003".to_owned(),
        source_id: Some("src-2".to_owned()),
        ..number(1_000)
    };
    rig.engine.put_number(second, PutMode::Create).await.unwrap();
    rig.put_org(org("org-2"), PutMode::Create).await;
    let foreign = Number {
        id: NumberId::new("number-3"),
        org_id: OrgId::new("org-2"),
        phone_number_id: "100000000000004".to_owned(),
        source_id: Some("src-3".to_owned()),
        ..number(1_000)
    };
    rig.engine.put_number(foreign, PutMode::Create).await.unwrap();
    let from = |name: &str, number_or_default| {
        let mut message = to_phone("15550001111", text("hi"));
        message.send.number = Some(name.to_owned());
        message.send.number_or_default = number_or_default;
        message
    };
    let request = vec![
        from("src-2", false),
        from("src-2", true),
        from("nobody", true),
        from("src-3", true),
        from("src-2", true),
    ];
    let ids = rig.engine.submit(submit_of(request), AT_ONCE).await.unwrap().outcome;
    let wanted = ["number-2", "number-2", "number-1", "number-1", "number-2"];
    for (id, wanted) in ids.into_iter().zip(wanted) {
        assert_eq!(rig.stored(id).await.number_id.as_str(), wanted);
    }
    // The same name, once with and once without a way out.
    for name in ["nobody", "src-3"] {
        let request = vec![from(name, true), from(name, false)];
        let refused = rig.engine.submit(submit_of(request), AT_ONCE).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::NumberNotFound, "{name}");
    }
}
